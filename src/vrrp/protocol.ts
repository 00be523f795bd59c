/**
 * What `lbd` and `lbd-vrrp` say to each other over `lbd-vrrp`'s socket: one JSON object a line. `lbd` begins with `hello`
 * and is answered `ready`. Both ends are of the same build but for the messages `hello`, `ready`, `hand-on`,
 * `handed-on` and `stop`, whose form must therefore stay. The end of the connection is a message too: `lbd-vrrp` then waits some time for
 * another `lbd`, and stops in good order, so that a dead daemon leaves no address behind.
 */
import type {
	Config,
	Instance,
	LinkDelay,
	MulticastGroups,
	Statics,
	SyncGroup,
	TrackerReport,
	TrackGroup,
} from '../conf/model.js';
import type {ExitCode} from '../errors.js';
import type {Family} from '../net/address.js';
import type {TrailerMemory} from '../net/vrrp-hmac.js';
import type {RefusalReason} from '../net/vrrp-packet.js';
import type {Cause, Role} from './machine.js';
import type {OtherMaster} from './rival-watch.js';
import type {TrackStatus} from './tracking.js';

export interface VrrpConfig {
	/** Name of the daemon whose data plane has the leases. */
	readonly daemon: string;
	readonly instances: readonly Instance[];
	readonly syncGroups: readonly SyncGroup[];
	readonly multicastGroups: MulticastGroups;
	readonly statics: Statics;
	readonly trackGroups: readonly TrackGroup[];
	readonly linkDelays: readonly LinkDelay[];
	/** Interfaces that are not there yet are no error: instances wait for them in fault. */
	readonly dynamicInterfaces: boolean;
	/** How long `lbd-vrrp` goes on without `lbd`. */
	readonly graceUs: number;
	/** See `wait` below. */
	readonly waits: boolean;
}

/** What the file says of VRRP, for the `lbd-vrrp` of a daemon. */
export function vrrpConfig(daemon: string, config: Config, waits = false): VrrpConfig {
	const {instances, syncGroups, statics, trackGroups, linkDelays, globals, settings} = config;
	const {multicastGroups, dynamicInterfaces} = globals;
	const blocks = {instances, syncGroups, statics, trackGroups, linkDelays};
	return {daemon, ...blocks, multicastGroups, dynamicInterfaces, graceUs: settings.vrrpGraceUs, waits};
}

/** What an instance was in a process that has left everything as it was. */
export interface Legacy {
	/** See `keyOf`. */
	readonly key: string;
	/** It is still master for so long, even if it says nothing: nobody takes over sooner. 0: it is not. */
	readonly masterForUs: number;
	readonly released: boolean;
	/** Of the last authentication header that it has sent or believed; absent: of an older build. */
	readonly sequence?: number;
	/** Absent: of an older build. */
	readonly trailers?: TrailerMemory;
}

export interface InstanceStatus {
	readonly name: string;
	readonly interface: string;
	readonly family: Family;
	readonly vrid: number;
	readonly role: Role;
	/** Why; null before the start. */
	readonly cause: Cause | null;
	/** Told to leave mastership to others. */
	readonly released: boolean;
	/** Master no more, but with the addresses until its successor is heard. */
	readonly lingers: boolean;
	/** When the role began, ISO 8601. */
	readonly since: string;
	/** In effect now: the configured one and what trackers add. */
	readonly priority: number;
	readonly basePriority: number;
	readonly tracks: readonly TrackStatus[];
	/** It would preempt, but for what it does not know yet of the master's connections. */
	readonly waits: boolean;
	/** Whom we take for the master, ourselves included; null while nobody is. */
	readonly master: {readonly address: string; readonly priority: number} | null;
	readonly addresses: readonly string[];
	readonly advertsSent: number;
	readonly advertsReceived: number;
	/** Received packets that were not adverts for this instance. */
	readonly refused: Readonly<Partial<Record<RefusalReason, number>>>;
	/** Packets that the kernel did not take. */
	readonly sendErrors: number;
	readonly transitions: Readonly<Partial<Record<Role, number>>>;
	/** Another master, while we are one; see rival-watch.ts. */
	readonly rival: (OtherMaster & {/** ISO 8601. */ readonly since: string}) | null;
	/** How often there were two. */
	readonly rivalsTotal: number;
	/** How late the latest timer of all was, in microseconds. */
	readonly timerLatenessMaxUs: number;
}

export interface GroupStatus {
	readonly name: string;
	readonly role: Role;
	readonly instances: readonly string[];
}

export interface VrrpStatus {
	/** Every thread runs under SCHED_FIFO. */
	readonly realTime: boolean;
	readonly instances: readonly InstanceStatus[];
	readonly groups: readonly GroupStatus[];
	/** How much of what it holds somebody else has deleted. */
	readonly deleted: Readonly<Record<'address' | 'route' | 'rule', number>>;
}

export interface Transition {
	readonly scope: 'instance' | 'group';
	readonly name: string;
	readonly from: Role;
	readonly to: Role;
	readonly cause: Cause;
	/** 0 for groups, as in keepalived's `notify`. */
	readonly priority: number;
}

/** A master hears a router that ranks below it; told once an advert interval at most. */
export interface Rival {
	readonly instance: string;
	/** The master's own. */
	readonly priority: number;
}

/** The effective priority of a master or backup has changed: by a tracker, or by a reload. */
export interface PriorityChange {
	readonly instance: string;
	readonly master: boolean;
	readonly priority: number;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type ToVrrp =
	/** The first word of a daemon; no other program says it. */
	| {readonly kind: 'hello'}
	/** `tracked`: all that is known of the trackers. `legacies`: of a process before this one. */
	| {
			readonly kind: 'configure';
			readonly config: VrrpConfig;
			readonly tracked: readonly TrackerReport[];
			readonly legacies: readonly Legacy[];
	  }
	| {readonly kind: 'tracked'; readonly tracked: readonly TrackerReport[]}
	| {readonly kind: 'status'; readonly id: number}
	/** Leave mastership of an instance or sync group to another router, or compete for it again. */
	| {readonly kind: 'release' | 'reclaim'; readonly id: number; readonly name: string}
	/** End and leave everything as it is for a process of another build, which goes on from there. */
	| {readonly kind: 'hand-on'}
	/** Nobody preempts a master before its connections are known here; who hears no master takes over all the same. */
	| {readonly kind: 'wait'; readonly waits: boolean}
	| {readonly kind: 'stop'};

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const areObjects = (value: unknown): boolean => Array.isArray(value) && value.every(isObject);
const always = (): boolean => true;
const isAboutName = ({id, name}: Fields): boolean => typeof id === 'number' && typeof name === 'string';

function isConfig(config: unknown): boolean {
	if (!isObject(config)) return false;
	const {instances, syncGroups, trackGroups, statics, multicastGroups, graceUs} = config;
	const lists = [instances, syncGroups, trackGroups];
	return (
		lists.every(areObjects) && [statics, multicastGroups].every(isObject) && typeof graceUs === 'number' && graceUs >= 0
	);
}

/** What the fields of each kind must be. Only the surface of a configuration is looked at: lbd has checked the rest. */
const FORMS: Readonly<Record<ToVrrp['kind'], (message: Fields) => boolean>> = {
	hello: always,
	configure: ({config, tracked, legacies}) => isConfig(config) && areObjects(tracked) && areObjects(legacies),
	tracked: ({tracked}) => areObjects(tracked),
	status: ({id}) => typeof id === 'number',
	release: isAboutName,
	reclaim: isAboutName,
	'hand-on': always,
	wait: ({waits}) => typeof waits === 'boolean',
	stop: always,
};

/** What somebody has said to `lbd-vrrp`; null if no lbd says such a thing. */
export function parseToVrrp(said: object): ToVrrp | null {
	const message = said as Fields;
	const {kind} = message;
	if (typeof kind !== 'string' || !Object.hasOwn(FORMS, kind)) return null;
	return FORMS[kind as ToVrrp['kind']](message) ? (said as ToVrrp) : null;
}

export type FromVrrp =
	/** The program runs and listens; the first word to each daemon. `status`: of what an earlier daemon has configured. */
	| {readonly kind: 'ready'; readonly build: string; readonly realTime: boolean; readonly status: VrrpStatus | null}
	/** The last `configure` is in force. */
	| {readonly kind: 'configured'}
	| {readonly kind: 'transition'; readonly transition: Transition}
	| {readonly kind: 'rival'; readonly rival: Rival}
	| {readonly kind: 'priority'; readonly change: PriorityChange}
	| {readonly kind: 'status'; readonly id: number; readonly status: VrrpStatus}
	/** To `release` or `reclaim`: the instances it concerned, and how they are now. */
	| {readonly kind: 'released'; readonly id: number; readonly instances: readonly InstanceStatus[]}
	/** The last word of this process. */
	| {readonly kind: 'handed-on'; readonly legacies: readonly Legacy[]; readonly tracked: readonly TrackerReport[]}
	| {readonly kind: 'log'; readonly level: LogLevel; readonly fields: object; readonly text: string}
	/** The last `configure` cannot be carried out; what ran before it still runs. */
	| {readonly kind: 'fatal'; readonly exitCode: ExitCode; readonly text: string};
