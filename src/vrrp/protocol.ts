/**
 * What `lbd` and `lbd-vrrp` say to each other over Node's IPC channel: plain JSON, both ends of the same build. The end of
 * the channel is a message too: `lbd-vrrp` then stops in good order, so that a dead daemon leaves no address behind.
 */
import type {Instance, MulticastGroups, Statics, SyncGroup, TrackerReport, TrackGroup} from '../conf/model.js';
import type {ExitCode} from '../errors.js';
import type {RefusalReason} from '../net/vrrp-packet.js';
import type {Cause, Role} from './machine.js';
import type {TrackStatus} from './tracking.js';

export interface VrrpConfig {
	readonly instances: readonly Instance[];
	readonly syncGroups: readonly SyncGroup[];
	readonly multicastGroups: MulticastGroups;
	readonly statics: Statics;
	readonly trackGroups: readonly TrackGroup[];
	/** See `wait` below; not unless told. */
	readonly waits?: boolean;
}

export interface InstanceStatus {
	readonly name: string;
	readonly interface: string;
	readonly vrid: number;
	readonly role: Role;
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
	/** `tracked`: all that is known of the trackers. */
	| {readonly kind: 'configure'; readonly config: VrrpConfig; readonly tracked: readonly TrackerReport[]}
	| {readonly kind: 'tracked'; readonly tracked: readonly TrackerReport[]}
	| {readonly kind: 'status'; readonly id: number}
	/** Nobody preempts a master before its connections are known here; who hears no master takes over all the same. */
	| {readonly kind: 'wait'; readonly waits: boolean}
	| {readonly kind: 'stop'};

export type FromVrrp =
	/** The program runs and listens; sent once. */
	| {readonly kind: 'ready'; readonly realTime: boolean}
	/** The last `configure` is in force. */
	| {readonly kind: 'configured'}
	| {readonly kind: 'transition'; readonly transition: Transition}
	| {readonly kind: 'rival'; readonly rival: Rival}
	| {readonly kind: 'priority'; readonly change: PriorityChange}
	| {readonly kind: 'status'; readonly id: number; readonly status: VrrpStatus}
	| {readonly kind: 'log'; readonly level: LogLevel; readonly fields: object; readonly text: string}
	/** The last `configure` cannot be carried out; what ran before it still runs. */
	| {readonly kind: 'fatal'; readonly exitCode: ExitCode; readonly text: string};
