import type {PingCheck} from '../model.js';
import {
	type CheckSetting,
	newTarget,
	type TargetDraft,
	targetKeywords,
	toChecking,
	toPortlessTarget,
} from './check-draft.js';

/** `PING_CHECK`. */
export const pingCheck = {
	keywords: targetKeywords<TargetDraft>(),
	open: newTarget,
	toChecks(draft: TargetDraft, setting: CheckSetting): readonly PingCheck[] {
		return [
			{
				kind: 'ping',
				...toChecking(draft, setting, {retry: 1, delayBeforeRetryUs: 1_000_000}),
				...toPortlessTarget(draft, setting),
			},
		];
	},
};
