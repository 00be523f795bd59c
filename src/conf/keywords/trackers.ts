/** What instances can track besides links: `vrrp_script`, `track_file` and `vrrp_track_process`. */
import {type Args, none, one, pair, several} from '../args.js';
import {quote, type Report} from '../diagnostics.js';
import type {Place, Script, TrackedFile, TrackedProcess, TrackedScript} from '../model.js';
import {accepted, type Draft, draftAt, full, type Keywords, placeOf} from '../table.js';
import {integer, oneOf, seconds, word} from '../values.js';
import {command, type ScriptDefaults, toScript, userArgs} from './script.js';

/** How much a tracker counts. null: not written. */
export interface WeightDraft {
	weight: number | null;
	reverse: boolean | null;
}

/** Tracks of scripts and interfaces know 253 at most, which the others use for what is one more. */
const weightRange = integer(-254, 254);

const weightWords = pair(weightRange, oneOf({reverse: true, noreverse: false}), null);

/** `N [reverse|noreverse]` */
export const weightArgs: Args<WeightDraft> = {
	usage: weightWords.usage,
	read(words) {
		const read = weightWords.read(words);
		return read === undefined ? undefined : {weight: read[0], reverse: read[1]};
	},
};

function weightKeyword<D extends WeightDraft>(): Keywords<D> {
	return {
		weight: full(weightArgs, (draft: D, weight) => {
			Object.assign(draft, weight);
		}),
	};
}

interface TrackerDraft extends Draft, WeightDraft {
	readonly name: string;
}

function newTracker(name: string, place: Place): TrackerDraft {
	return {...draftAt(place), name, weight: null, reverse: null};
}

/** `vrrp_script`. */
export interface TrackedScriptDraft extends TrackerDraft {
	argv: Script['argv'] | null;
	user: string | null;
	group: string | null;
	intervalUs: number;
	timeoutUs: number | null;
	fall: number;
	rise: number;
}

export function newTrackedScript(name: string, place: Place): TrackedScriptDraft {
	const script = {argv: null, user: null, group: null, intervalUs: 1_000_000, timeoutUs: null, fall: 1, rise: 1};
	return {...newTracker(name, place), ...script};
}

const times = one(integer(1, 2 ** 31 - 1));

export const trackedScript: Keywords<TrackedScriptDraft> = {
	script: full(one(command), (draft, argv) => {
		draft.argv = argv;
	}),
	interval: full(one(seconds(0.01)), (draft, us) => {
		draft.intervalUs = us;
	}),
	timeout: full(one(seconds(0)), (draft, us) => {
		draft.timeoutUs = us;
	}),
	...weightKeyword<TrackedScriptDraft>(),
	fall: full(times, (draft, count) => {
		draft.fall = count;
	}),
	rise: full(times, (draft, count) => {
		draft.rise = count;
	}),
	user: full(userArgs, (draft, account) => {
		Object.assign(draft, account);
	}),
	init_fail: accepted('the first result decides, as it does in keepalived', none),
};

/** null if it cannot be. */
export function toTrackedScript(
	draft: TrackedScriptDraft,
	defaults: ScriptDefaults,
	report: Report,
): TrackedScript | null {
	const {place, name, argv, user, group, intervalUs, timeoutUs, fall, rise} = draft;
	if (argv === null) {
		requireKeyword(draft, 'vrrp_script', 'script', report);
		return null;
	}
	const script = toScript({argv, user, group}, defaults);
	return {place, name, script, intervalUs, timeoutUs: timeoutUs || intervalUs, fall, rise};
}

/** `track_file`. */
export interface TrackedFileDraft extends TrackerDraft {
	path: string | null;
	initial: TrackedFile['initial'];
}

export function newTrackedFile(name: string, place: Place): TrackedFileDraft {
	return {...newTracker(name, place), path: null, initial: null};
}

/** `[VALUE] [overwrite]` */
const initialArgs: Args<NonNullable<TrackedFile['initial']>> = {
	usage: '[VALUE] [overwrite]',
	read(words) {
		const isWritten = (text: string | undefined): boolean => text !== undefined && text !== 'overwrite';
		const value = isWritten(words.peek()?.text) ? words.take(weightRange) : 0;
		const overwrite = words.peek() !== undefined && words.take(oneOf({overwrite: true}));
		return value === undefined || overwrite === undefined ? undefined : {value, overwrite};
	},
};

export const trackedFile: Keywords<TrackedFileDraft> = {
	file: full(one(word), (draft, path) => {
		draft.path = path;
	}),
	...weightKeyword<TrackedFileDraft>(),
	init_file: full(initialArgs, (draft, initial) => {
		draft.initial = initial;
	}),
};

/** null if it cannot be. */
export function toTrackedFile(draft: TrackedFileDraft, report: Report): TrackedFile | null {
	const {place, name, path, initial} = draft;
	if (path === null) {
		requireKeyword(draft, 'track_file', 'file', report);
		return null;
	}
	if (!path.startsWith('/')) {
		const text = `file ${quote(path)} depends on where lbd was started`;
		report.warning('adjusted', placeOf(draft, 'file'), text, 'write a path that begins with /');
	}
	return {place, name, path, initial};
}

/** `vrrp_track_process`. */
export interface TrackedProcessDraft extends TrackerDraft {
	command: readonly string[] | null;
	fullCommand: boolean;
	match: 'initial' | 'partial' | null;
	quorum: number;
	quorumMax: number;
	upDelayUs: number;
	downDelayUs: number;
}

const COUNT_MAX = 65_535;

export function newTrackedProcess(name: string, place: Place): TrackedProcessDraft {
	return {
		...newTracker(name, place),
		command: null,
		fullCommand: false,
		match: null,
		quorum: 1,
		quorumMax: Number.MAX_SAFE_INTEGER,
		upDelayUs: 0,
		downDelayUs: 0,
	};
}

const delay = one(seconds(0.000001, 3600));

export const trackedProcess: Keywords<TrackedProcessDraft> = {
	process: full(several(word), (draft, words) => {
		draft.command = words;
	}),
	param_match: full(one(oneOf({initial: 'initial', partial: 'partial'})), (draft, match) => {
		draft.match = match;
	}),
	...weightKeyword<TrackedProcessDraft>(),
	quorum: full(one(integer(1, COUNT_MAX)), (draft, count) => {
		draft.quorum = count;
	}),
	quorum_max: full(one(integer(0, COUNT_MAX)), (draft, count) => {
		draft.quorumMax = count;
	}),
	delay: full(delay, (draft, us) => {
		draft.upDelayUs = us;
		draft.downDelayUs = us;
	}),
	fork_delay: full(delay, (draft, us) => {
		draft.upDelayUs = us;
	}),
	terminate_delay: full(delay, (draft, us) => {
		draft.downDelayUs = us;
	}),
	full_command: full(none, draft => {
		draft.fullCommand = true;
	}),
};

/** null if it cannot be. */
export function toTrackedProcess(draft: TrackedProcessDraft, report: Report): TrackedProcess | null {
	const {place, name, command, quorumMax, upDelayUs, downDelayUs} = draft;
	const [process, ...values] = command ?? [];
	if (process === undefined) {
		requireKeyword(draft, 'vrrp_track_process', 'process', report);
		return null;
	}
	if (draft.written.has('quorum') && draft.quorum > quorumMax) {
		const text = `quorum ${draft.quorum} becomes ${quorumMax}: quorum_max allows no more`;
		report.warning('adjusted', placeOf(draft, 'quorum'), text);
	}
	const quorum = Math.min(draft.quorum, quorumMax);
	// Whoever says how to match, and nothing to match, wants no parameters at all.
	const match = values.length === 0 ? null : draft.match;
	const parameters = values.length === 0 && draft.match === null ? null : {match: match ?? ('exact' as const), values};
	const fullCommand = draft.fullCommand || parameters !== null;
	return {place, name, process, fullCommand, parameters, quorum, quorumMax, upDelayUs, downDelayUs};
}

function requireKeyword(draft: TrackerDraft, block: string, keyword: string, report: Report): void {
	// Written and wrong has been said already.
	if (draft.written.has(keyword)) return;
	report.error('missing', draft.place, `${block} ${quote(draft.name)} has no ${keyword}`, `add '${keyword} …'`);
}
