import type {TcpCheck} from '../model.js';
import {type CheckSetting, newTarget, type TargetDraft, targetKeywords, toChecking, toTarget} from './check-draft.js';

/** `TCP_CHECK`. */
export const tcpCheck = {
	keywords: targetKeywords<TargetDraft>(),
	open: newTarget,
	toChecks(draft: TargetDraft, setting: CheckSetting): readonly TcpCheck[] {
		return [
			{
				kind: 'tcp',
				...toChecking(draft, setting, {retry: 1, delayBeforeRetryUs: 1_000_000}),
				...toTarget(draft, 'TCP_CHECK', setting),
			},
		];
	},
};
