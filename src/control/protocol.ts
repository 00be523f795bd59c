/**
 * What lbctl and lbd say to each other over /run/lbd/NAME.sock: one JSON object a line, a response for each request,
 * in order. Everything is plain JSON; durations are seconds, with the unit in the name.
 */
import {ControlError, ExitCode} from '../errors.js';

export const RUN_DIRECTORY = '/run/lbd';

/** A request line may have this many bytes, a response line this many. */
export const REQUEST_BYTES_MAX = 64 * 1024;
export const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;

/** Every call, what it takes and what it answers. */
export interface Calls {
	status: {params: null; result: Status};
	health: {params: null; result: HealthReport};
	vrrp: {params: null; result: VrrpReport};
	/** Of an instance or sync group, by its name; how the instances are then. */
	release: {params: string; result: VrrpReport};
	reclaim: {params: string; result: VrrpReport};
	/** What a reload would do if the file were another one, given by its absolute path. */
	plan: {params: {readonly file: string}; result: PlanReport};
	reload: {params: null; result: ReloadOutcome};
	/** The Prometheus text. */
	metrics: {params: null; result: string};
	/** Orderly end, as by SIGTERM. */
	stop: {params: null; result: null};
}
export type CallName = keyof Calls;
export type Params<C extends CallName> = Calls[C]['params'];
export type CallResult<C extends CallName> = Calls[C]['result'];

/** Everything the daemon knows beyond the maps. */
export interface Status {
	readonly name: string;
	readonly version: string;
	readonly pid: number;
	readonly uptimeS: number;
	/** The configuration file that is in force. */
	readonly file: string;
	readonly loadedAt: string;
	readonly nics: readonly NicStatus[];
	readonly health: HealthReport;
	readonly vrrp: VrrpReport;
	/** null: nothing is shared, or lbd-sync does not answer. */
	readonly sharing: SharingReport | null;
	/** Why connections are not shared, where nobody has decided it; else null. */
	readonly notSharing: string | null;
	/** The last reload that was asked for, or null. */
	readonly lastReload: ReloadReport | null;
}

/** A NIC that carries the program. `generic` is the slow fallback. */
export interface NicStatus {
	readonly name: string;
	readonly mode: 'native' | 'generic';
}

export interface HealthReport {
	readonly services: readonly ServiceHealth[];
}

export interface ServiceHealth {
	readonly service: string;
	readonly scheduler: string;
	readonly forwarding: string;
	/** Seconds, or null without persistence. */
	readonly persistenceS: number | null;
	readonly quorumUp: boolean;
	readonly backends: readonly BackendHealthReport[];
}

export interface BackendHealthReport {
	readonly backend: string;
	readonly up: boolean;
	readonly weight: number;
	readonly reason: string;
	readonly sinceS: number;
	readonly checks: readonly CheckReport[];
}

export interface CheckReport {
	readonly kind: string;
	readonly state: 'up' | 'down' | 'untested';
	/** `passed`, `refused (connect ECONNREFUSED 10.0.0.71:80)`, or null before the first. */
	readonly lastResult: string | null;
	readonly lastS: number | null;
	readonly durationS: number | null;
	/** Failures in a row. */
	readonly failures: number;
}

export interface VrrpReport {
	readonly instances: readonly InstanceReport[];
}

export interface InstanceReport {
	readonly instance: string;
	readonly state: 'init' | 'backup' | 'master' | 'fault' | 'stopped';
	readonly sinceS: number;
	/** Why it is in this state. */
	readonly reason: string;
	/** It leaves mastership to others, as it was told to. */
	readonly released: boolean;
	/** Master no more, but with the addresses until its successor is heard. */
	readonly lingers: boolean;
	readonly interface: string;
	readonly family: 4 | 6;
	readonly vrid: number;
	/** In effect now: the configured one and what trackers add. */
	readonly priority: number;
	readonly basePriority: number;
	readonly trackers: readonly TrackedReport[];
	/** It does not preempt before it knows the master's connections. */
	readonly waits: boolean;
	readonly syncGroup: string | null;
	readonly addresses: readonly string[];
	/** Who sends the adverts: `192.168.1.10`, or null while nobody is heard. */
	readonly master: string | null;
	readonly advertsSent: number;
	readonly advertsReceived: number;
	readonly transitions: number;
	/** Another master that is heard while this one is master, or null. `refused`: why its adverts are not believed. */
	readonly rival: {readonly address: string; readonly refused: string | null; readonly sinceS: number} | null;
}

/** How connections are shared with the other balancers. Counts are records since lbd-sync began. */
export interface SharingReport {
	readonly interface: string;
	/** Where the key comes from: the file's `sync`, or what VRRP authenticates itself with. null: there is none. */
	readonly keyFrom: 'sync' | 'vrrp' | null;
	/** `joining`: it is still being told what the others know. `alone`: nobody is there. */
	readonly state: 'joining' | 'in-sync' | 'alone';
	readonly peers: readonly {
		readonly address: string;
		readonly heardMsAgo: number;
		readonly inSync: boolean;
		/** Datagrams that did not come. */
		readonly lost: number;
	}[];
	readonly sent: number;
	/** Not taken by the network, or overwritten before they could be read; the next round tells again. */
	readonly unsent: number;
	readonly overwritten: number;
	readonly received: number;
	/** What became of those: `taken`, `known`, `refused`, `strange`. */
	readonly fates: Readonly<Record<string, number>>;
	/** Datagrams that were not believed, by reason. */
	readonly refusals: Readonly<Record<string, number>>;
}

/** Something that an instance tracks. */
export interface TrackedReport {
	readonly kind: 'interface' | 'script' | 'file' | 'process';
	readonly name: string;
	readonly weight: number;
	readonly reverse: boolean;
	/** `up`, `down`, a file's number, `absent` (a script that cannot be run), or null before the first result. */
	readonly result: string | number | null;
	/** To the priority. */
	readonly adds: number;
	/** It keeps the instance in fault. */
	readonly fault: boolean;
}

/** What a file would change, or why it cannot come into force. */
export interface PlanReport {
	/** False: the file would be refused. */
	readonly accepted: boolean;
	readonly file: string;
	readonly summary: string;
	/** As in ReloadReport. */
	readonly diagnostics: readonly string[];
	readonly changes: readonly ChangeReport[];
	/** Entries of the maps that are written or removed. */
	readonly mapEntries: number;
	/** What `lbctl plan` exits with. */
	readonly exitCode: ExitCode;
}

/** One difference to the configuration that is in force, in the words of the file. */
export interface ChangeReport {
	/** The blocks that it is in, outermost first: `virtual_server 192.168.1.1:80`. */
	readonly blocks: readonly string[];
	readonly kind: 'added' | 'removed' | 'changed';
	/** The keyword, or the block with its name. */
	readonly what: string;
	/** null where something comes or goes. */
	readonly before: string | null;
	readonly after: string | null;
	/** Live connections and persistence entries of what it is about. */
	readonly connections: number;
	readonly persistenceEntries: number;
	/** What becomes of the connections. */
	readonly fate: 'stay' | 'wait' | 'reset' | 'dealt anew' | 'lost';
}

/** A reload with what it has changed. */
export interface ReloadOutcome extends ReloadReport {
	readonly changes: readonly ChangeReport[];
	readonly mapEntries: number;
}

export interface ReloadReport {
	/** False: the file was refused and nothing was changed. */
	readonly applied: boolean;
	/** One sentence: what changed, or why not. */
	readonly summary: string;
	readonly at: string;
	/** `FILE:LINE:COL: severity: text (way out)`, and what did not fit into the maps; one each. */
	readonly diagnostics: readonly string[];
	/** What `lbctl reload` exits with. */
	readonly exitCode: ExitCode;
}

export interface Request {
	readonly id: number;
	readonly call: string;
	readonly params: unknown;
}

export type Response =
	| {readonly id: number | null; readonly result: unknown}
	| {
			readonly id: number | null;
			readonly error: {readonly code: string; readonly text: string; readonly exitCode: ExitCode};
	  };

/** The control socket of the daemon called `name`. Throws ControlError for a name that cannot be a file name. */
export function socketPath(name: string, directory = RUN_DIRECTORY): string {
	return `${directory}/${checkedName(name)}.sock`;
}

/**
 * Where `lbd-vrrp` listens for the daemon called `name`. No daemon's control socket or lock has such a name, as those end
 * otherwise.
 */
export function vrrpSocketPath(name: string, directory = RUN_DIRECTORY): string {
	return `${directory}/${checkedName(name)}.vrrp`;
}

/** The lock that only one daemon of that name can hold. */
export function lockPath(name: string, directory = RUN_DIRECTORY): string {
	return `${directory}/${checkedName(name)}.lock`;
}

/** A daemon's name becomes part of paths, so it is letters, digits, `_`, `-` and inner dots, 48 at most. */
export function checkedName(name: string): string {
	if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,47}$/.test(name)) return name;
	throw new ControlError(
		'bad-name',
		`--name: ${JSON.stringify(name)}: not usable as a name (letters, digits, _ - and inner dots; 48 characters at most)`,
		{exitCode: ExitCode.usage},
	);
}

/** A request line as an object, or why it is none. */
export function parseRequest(line: string): {ok: true; request: Request} | {ok: false; text: string} {
	const value = parseJson(line);
	if (!isObject(value)) return {ok: false, text: 'a request is one line with one JSON object'};
	const {id, call, params = null} = value;
	if (typeof id !== 'number') return {ok: false, text: '"id" must be a number'};
	if (typeof call !== 'string') return {ok: false, text: '"call" must be a string'};
	return {ok: true, request: {id, call, params}};
}

/** What a call is given, as it must be. Throws ControlError `bad-request`. */
export function parseParams<C extends CallName>(call: C, params: unknown): Params<C> {
	const {words, isRight} = PARAMS[call] ?? NO_PARAMS;
	if (!isRight(params)) throw new ControlError('bad-request', `"${call}" takes ${words}`);
	return params as Params<C>;
}

interface ParamsForm {
	readonly words: string;
	isRight(params: unknown): boolean;
}

const NO_PARAMS: ParamsForm = {words: 'no params', isRight: params => params === null};
const NAME: ParamsForm = {words: 'a name', isRight: params => typeof params === 'string'};
const PARAMS: Partial<Record<CallName, ParamsForm>> = {
	plan: {
		words: 'params {"file": PATH}, with an absolute path',
		isRight: params => isObject(params) && isAbsolutePath(params.file),
	},
	release: NAME,
	reclaim: NAME,
};

function isAbsolutePath(value: unknown): boolean {
	return typeof value === 'string' && value.startsWith('/') && !value.includes('\0');
}

/** A response line as an object, or null if it is none. */
export function parseResponse(line: string): Response | null {
	const value = parseJson(line);
	if (!isObject(value)) return null;
	const {error, result} = value;
	const id = typeof value.id === 'number' ? value.id : null;
	if (error === undefined) return {id, result};
	if (!isObject(error)) return null;
	return {id, error: {code: String(error.code), text: String(error.text), exitCode: knownExitCode(error.exitCode)}};
}

function knownExitCode(value: unknown): ExitCode {
	return Object.values(ExitCode).find(code => code === value) ?? ExitCode.failure;
}

function parseJson(line: string): unknown {
	try {
		return JSON.parse(line);
	} catch {
		return undefined;
	}
}

function isObject(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
