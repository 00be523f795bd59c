/** What all kinds of checks say alike: when to check, whom to speak to, and from where. */
import {none, one, onOff} from '../args.js';
import type {Report} from '../diagnostics.js';
import type {Check, CheckTarget, Place} from '../model.js';
import {block, type Draft, draftAt, full, type Keywords, type Row, refused} from '../table.js';
import {integer, ip} from '../values.js';
import {type CheckOptions, checkOptionKeywords, inherit, newCheckOptions, rhythmKeywords} from './check-options.js';
import type {GlobalsDraft} from './globals.js';
import type {TrackedFileDraft} from './trackers.js';

/** Any check. null: not written. */
export interface CheckDraft extends Draft, CheckOptions {
	logAllFailures: boolean | null;
}

/** A check that speaks to its backend. */
export interface TargetDraft extends CheckDraft {
	connectAddress: string | null;
	connectPort: number | null;
	bindAddress: string | null;
	bindPort: number;
}

/** What a check is read beside. */
export interface CheckSetting {
	/** Of the real server; port 0 if it has many. */
	readonly address: string;
	readonly port: number;
	/** The options of the real server, then those of its service. */
	readonly outer: readonly CheckOptions[];
	/** `virtualhost` of the real server, or else of its service. */
	readonly virtualHost: string | null;
	readonly globals: GlobalsDraft;
	readonly trackFiles: readonly TrackedFileDraft[];
	readonly report: Report;
}

/** A check as its block has it; what it takes from elsewhere is known once all is read. */
export interface WrittenCheck {
	readonly draft: CheckDraft;
	/** None if it cannot be, having complained. */
	toChecks(setting: CheckSetting): readonly Check[];
}

/** Where the checks of a `real_server` are collected. */
export interface CheckList {
	readonly checks: WrittenCheck[];
}

/** The row of one kind of check. */
export function checkBlock<D extends CheckDraft, L extends CheckList>(kind: {
	readonly keywords: Keywords<D>;
	open(place: Place): D;
	toChecks(draft: D, setting: CheckSetting): readonly Check[];
}): Row<L> {
	return block(kind.keywords, none, ({checks}: L, _, place) => {
		const draft = kind.open(place);
		checks.push({draft, toChecks: setting => kind.toChecks(draft, setting)});
		return draft;
	});
}

export function newCheck(place: Place): CheckDraft {
	return {logAllFailures: null, ...draftAt(place), ...newCheckOptions()};
}

export function newTarget(place: Place): TargetDraft {
	return {connectAddress: null, connectPort: null, bindAddress: null, bindPort: 0, ...newCheck(place)};
}

/** Of a check that speaks to nobody itself. */
export function checkKeywords<D extends CheckDraft>(): Keywords<D> {
	return {
		...rhythmKeywords<D>(),
		log_all_failures: full(onOff, (draft: D, all) => {
			draft.logAllFailures = all;
		}),
	};
}

const port = one(integer(1, 65_535));

/** Of a check that speaks to its backend. */
export function targetKeywords<D extends TargetDraft>(): Keywords<D> {
	return {...checkOptionKeywords<D>(), ...checkKeywords<D>(), ...connectKeywords<D>()};
}

/** Whom to speak to, and from where. */
export function connectKeywords<D extends TargetDraft>(): Keywords<D> {
	return {
		connect_ip: full(one(ip), (draft: D, address) => {
			draft.connectAddress = address;
		}),
		connect_port: full(port, (draft: D, number) => {
			draft.connectPort = number;
		}),
		bindto: full(one(ip), (draft: D, address) => {
			draft.bindAddress = address;
		}),
		bind_port: full(port, (draft: D, number) => {
			draft.bindPort = number;
		}),
		bind_if: refused('the routing table chooses the interface of a check'),
		fwmark: refused('the packets of checks are not marked'),
	};
}

/** The rhythm of a check; `defaults` are those of its kind. */
export function toChecking(
	draft: CheckDraft,
	{outer, globals}: CheckSetting,
	defaults: {readonly retry: number; readonly delayBeforeRetryUs: number | null},
): Pick<Check, 'place' | 'delayLoopUs' | 'retry' | 'delayBeforeRetryUs' | 'warmupUs' | 'logAllFailures'> {
	const levels = [draft, ...outer];
	const delayLoopUs = inherit('delayLoopUs', ...levels) ?? 60_000_000;
	return {
		place: draft.place,
		delayLoopUs,
		retry: inherit('retry', ...levels) ?? defaults.retry,
		delayBeforeRetryUs: inherit('delayBeforeRetryUs', ...levels) ?? defaults.delayBeforeRetryUs ?? delayLoopUs,
		warmupUs: inherit('warmupUs', ...levels) ?? delayLoopUs,
		logAllFailures: draft.logAllFailures ?? globals.logAllFailures,
	};
}

/** Whom the check that `keyword` opened speaks to; it needs a port. */
export function toTarget(draft: TargetDraft, keyword: string, setting: CheckSetting): CheckTarget {
	const {port, report} = setting;
	if (port === 0 && draft.connectPort === null) {
		const text = `${keyword} has no port to connect to: its real_server has that of every connection`;
		report.error('missing', draft.place, text, `add 'connect_port PORT'`);
	}
	return toPortlessTarget(draft, setting, draft.connectPort ?? port);
}

/** Whom a check speaks to that needs no port. */
export function toPortlessTarget(draft: TargetDraft, {address, outer}: CheckSetting, port = 0): CheckTarget {
	return {
		connectAddress: draft.connectAddress ?? address,
		connectPort: port,
		bindAddress: draft.bindAddress,
		bindPort: draft.bindPort,
		connectTimeoutUs: inherit('connectTimeoutUs', draft, ...outer) ?? 5_000_000,
	};
}
