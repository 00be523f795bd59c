import {one, onOff} from '../args.js';
import type {MiscCheck, Place} from '../model.js';
import {full, type Keywords} from '../table.js';
import {seconds} from '../values.js';
import {type CheckDraft, type CheckSetting, checkKeywords, newCheck, toChecking} from './check-draft.js';
import {command, type ScriptDraft, toScript, userArgs} from './script.js';

interface MiscDraft extends CheckDraft {
	argv: ScriptDraft['argv'] | null;
	account: Pick<ScriptDraft, 'user' | 'group'>;
	timeoutUs: number | null;
	dynamic: boolean;
}

const keywords: Keywords<MiscDraft> = {
	misc_path: full(one(command), (draft, argv) => {
		draft.argv = argv;
	}),
	misc_timeout: full(one(seconds(0.000001)), (draft, us) => {
		draft.timeoutUs = us;
	}),
	misc_dynamic: full(onOff, (draft, dynamic) => {
		draft.dynamic = dynamic;
	}),
	user: full(userArgs, (draft, account) => {
		draft.account = account;
	}),
	...checkKeywords<MiscDraft>(),
};

/** `MISC_CHECK`. */
export const miscCheck = {
	keywords,
	open: (place: Place): MiscDraft => ({
		...newCheck(place),
		argv: null,
		account: {user: null, group: null},
		timeoutUs: null,
		dynamic: false,
	}),
	toChecks(draft: MiscDraft, setting: CheckSetting): readonly MiscCheck[] {
		if (draft.argv === null) {
			setting.report.error('missing', draft.place, 'MISC_CHECK has no script', `add 'misc_path PROGRAM'`);
			return [];
		}
		const checking = toChecking(draft, setting, {retry: 0, delayBeforeRetryUs: 1_000_000});
		return [
			{
				kind: 'misc',
				...checking,
				script: toScript({argv: draft.argv, ...draft.account}, setting.globals.scripts),
				timeoutUs: draft.timeoutUs ?? checking.delayLoopUs,
				dynamic: draft.dynamic,
			},
		];
	},
};
