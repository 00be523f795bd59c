import {none, one} from '../args.js';
import type {Place, SmtpCheck} from '../model.js';
import {block, full, type Keywords} from '../table.js';
import {
	type CheckSetting,
	connectKeywords,
	newTarget,
	type TargetDraft,
	targetKeywords,
	toChecking,
	toTarget,
} from './check-draft.js';
import {connectTimeout} from './check-options.js';
import {unbrokenWord} from './http-get.js';

interface SmtpDraft extends TargetDraft {
	heloName: string;
	/** keepalived's older way to write several checks. */
	readonly hosts: TargetDraft[];
}

const host: Keywords<TargetDraft> = {...connectKeywords<TargetDraft>(), connect_timeout: connectTimeout()};

const keywords: Keywords<SmtpDraft> = {
	...targetKeywords<SmtpDraft>(),
	helo_name: full(one(unbrokenWord), (draft, name) => {
		draft.heloName = name;
	}),
	host: block(host, none, ({hosts}, _, place) => {
		const draft = newTarget(place);
		hosts.push(draft);
		return draft;
	}),
};

/** `SMTP_CHECK`. */
export const smtpCheck = {
	keywords,
	open: (place: Place): SmtpDraft => ({...newTarget(place), heloName: 'smtpchecker.keepalived.org', hosts: []}),
	toChecks(draft: SmtpDraft, setting: CheckSetting): readonly SmtpCheck[] {
		const checking = toChecking(draft, setting, {retry: 1, delayBeforeRetryUs: 1_000_000});
		const targets = draft.hosts.length === 0 ? [draft] : draft.hosts.map(own => atHost(draft, own));
		return targets.map(target => ({
			kind: 'smtp',
			...checking,
			...toTarget(target, 'SMTP_CHECK', setting),
			heloName: draft.heloName,
		}));
	},
};

/** The check with what a `host` says of its own. */
function atHost(draft: SmtpDraft, own: TargetDraft): TargetDraft {
	return {
		...draft,
		place: own.place,
		connectAddress: own.connectAddress ?? draft.connectAddress,
		connectPort: own.connectPort ?? draft.connectPort,
		bindAddress: own.bindAddress ?? draft.bindAddress,
		bindPort: own.bindPort || draft.bindPort,
		connectTimeoutUs: own.connectTimeoutUs ?? draft.connectTimeoutUs,
	};
}
