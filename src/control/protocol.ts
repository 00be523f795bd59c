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
	reload: {params: null; result: ReloadReport};
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
	readonly interface: string;
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
}

/** How connections are shared with the other balancers. Counts are records since lbd-sync began. */
export interface SharingReport {
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
