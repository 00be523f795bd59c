/**
 * VRRP for one instance as a pure function (RFC 3768 §6.4, RFC 9568 §6.4). Where keepalived 2.2.7 differs from the RFC,
 * this follows keepalived, because it must get on with it on the same wire.
 *
 *            start, interface up
 *                   │           master down (in a group: when all members are ready)
 *   fault ◄──────► backup ─────────────────────────────► master
 *     ▲   interface │  ▲  better advert, address lost      │
 *     │  or tracker │  └───────────────────────────────────┤
 *     │        down │                                      │
 *     └─────────────┴──────────────────────────────────────┘
 *
 * Every state leads to `stopped` on `stop`. Members of a sync group do not leave backup or fault by themselves:
 * sync-group.ts decides for all of them and says so with a `follow` event.
 *
 * Mastership changes hands make-before-break, where the RFCs let both sides break first. Who leaves in good order says
 * so (priority 0), but *lingers*: it keeps the addresses until it hears its successor. Who takes over from a master that
 * is there has the addresses and has announced them before the advert that makes the other one let go.
 */
import type {Instance} from '../conf/model.js';

export type Role = 'init' | 'backup' | 'master' | 'fault' | 'stopped';
export type TimerName = 'master-down' | 'advert' | 'answer' | 'preempt-delay' | 'announce' | 'refresh' | 'linger';

/** What of an instance's configuration decides its state; `priority` is the effective one, with what trackers add. */
export interface MachineConfig
	extends Pick<Instance, 'priority' | 'version' | 'advertUs' | 'preempt' | 'preemptDelayUs' | 'garp'> {
	/** Member of a sync group. */
	readonly grouped: boolean;
}

export interface MachineState {
	readonly role: Role;
	/** The interface can carry adverts, being up and having an address, and no tracker forbids it. */
	readonly healthy: boolean;
	/** A grouped backup that would be master by now. */
	readonly ready: boolean;
	/** A backup that waits for the skew time only, as nobody is master. */
	readonly hurried: boolean;
	/** Of a backup: there is a master that serves until it hears us, as it resigned or ranks below us. */
	readonly served: boolean;
	/** Master no more, but with the addresses: until the successor is heard, and the `linger` timer at the latest. */
	readonly lingers: boolean;
	/** Told to leave mastership to others: it does not preempt, until it is told to or becomes master for want of another. */
	readonly released: boolean;
	/** Interval of the current master's adverts; version 3 learns it (RFC 9568 §6.1), version 2 has one for all. */
	readonly masterAdvertUs: number;
	/** `running` from the first lower-priority advert on, `over` when preemption may go ahead. */
	readonly preemptDelay: 'idle' | 'running' | 'over';
	/** Announcement rounds still owed when the `announce` timer expires, and what they answer. */
	readonly owed: {readonly rounds: number; readonly because: 'became-master' | 'lower-priority'} | null;
	/** Of a master: the `answer` timer runs, and whether somebody else has to hear from us when it expires. */
	readonly answer: 'ready' | 'resting' | 'due';
}

/** Why nothing can be master here: the interface, or what the instance tracks. */
export type Ailment = 'interface-down' | 'tracker-down';
type Recovery = 'interface-up' | 'tracker-up';

export type Cause =
	| 'start'
	| 'owner'
	| 'master-down'
	| 'higher-priority'
	| 'higher-address'
	| 'address-lost'
	| 'interface-down'
	| 'interface-up'
	| 'tracker-down'
	| 'tracker-up'
	| 'sync-group'
	| 'released'
	| 'resumed'
	| 'stop';

export type MachineEvent =
	| {readonly kind: 'start'; readonly ailment: Ailment | null}
	/** It starts as the master that it was a moment ago, when nobody can have taken over. */
	| {readonly kind: 'resume'}
	/** It cannot start yet, and must not have what an earlier run left behind meanwhile. */
	| {readonly kind: 'hold'}
	/** A valid advertisement; `higherAddress`: its source address is above ours. */
	| {readonly kind: 'advert'; readonly priority: number; readonly higherAddress: boolean; readonly advertUs: number}
	| {readonly kind: 'timer'; readonly timer: TimerName}
	| {readonly kind: Ailment}
	| {readonly kind: Recovery}
	/** The priority in `config` is a new one. */
	| {readonly kind: 'priority-changed'; readonly before: number}
	/** Somebody else deleted one of our addresses. */
	| {readonly kind: 'address-lost'}
	/** The sync group moves all its members; `hurried`: nobody is master, wait for the skew time only. */
	| {readonly kind: 'follow'; readonly role: 'master' | 'backup' | 'fault'; readonly hurried: boolean}
	/** Another member of the group heard its master resign: ours must show itself within one interval. */
	| {readonly kind: 'doubt-master'}
	/** A configuration is in force, which may be another one than before. */
	| {readonly kind: 'reconfigured'; readonly before: MachineConfig}
	/** Leave mastership to another router. */
	| {readonly kind: 'release'}
	/** Compete for mastership again. */
	| {readonly kind: 'reclaim'}
	/** `orderly`: a master lingers, and needs adverts and its timer until it has let go. */
	| {readonly kind: 'stop'; readonly orderly: boolean};

export type Effect =
	/** Priority 0 resigns. */
	| {readonly kind: 'send-advert'; readonly priority: number}
	| {readonly kind: 'add-addresses'}
	| {readonly kind: 'remove-addresses'}
	/** Gratuitous ARP for every address, so many rounds. */
	| {readonly kind: 'announce'; readonly rounds: number}
	| {readonly kind: 'set-timer'; readonly timer: TimerName; readonly us: number}
	/** Like set-timer, unless the timer expires earlier anyway. */
	| {readonly kind: 'shorten-timer'; readonly timer: TimerName; readonly us: number}
	/** Lets a running timer expire so much later, or earlier. */
	| {readonly kind: 'shift-timer'; readonly timer: TimerName; readonly us: number}
	| {readonly kind: 'cancel-timers'}
	| {readonly kind: 'cancel-timer'; readonly timer: TimerName}
	| {readonly kind: 'transition'; readonly from: Role; readonly to: Role; readonly cause: Cause}
	/** A master that ranks below us advertises. */
	| {readonly kind: 'report-lower-priority'}
	/** The master resigned. */
	| {readonly kind: 'report-resigned'};

export interface Step {
	readonly state: MachineState;
	readonly effects: readonly Effect[];
}

/** RFC 3768 §6.1: the master is given up after so many silent intervals (and the skew time). */
const DOWN_INTERVALS = 3;
/** The owner of the addresses: outranks everybody and does not wait (RFC 3768 §5.3.4). */
export const OWNER_PRIORITY = 255;
const SECOND_US = 1_000_000;
/**
 * How long the addresses stay after the successor's first advert: keepalived advertises before it has its addresses, and
 * the members of a sync group take over one after another.
 */
const LINGER_HEARD_US = 100_000;
/** What a late timer of the successor's may take, beside its skew time. */
const LINGER_MARGIN_US = 250_000;
/** Between answers to other masters; no honest one advertises more often (RFC 9568 §5.2.7). */
const ANSWER_REST_US = 10_000;
/** The skew of a version 3 backup may be 40 s, and nobody waits that long for an end. */
const LINGER_MAX_US = 10_000_000;

/** What a backup's wait goes by. */
const WAIT_TERMS = ['priority', 'version', 'advertUs', 'preempt', 'preemptDelayUs', 'grouped'] as const;

export function initialState(config: MachineConfig): MachineState {
	return {
		role: 'init',
		healthy: false,
		ready: false,
		hurried: false,
		served: false,
		lingers: false,
		released: false,
		masterAdvertUs: config.advertUs,
		preemptDelay: 'idle',
		owed: null,
		answer: 'ready',
	};
}

/** Lower priorities wait longer, so that the best backup is first (RFC 3768 §6.1; version 3 scales it, RFC 9568 §6.1). */
export function skewUs(config: MachineConfig, masterAdvertUs: number): number {
	const spanUs = config.version === 2 ? SECOND_US : masterAdvertUs;
	return Math.floor(((256 - config.priority) * spanUs) / 256);
}

/** How long a master may be silent: no backup takes over before, whatever its priority. */
export function silentUs(config: MachineConfig): number {
	return DOWN_INTERVALS * config.advertUs;
}

export function masterDownUs(config: MachineConfig, masterAdvertUs: number): number {
	return DOWN_INTERVALS * masterAdvertUs + skewUs(config, masterAdvertUs);
}

/** Until any backup must have taken over from a master that resigned. */
function lingerUs(config: MachineConfig): number {
	const longestUs = skewUs({...config, priority: 1}, config.advertUs);
	return Math.min(longestUs, LINGER_MAX_US) + LINGER_MARGIN_US;
}

/** The next state and what must be done, in order. Events that mean nothing in a state change nothing. */
export function step(state: MachineState, event: MachineEvent, config: MachineConfig): Step {
	switch (state.role) {
		case 'init':
			return inInit(state, event, config);
		case 'backup':
			return inBackup(state, event, config);
		case 'master':
			return inMaster(state, event, config);
		case 'fault':
			return inFault(state, event, config);
		case 'stopped':
			return inStopped(state, event);
		default:
			return state.role satisfies never;
	}
}

function inInit(state: MachineState, event: MachineEvent, config: MachineConfig): Step {
	switch (event.kind) {
		case 'start':
			return onStart(state, event.ailment, config);
		case 'resume':
			return toMaster({...state, healthy: true}, 'resumed', config);
		case 'hold':
			return stay(state, {kind: 'remove-addresses'});
		case 'release':
		case 'reclaim':
			return stay({...state, released: event.kind === 'release'});
		case 'stop':
			return toStopped(state, []);
		default:
			return stay(state);
	}
}

/** keepalived §3.4: whatever `state` says, everybody but an owner begins by listening. */
function onStart(state: MachineState, ailment: Ailment | null, config: MachineConfig): Step {
	const start = {...state, healthy: ailment === null};
	if (ailment !== null) return toFault(start, ailment);
	if (config.priority !== OWNER_PRIORITY) return toBackup(start, 'start', config);
	return config.grouped ? toBackup({...start, ready: true}, 'start', config) : toMaster(start, 'owner', config);
}

function inBackup(state: MachineState, event: MachineEvent, config: MachineConfig): Step {
	switch (event.kind) {
		case 'advert':
			return backupHears(state, event, config);
		case 'timer':
			return backupWaited(state, event.timer, config);
		case 'interface-down':
		case 'tracker-down':
			return toFault({...state, healthy: false}, event.kind);
		case 'follow':
			return follow(state, event, config);
		case 'doubt-master':
			return stay(state, {
				kind: 'shorten-timer',
				timer: 'master-down',
				us: state.masterAdvertUs + skewUs(config, state.masterAdvertUs),
			});
		case 'reconfigured':
			return backupReconfigured(state, event.before, config);
		case 'release':
			return backupReleased({...state, released: true}, config);
		case 'reclaim':
			return stay({...state, released: false});
		case 'stop':
			return state.lingers ? stopWithAddresses(state, event.orderly, [], config) : toStopped(state, []);
		case 'priority-changed':
			return stay(state, shiftWait(state, event.before, config));
		case 'start':
		case 'resume':
		case 'hold':
		case 'interface-up':
		case 'tracker-up':
		case 'address-lost':
			return stay(state);
		default:
			return event satisfies never;
	}
}

type AdvertEvent = Extract<MachineEvent, {kind: 'advert'}>;

/** RFC 3768 §6.4.2. */
function backupHears(state: MachineState, advert: AdvertEvent, config: MachineConfig): Step {
	const heard = config.version === 3 ? {...state, masterAdvertUs: advert.advertUs} : state;
	if (advert.priority === 0) {
		return {
			state: {...heard, hurried: true, served: true},
			effects: [
				{kind: 'set-timer', timer: 'master-down', us: skewUs(config, heard.masterAdvertUs)},
				{kind: 'report-resigned'},
			],
		};
	}
	const {state: next, effects} = backupHearsMaster(heard, advert, config);
	return {state: next, effects: [...successorHeard(state), ...effects]};
}

function backupHearsMaster(state: MachineState, advert: AdvertEvent, config: MachineConfig): Step {
	if (advert.priority >= config.priority || state.released) return respectMaster(state, config);
	if (!config.preempt) return waitForMaster(state, config);
	return delayPreemption(state, config);
}

/** A reload that leaves VRRP as it was must not make a backup wait anew for a master that has resigned or is dead. */
function backupReconfigured(state: MachineState, before: MachineConfig, config: MachineConfig): Step {
	if (WAIT_TERMS.every(term => before[term] === config[term])) return stay(state);
	return waitForMaster({...state, masterAdvertUs: config.advertUs}, config);
}

/** Who lingers may go soon. */
function successorHeard({lingers}: MachineState): Effect[] {
	return lingers ? [{kind: 'shorten-timer', timer: 'linger', us: LINGER_HEARD_US}] : [];
}

/** A take-over from a worse master may be due any moment. */
function backupReleased(state: MachineState, config: MachineConfig): Step {
	return state.served && !state.hurried ? respectMaster(state, config) : stay(state);
}

/** A better router is master: wait for it to fall silent, and begin a later preemption delay from the start. */
function respectMaster(state: MachineState, config: MachineConfig): Step {
	const waiting = waitForMaster({...state, preemptDelay: 'idle'}, config);
	if (state.preemptDelay !== 'running') return waiting;
	return {...waiting, effects: [{kind: 'cancel-timer', timer: 'preempt-delay'}, ...waiting.effects]};
}

/** A worse router is master. Letting the timer run ends in taking over from it; `preempt_delay` puts that off. */
function delayPreemption(state: MachineState, config: MachineConfig): Step {
	if (config.preemptDelayUs === 0 || state.preemptDelay === 'over') {
		return stay({...state, served: true}, {kind: 'report-lower-priority'});
	}
	const waiting = waitForMaster({...state, preemptDelay: 'running'}, config);
	if (state.preemptDelay === 'running') return waiting;
	const delay: Effect = {kind: 'set-timer', timer: 'preempt-delay', us: config.preemptDelayUs};
	return {...waiting, effects: [delay, ...waiting.effects]};
}

function backupWaited(state: MachineState, timer: TimerName, config: MachineConfig): Step {
	if (timer === 'preempt-delay') return stay({...state, preemptDelay: 'over'});
	if (timer === 'linger') return letGo(state);
	if (timer !== 'master-down') return stay(state);
	return config.grouped ? stay({...state, ready: true}) : toMaster(state, 'master-down', config);
}

function inMaster(state: MachineState, event: MachineEvent, config: MachineConfig): Step {
	switch (event.kind) {
		case 'advert':
			return masterHears(state, event, config);
		case 'timer':
			return masterWaited(state, event.timer, config);
		case 'interface-down':
		case 'tracker-down':
			return toFault({...state, healthy: false}, event.kind);
		case 'address-lost':
			return toBackup(state, 'address-lost', config, true);
		case 'follow':
			return follow(state, event, config);
		case 'reconfigured':
			return {state, effects: [{kind: 'add-addresses'}, ...advertise(config), announce(config.garp.masterRepeat)]};
		case 'release':
			return release(state, config);
		case 'stop':
			return stopWithAddresses(state, event.orderly, [RESIGN], config);
		case 'start':
		case 'resume':
		case 'reclaim':
		case 'hold':
		case 'interface-up':
		case 'tracker-up':
		// The next advert says it, as in keepalived.
		case 'priority-changed':
		case 'doubt-master':
			return stay(state);
		default:
			return event satisfies never;
	}
}

/** RFC 3768 §6.4.3. */
function masterHears(state: MachineState, advert: AdvertEvent, config: MachineConfig): Step {
	if (advert.priority === 0) return answer(state, config);
	const outranked = advert.priority > config.priority || (advert.priority === config.priority && advert.higherAddress);
	if (!outranked) return forceElection(state, config);
	const learned = config.version === 3 ? {...state, masterAdvertUs: advert.advertUs} : state;
	const cause = advert.priority > config.priority ? 'higher-priority' : 'higher-address';
	return toBackup(learned, cause, config);
}

/**
 * Two masters, and we rank above the other: it must hear us at once, and the segment must learn again where the
 * addresses are, or it goes on sending to the loser (keepalived's `garp_lower_prio_*`). Announced once until the delayed
 * repetition is done, so that a stranger's flood of adverts is not multiplied by us.
 */
function forceElection(state: MachineState, config: MachineConfig): Step {
	const answered = answer(state, config);
	const effects: Effect[] = [{kind: 'report-lower-priority'}, ...answered.effects];
	if (state.owed?.because === 'lower-priority') return {state: answered.state, effects};
	const {lowerPriorityRepeat: rounds, lowerPriorityDelayUs} = config.garp;
	return {
		state: {...answered.state, owed: {rounds, because: 'lower-priority'}},
		effects: [...effects, announce(rounds), {kind: 'set-timer', timer: 'announce', us: lowerPriorityDelayUs}],
	};
}

/**
 * Lets another master hear us: at once, unless it just has. What has waited in the socket of a process that did not run, or
 * what a stranger makes up, is answered once and not each.
 */
function answer(state: MachineState, config: MachineConfig): Step {
	if (state.answer !== 'ready') return stay({...state, answer: 'due'});
	return {
		state: {...state, answer: 'resting'},
		effects: [...advertise(config), {kind: 'set-timer', timer: 'answer', us: ANSWER_REST_US}],
	};
}

function masterWaited(state: MachineState, timer: TimerName, config: MachineConfig): Step {
	switch (timer) {
		case 'advert':
			return {state, effects: advertise(config)};
		case 'answer':
			return state.answer === 'due' ? answer({...state, answer: 'ready'}, config) : stay({...state, answer: 'ready'});
		case 'announce':
			return state.owed === null ? stay(state) : stay({...state, owed: null}, announce(state.owed.rounds));
		case 'refresh':
			return {state, effects: [announce(config.garp.masterRefreshRepeat), ...refreshTimer(config)]};
		case 'master-down':
		case 'preempt-delay':
		case 'linger':
			return stay(state);
		default:
			return timer satisfies never;
	}
}

function inFault(state: MachineState, event: MachineEvent, config: MachineConfig): Step {
	switch (event.kind) {
		case 'interface-up':
		case 'tracker-up':
			return recover({...state, healthy: true}, event.kind, config);
		case 'reconfigured':
			// It may have left the group whose fault this was.
			return state.healthy ? recover(state, 'interface-up', config) : stay(state);
		case 'interface-down':
		case 'tracker-down':
			return stay({...state, healthy: false});
		case 'follow':
			return follow(state, event, config);
		case 'release':
		case 'reclaim':
			return stay({...state, released: event.kind === 'release'});
		case 'stop':
			return toStopped(state, []);
		case 'start':
		case 'resume':
		case 'hold':
		case 'advert':
		case 'timer':
		case 'priority-changed':
		case 'address-lost':
		case 'doubt-master':
			return stay(state);
		default:
			return event satisfies never;
	}
}

/** It hears and waits only while it lingers. */
function inStopped(state: MachineState, event: MachineEvent): Step {
	if (event.kind === 'advert' && event.priority > 0) return stay(state, ...successorHeard(state));
	return event.kind === 'timer' && event.timer === 'linger' ? letGo(state) : stay(state);
}

/** A grouped instance waits until the whole group has recovered. */
function recover(state: MachineState, cause: Recovery, config: MachineConfig): Step {
	return config.grouped ? stay(state) : toBackup(state, cause, config);
}

/** The sync group has decided (keepalived §3.5). */
function follow(state: MachineState, event: Extract<MachineEvent, {kind: 'follow'}>, config: MachineConfig): Step {
	if (event.role === state.role) return stay(state);
	switch (event.role) {
		case 'master':
			return toMaster(state, 'sync-group', config);
		case 'backup':
			return toBackup(state, 'sync-group', config, event.hurried);
		case 'fault':
			return toFault(state, 'sync-group');
		default:
			return event.role satisfies never;
	}
}

/**
 * keepalived §3.4: one advert first, so that no other backup gets up; then the addresses; then everybody is told. But an
 * advert makes a master that is still there let go, so from that one we take over in the opposite order.
 */
function toMaster(state: MachineState, cause: Cause, config: MachineConfig): Step {
	const rounds = config.garp.masterRepeat;
	const settle: Effect[] = [{kind: 'add-addresses'}, announce(rounds)];
	return {
		state: {
			...state,
			role: 'master',
			ready: false,
			hurried: false,
			served: false,
			lingers: false,
			released: false,
			masterAdvertUs: config.advertUs,
			preemptDelay: 'idle',
			owed: {rounds, because: 'became-master'},
		},
		effects: [
			{kind: 'cancel-timers'},
			...(state.served ? [...settle, ...advertise(config)] : [...advertise(config), ...settle]),
			{kind: 'set-timer', timer: 'announce', us: config.garp.masterDelayUs},
			...refreshTimer(config),
			{kind: 'transition', from: state.role, to: 'master', cause},
		],
	};
}

/**
 * `hurried`: nobody else is master. A master that yields advertises once more (keepalived does with
 * `higher_prio_send_advert`): the winner of a split brain may not have heard of the loser, and only one that has announces
 * its addresses, without which the segment goes on sending to the loser until its ARP entries expire.
 */
function toBackup(state: MachineState, cause: Cause, config: MachineConfig, hurried = false): Step {
	const us = hurried ? skewUs(config, state.masterAdvertUs) : masterDownUs(config, state.masterAdvertUs);
	const leave: Effect[] = state.role === 'master' ? [{kind: 'send-advert', priority: config.priority}] : [];
	const lingers = state.role === 'master' && !hurried;
	return {
		state: {...state, role: 'backup', hurried, served: false, lingers, preemptDelay: 'idle', ...OWES_NOTHING},
		effects: [
			{kind: 'cancel-timers'},
			...leave,
			lingers ? {kind: 'set-timer', timer: 'linger', us: LINGER_HEARD_US} : {kind: 'remove-addresses'},
			{kind: 'set-timer', timer: 'master-down', us},
			{kind: 'transition', from: state.role, to: 'backup', cause},
		],
	};
}

/**
 * Resigns and lingers. When everybody else has had time to take over and nobody has, it is master again, with addresses
 * that were never gone; in a group when all members are that far, and one that is not lets go in the end.
 */
function release(state: MachineState, config: MachineConfig): Step {
	const us = lingerUs(config);
	return {
		state: {...state, role: 'backup', lingers: true, released: true, ...OWES_NOTHING},
		effects: [
			{kind: 'cancel-timers'},
			RESIGN,
			{kind: 'set-timer', timer: 'master-down', us},
			{kind: 'set-timer', timer: 'linger', us: 2 * us},
			{kind: 'transition', from: state.role, to: 'backup', cause: 'released'},
		],
	};
}

function letGo(state: MachineState): Step {
	return stay({...state, lingers: false}, {kind: 'remove-addresses'});
}

/**
 * The resignation is sent twice, as keepalived does: on a failing interface one may be lost. In a group it is the healthy
 * members' peers that it reaches, and it saves them the wait.
 */
function toFault(state: MachineState, cause: Cause): Step {
	const leave: Effect[] = state.role === 'master' ? [RESIGN, RESIGN] : [];
	return {
		state: {...state, ...AT_REST, role: 'fault'},
		effects: [
			{kind: 'cancel-timers'},
			...leave,
			{kind: 'remove-addresses'},
			{kind: 'transition', from: state.role, to: 'fault', cause},
		],
	};
}

/** What ends with mastership. */
const OWES_NOTHING = {owed: null, answer: 'ready'} as const satisfies Partial<MachineState>;

/** What a router that neither is master nor waits to be has left behind. */
const AT_REST = {
	ready: false,
	hurried: false,
	served: false,
	lingers: false,
	preemptDelay: 'idle',
	...OWES_NOTHING,
} as const satisfies Partial<MachineState>;

function stopWithAddresses(
	state: MachineState,
	orderly: boolean,
	leave: readonly Effect[],
	config: MachineConfig,
): Step {
	if (!orderly) return toStopped(state, [...leave, {kind: 'remove-addresses'}]);
	const stopped = toStopped(state, [...leave, {kind: 'set-timer', timer: 'linger', us: lingerUs(config)}]);
	return {...stopped, state: {...stopped.state, lingers: true}};
}

function toStopped(state: MachineState, leave: readonly Effect[]): Step {
	return {
		state: {...state, ...AT_REST, role: 'stopped'},
		effects: [{kind: 'cancel-timers'}, ...leave, {kind: 'transition', from: state.role, to: 'stopped', cause: 'stop'}],
	};
}

function waitForMaster(state: MachineState, config: MachineConfig): Step {
	return stay(
		{...state, ready: false, hurried: false, served: false},
		{kind: 'set-timer', timer: 'master-down', us: masterDownUs(config, state.masterAdvertUs)},
	);
}

/** Another priority, another skew: a wait that has begun ends as if it had begun with the new one (keepalived does so). */
function shiftWait(state: MachineState, before: number, config: MachineConfig): Effect {
	const beforeUs = skewUs({...config, priority: before}, state.masterAdvertUs);
	return {kind: 'shift-timer', timer: 'master-down', us: skewUs(config, state.masterAdvertUs) - beforeUs};
}

const RESIGN: Effect = {kind: 'send-advert', priority: 0};

function advertise(config: MachineConfig): Effect[] {
	return [
		{kind: 'send-advert', priority: config.priority},
		{kind: 'set-timer', timer: 'advert', us: config.advertUs},
	];
}

function refreshTimer(config: MachineConfig): Effect[] {
	const us = config.garp.masterRefreshUs;
	return us === 0 ? [] : [{kind: 'set-timer', timer: 'refresh', us}];
}

function announce(rounds: number): Effect {
	return {kind: 'announce', rounds};
}

function stay(state: MachineState, ...effects: readonly Effect[]): Step {
	return {state, effects};
}
