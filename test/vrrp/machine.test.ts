/** The pure machine against a table of every situation and every event, and the laws that hold whatever happens. */
import test from 'ava';
import {
	type Effect,
	initialState,
	type MachineConfig,
	type MachineEvent,
	type MachineState,
	masterDownUs,
	type Role,
	skewUs,
	step,
	type TimerName,
} from '../../src/vrrp/machine.js';
import {seconds} from '../fake/clock.js';
import {seeded} from '../fake/lan.js';

const config: MachineConfig = {
	priority: 100,
	version: 2,
	advertUs: seconds(1),
	preempt: true,
	preemptDelayUs: 0,
	garp: {
		masterRepeat: 5,
		masterDelayUs: seconds(5),
		masterRefreshUs: 0,
		masterRefreshRepeat: 1,
		lowerPriorityRepeat: 2,
		lowerPriorityDelayUs: seconds(3),
	},
	grouped: false,
};
const grouped = {...config, grouped: true};
const skew = 609_375;
const down = seconds(3) + skew;

/** The states, those apart in which every event may mean something else. */
type Situation = Role | `${'backup' | 'stopped'}, lingers`;

/** Where each row begins, but for what it says itself. */
const states: Record<Situation, MachineState> = {
	init: initialState(config),
	backup: {...initialState(config), role: 'backup', healthy: true},
	'backup, lingers': {...initialState(config), role: 'backup', healthy: true, lingers: true},
	master: {...initialState(config), role: 'master', healthy: true},
	fault: {...initialState(config), role: 'fault'},
	stopped: {...initialState(config), role: 'stopped'},
	'stopped, lingers': {...initialState(config), role: 'stopped', lingers: true},
};

const advert = (priority: number, higherAddress = false, advertUs = seconds(1)): MachineEvent => ({
	kind: 'advert',
	priority,
	higherAddress,
	advertUs,
});
const timer = (name: TimerName): MachineEvent => ({kind: 'timer', timer: name});
const follow = (role: 'master' | 'backup' | 'fault', hurried = false): MachineEvent => ({
	kind: 'follow',
	role,
	hurried,
});

/** One effect in one line. */
function show(effect: Effect): string {
	switch (effect.kind) {
		case 'send-advert':
			return `send ${effect.priority}`;
		case 'announce':
			return `announce ×${effect.rounds}`;
		case 'set-timer':
			return `${effect.timer} in ${effect.us}`;
		case 'shorten-timer':
			return `${effect.timer} in ${effect.us} or sooner`;
		case 'shift-timer':
			return `${effect.timer} by ${effect.us}`;
		case 'cancel-timer':
			return `cancel ${effect.timer}`;
		case 'transition':
			return `${effect.from} → ${effect.to}: ${effect.cause}`;
		default:
			return effect.kind;
	}
}

/** Every event, those apart that differ in what they are about. */
type EventName =
	| Exclude<MachineEvent['kind'], 'timer' | 'follow' | 'stop'>
	| `stop ${'in good order' | 'at once'}`
	| `timer ${TimerName}`
	| `follow ${Extract<MachineEvent, {kind: 'follow'}>['role']}`;

function nameOf(event: MachineEvent): EventName {
	if (event.kind === 'timer') return `timer ${event.timer}`;
	if (event.kind === 'stop') return event.orderly ? 'stop in good order' : 'stop at once';
	return event.kind === 'follow' ? `follow ${event.role}` : event.kind;
}

interface Row {
	/** The condition; empty where there is none. */
	readonly when: string;
	/** `k` is a section of keepalived-behaviour.md, measured at 2.2.7; `ours` is where we go beyond both. */
	readonly source: string;
	readonly event: MachineEvent;
	/** What differs from the state's usual one. */
	readonly state?: Partial<MachineState>;
	readonly config?: MachineConfig;
	/** What changes in the state. */
	readonly becomes?: Partial<MachineState>;
	readonly effects?: readonly string[];
}

/** A state or event that is new has no row, and this file does not compile. */
type Table = Readonly<Record<Situation, Rows>>;
type Rows = Readonly<Record<EventName, readonly Row[]>>;

/** The source of what no RFC and no keepalived does. */
const handOver = 'ours: hand-over, see machine.ts';

const becameMaster = {rounds: 5, because: 'became-master'} as const;
const enterBackup = ['cancel-timers', 'remove-addresses', `master-down in ${down}`];
const leaveMaster = ['cancel-timers', 'send 100', 'linger in 100000', `master-down in ${down}`];
const returnSoon = ['cancel-timers', 'send 100', 'remove-addresses', `master-down in ${skew}`];
const enterFault = ['cancel-timers', 'remove-addresses'];
const resignTwice = ['cancel-timers', 'send 0', 'send 0', 'remove-addresses'];
const advertise = ['send 100', `advert in ${seconds(1)}`];
const answers = [...advertise, 'answer in 10000'];
const enterMaster = ['cancel-timers', ...advertise, 'add-addresses', 'announce ×5', `announce in ${seconds(5)}`];
const makeBeforeBreak = ['cancel-timers', 'add-addresses', 'announce ×5', ...advertise, `announce in ${seconds(5)}`];
/** Who is master serves, and is nobody's guest any more. */
const settled = {served: false, lingers: false, released: false} as const;
/** A backup of priority 1 has waited, and a quarter of a second has passed. */
const longest = 996_093 + 250_000;
const successorHeard = 'linger in 100000 or sooner';
const delayed = {...config, preemptDelayUs: seconds(60)};
const refreshing = {...config, garp: {...config.garp, masterRefreshUs: seconds(30)}};
const owner = {...config, priority: 255};

/** It means nothing here, for the reason that the source gives. */
const nothing = (event: MachineEvent, source = 'ours: cannot be, or says nothing new'): Row[] => [
	{when: '', source, event},
];
const start: MachineEvent = {kind: 'start', ailment: null};
const hold: MachineEvent = {kind: 'hold'};
const interfaceDown: MachineEvent = {kind: 'interface-down'};
const interfaceUp: MachineEvent = {kind: 'interface-up'};
const trackerDown: MachineEvent = {kind: 'tracker-down'};
const trackerUp: MachineEvent = {kind: 'tracker-up'};
const priorityChanged: MachineEvent = {kind: 'priority-changed', before: 228};
const addressLost: MachineEvent = {kind: 'address-lost'};
const doubtMaster: MachineEvent = {kind: 'doubt-master'};
const reconfigured: MachineEvent = {kind: 'reconfigured', before: config};
const resume: MachineEvent = {kind: 'resume'};
const release: MachineEvent = {kind: 'release'};
const reclaim: MachineEvent = {kind: 'reclaim'};
const stop: MachineEvent = {kind: 'stop', orderly: true};
const stopAtOnce: MachineEvent = {kind: 'stop', orderly: false};

/** All of them without an effect. */
const silence: Rows = {
	start: nothing(start),
	resume: nothing(resume),
	hold: nothing(hold),
	advert: [...nothing(advert(0)), ...nothing(advert(200))],
	'timer master-down': nothing(timer('master-down')),
	'timer advert': nothing(timer('advert')),
	'timer answer': nothing(timer('answer')),
	'timer preempt-delay': nothing(timer('preempt-delay')),
	'timer announce': nothing(timer('announce')),
	'timer refresh': nothing(timer('refresh')),
	'timer linger': nothing(timer('linger')),
	'interface-down': nothing(interfaceDown),
	'interface-up': nothing(interfaceUp),
	'tracker-down': nothing(trackerDown),
	'tracker-up': nothing(trackerUp),
	'priority-changed': nothing(priorityChanged),
	'address-lost': nothing(addressLost),
	'follow master': nothing(follow('master')),
	'follow backup': nothing(follow('backup')),
	'follow fault': nothing(follow('fault')),
	'doubt-master': nothing(doubtMaster),
	reconfigured: nothing(reconfigured),
	release: nothing(release),
	reclaim: nothing(reclaim),
	'stop in good order': nothing(stop),
	'stop at once': nothing(stopAtOnce),
};

/** Where it is only noted: it will not preempt later, or will. */
const releasing = {
	release: [{when: '', source: handOver, event: release, becomes: {released: true}}],
	reclaim: [{when: '', source: handOver, state: {released: true}, event: reclaim, becomes: {released: false}}],
} satisfies Partial<Rows>;

const letsGo: Row[] = [
	{
		when: 'nobody has been heard for too long, or somebody for long enough',
		source: handOver,
		event: timer('linger'),
		becomes: {lingers: false},
		effects: ['remove-addresses'],
	},
];

/** Where there is nothing to hand over. */
function stopping(source: string, role: Role): Pick<Rows, `stop ${'in good order' | 'at once'}`> {
	const row = {
		when: '',
		source,
		becomes: {role: 'stopped'},
		effects: ['cancel-timers', `${role} → stopped: stop`],
	} as const;
	return {'stop in good order': [{...row, event: stop}], 'stop at once': [{...row, event: stopAtOnce}]};
}

const backup: Rows = {
	...silence,
	advert: [
		...([200, 100] as const).map(priority => ({
			when: `priority ${priority}, ours 100`,
			source: 'RFC 3768 6.4.2, RFC 9568 6.4.2',
			state: {hurried: true, ready: true},
			event: advert(priority),
			becomes: {hurried: false, ready: false},
			effects: [`master-down in ${down}`],
		})),
		{
			when: 'higher, while it was about to take over from a lower one',
			source: handOver,
			state: {served: true},
			event: advert(200),
			becomes: {served: false},
			effects: [`master-down in ${down}`],
		},
		{
			when: 'lower',
			source: 'RFC 3768 6.4.2',
			event: advert(50),
			becomes: {served: true},
			effects: ['report-lower-priority'],
		},
		{
			when: 'lower, released',
			source: `${handOver}: it respects whoever is master`,
			state: {released: true},
			event: advert(1),
			effects: [`master-down in ${down}`],
		},
		{
			when: 'lower, nopreempt',
			source: 'RFC 3768 6.4.2',
			event: advert(50),
			config: {...config, preempt: false},
			effects: [`master-down in ${down}`],
		},
		{
			when: 'it resigns',
			source: 'RFC 3768 6.4.2',
			event: advert(0),
			becomes: {hurried: true, served: true},
			effects: [`master-down in ${skew}`, 'report-resigned'],
		},
		{
			when: 'it resigns, nopreempt',
			source: 'RFC 3768 6.4.2',
			event: advert(0),
			config: {...config, preempt: false},
			becomes: {hurried: true, served: true},
			effects: [`master-down in ${skew}`, 'report-resigned'],
		},
		{
			when: 'the first lower one, preempt_delay',
			source: 'k 3.4',
			event: advert(50),
			config: delayed,
			becomes: {preemptDelay: 'running'},
			effects: [`preempt-delay in ${seconds(60)}`, `master-down in ${down}`],
		},
		{
			when: 'lower, preempt_delay runs',
			source: 'k 3.4',
			state: {preemptDelay: 'running'},
			event: advert(50),
			config: delayed,
			effects: [`master-down in ${down}`],
		},
		{
			when: 'lower, preempt_delay is over',
			source: 'k 3.4',
			state: {preemptDelay: 'over'},
			event: advert(50),
			config: delayed,
			becomes: {served: true},
			effects: ['report-lower-priority'],
		},
		{
			when: 'higher, preempt_delay runs',
			source: 'k 3.4: it starts at the first lower one',
			state: {preemptDelay: 'running'},
			event: advert(200),
			config: delayed,
			becomes: {preemptDelay: 'idle'},
			effects: ['cancel preempt-delay', `master-down in ${down}`],
		},
		{
			when: 'version 3, another interval',
			source: 'RFC 9568 6.4.2',
			event: advert(200, false, 200_000),
			config: {...config, version: 3},
			becomes: {masterAdvertUs: 200_000},
			effects: [`master-down in ${600_000 + 121_875}`],
		},
		{
			when: 'version 3, resigns at another interval',
			source: 'RFC 9568 6.1',
			event: advert(0, false, 200_000),
			config: {...config, version: 3},
			becomes: {masterAdvertUs: 200_000, hurried: true, served: true},
			effects: [`master-down in 121875`, 'report-resigned'],
		},
	],
	'timer master-down': [
		{
			when: '',
			source: 'RFC 3768 6.4.2, order: k 3.4',
			event: timer('master-down'),
			becomes: {role: 'master', owed: becameMaster},
			effects: [...enterMaster, 'backup → master: master-down'],
		},
		{
			when: 'garp_master_refresh',
			source: 'k 3.6',
			event: timer('master-down'),
			config: refreshing,
			becomes: {role: 'master', owed: becameMaster},
			effects: [...enterMaster, `refresh in ${seconds(30)}`, 'backup → master: master-down'],
		},
		...[{served: true}, {served: true, hurried: true, released: true}].map(before => ({
			when: `from a master that is there: ${Object.keys(before)}`,
			source: handOver,
			state: before,
			event: timer('master-down'),
			becomes: {...settled, role: 'master', hurried: false, owed: becameMaster} as const,
			effects: [...makeBeforeBreak, 'backup → master: master-down'],
		})),
		{when: 'in a group', source: 'k 3.5', event: timer('master-down'), config: grouped, becomes: {ready: true}},
	],
	'timer preempt-delay': [
		{
			when: '',
			source: 'k 3.4',
			state: {preemptDelay: 'running'},
			event: timer('preempt-delay'),
			becomes: {preemptDelay: 'over'},
		},
	],
	'timer linger': letsGo,
	'interface-down': [
		{
			when: '',
			source: 'k 3.4',
			state: {ready: true, preemptDelay: 'running'},
			event: interfaceDown,
			becomes: {role: 'fault', healthy: false, ready: false, preemptDelay: 'idle'},
			effects: [...enterFault, 'backup → fault: interface-down'],
		},
	],
	'tracker-down': [
		{
			when: '',
			source: 'k 3.4',
			event: trackerDown,
			becomes: {role: 'fault', healthy: false},
			effects: [...enterFault, 'backup → fault: tracker-down'],
		},
	],
	'priority-changed': [
		{
			when: 'worse',
			source: 'k 3.3: the skew is of the effective one',
			event: priorityChanged,
			effects: [`master-down by ${seconds(0.5)}`],
		},
		{
			when: 'better, version 3',
			source: 'RFC 9568 6.1',
			state: {masterAdvertUs: 100_000},
			event: {kind: 'priority-changed', before: 36},
			config: {...config, version: 3},
			effects: ['master-down by -25000'],
		},
	],
	'follow master': [
		{
			when: '',
			source: 'k 3.5',
			state: {ready: true},
			event: follow('master'),
			config: grouped,
			becomes: {role: 'master', ready: false, owed: becameMaster},
			effects: [...enterMaster, 'backup → master: sync-group'],
		},
		{
			when: 'from a master that is there',
			source: handOver,
			state: {ready: true, served: true},
			event: follow('master'),
			config: grouped,
			becomes: {...settled, role: 'master', ready: false, owed: becameMaster},
			effects: [...makeBeforeBreak, 'backup → master: sync-group'],
		},
	],
	'follow fault': [
		{
			when: '',
			source: 'k 3.5',
			event: follow('fault'),
			config: grouped,
			becomes: {role: 'fault'},
			effects: [...enterFault, 'backup → fault: sync-group'],
		},
	],
	'doubt-master': [
		{
			when: '',
			source: 'ours',
			event: doubtMaster,
			config: grouped,
			effects: [`master-down in ${seconds(1) + skew} or sooner`],
		},
	],
	reconfigured: [
		{
			when: 'another priority',
			source: 'k 3.12',
			event: reconfigured,
			config: {...config, priority: 150},
			effects: [`master-down in ${seconds(3) + 414_062}`],
		},
		{
			when: 'nothing that its wait goes by',
			source: 'ours: a needed take-over is not put off',
			state: {hurried: true, served: true, ready: true},
			event: reconfigured,
			config: {...config, garp: {...config.garp, masterRepeat: 1}},
		},
	],
	release: [
		{when: '', source: handOver, event: release, becomes: {released: true}},
		{
			when: 'about to take over from a worse master',
			source: handOver,
			state: {served: true, preemptDelay: 'running'},
			event: release,
			becomes: {released: true, served: false, preemptDelay: 'idle'},
			effects: ['cancel preempt-delay', `master-down in ${down}`],
		},
		{
			when: 'nobody is master: it still takes over',
			source: handOver,
			state: {served: true, hurried: true},
			event: release,
			becomes: {released: true},
		},
	],
	reclaim: releasing.reclaim,
	...stopping('RFC 3768 6.4.2', 'backup'),
};

const table: Table = {
	init: {
		...silence,
		start: [
			{
				when: 'whatever `state` says',
				source: 'k 3.4',
				event: start,
				becomes: {role: 'backup', healthy: true},
				effects: [...enterBackup, 'init → backup: start'],
			},
			{
				when: 'an owner',
				source: 'RFC 3768 6.4.1, k 3.4',
				event: start,
				config: owner,
				becomes: {role: 'master', healthy: true, owed: becameMaster},
				effects: [
					'cancel-timers',
					'send 255',
					`advert in ${seconds(1)}`,
					'add-addresses',
					'announce ×5',
					`announce in ${seconds(5)}`,
					'init → master: owner',
				],
			},
			{
				when: 'an owner in a group',
				source: 'k 3.5',
				event: start,
				config: {...owner, grouped: true},
				becomes: {role: 'backup', healthy: true, ready: true},
				effects: ['cancel-timers', 'remove-addresses', `master-down in ${seconds(3) + 3906}`, 'init → backup: start'],
			},
			...(['interface-down', 'tracker-down'] as const).map(ailment => ({
				when: ailment,
				source: 'k 3.4',
				event: {kind: 'start', ailment} as const,
				becomes: {role: 'fault'} as const,
				effects: [...enterFault, `init → fault: ${ailment}`],
			})),
		],
		hold: [
			{
				when: 'left by an earlier run',
				source: 'k 3.4: init while scripts pend',
				event: hold,
				effects: ['remove-addresses'],
			},
		],
		resume: [
			{
				when: 'the master that it was',
				source: handOver,
				event: resume,
				becomes: {role: 'master', healthy: true, owed: becameMaster},
				effects: [...enterMaster, 'init → master: resumed'],
			},
		],
		...releasing,
		...stopping('RFC 3768 6.4.2', 'init'),
	},
	backup,
	'backup, lingers': {
		// Nothing else looks at it.
		...backup,
		advert: [
			{
				when: 'the successor',
				source: handOver,
				event: advert(200),
				effects: [successorHeard, `master-down in ${down}`],
			},
			{
				when: 'the successor of one released, whatever its priority',
				source: handOver,
				state: {released: true},
				event: advert(50),
				effects: [successorHeard, `master-down in ${down}`],
			},
			{
				when: 'a lower one',
				source: handOver,
				event: advert(50),
				becomes: {served: true},
				effects: [successorHeard, 'report-lower-priority'],
			},
			{
				when: 'another that resigns is no successor',
				source: handOver,
				state: {released: true},
				event: advert(0),
				becomes: {hurried: true, served: true},
				effects: [`master-down in ${skew}`, 'report-resigned'],
			},
		],
		'timer master-down': [
			{
				when: 'nobody has come: master again, with the addresses that it has',
				source: handOver,
				state: {released: true},
				event: timer('master-down'),
				becomes: {...settled, role: 'master', owed: becameMaster},
				effects: [...enterMaster, 'backup → master: master-down'],
			},
			{
				when: 'from a master that is there',
				source: handOver,
				state: {served: true, hurried: true, released: true},
				event: timer('master-down'),
				becomes: {...settled, role: 'master', hurried: false, owed: becameMaster},
				effects: [...makeBeforeBreak, 'backup → master: master-down'],
			},
			{
				when: 'in a group: the others have to say so, too',
				source: handOver,
				state: {released: true},
				event: timer('master-down'),
				config: grouped,
				becomes: {ready: true},
			},
		],
		'interface-down': [
			{
				when: 'with its addresses',
				source: 'k 3.4',
				event: interfaceDown,
				becomes: {role: 'fault', healthy: false, lingers: false},
				effects: [...enterFault, 'backup → fault: interface-down'],
			},
		],
		'tracker-down': [
			{
				when: 'with its addresses',
				source: 'k 3.4',
				event: trackerDown,
				becomes: {role: 'fault', healthy: false, lingers: false},
				effects: [...enterFault, 'backup → fault: tracker-down'],
			},
		],
		'follow master': [
			{
				when: 'nobody has come',
				source: handOver,
				state: {ready: true, released: true},
				event: follow('master'),
				config: grouped,
				becomes: {...settled, role: 'master', ready: false, owed: becameMaster},
				effects: [...enterMaster, 'backup → master: sync-group'],
			},
		],
		'follow fault': [
			{
				when: 'with its addresses',
				source: 'k 3.5',
				event: follow('fault'),
				config: grouped,
				becomes: {role: 'fault', lingers: false},
				effects: [...enterFault, 'backup → fault: sync-group'],
			},
		],
		'stop in good order': [
			{
				when: 'without a second word',
				source: handOver,
				event: stop,
				becomes: {role: 'stopped'},
				effects: ['cancel-timers', `linger in ${longest}`, 'backup → stopped: stop'],
			},
		],
		'stop at once': [
			{
				when: '',
				source: handOver,
				event: stopAtOnce,
				becomes: {role: 'stopped', lingers: false},
				effects: ['cancel-timers', 'remove-addresses', 'backup → stopped: stop'],
			},
		],
	},
	master: {
		...silence,
		advert: [
			{
				when: 'higher',
				source: 'RFC 3768 6.4.3; its last advert: k 3.4, higher_prio_send_advert',
				state: {owed: becameMaster},
				event: advert(200),
				becomes: {role: 'backup', owed: null, lingers: true},
				effects: [...leaveMaster, 'master → backup: higher-priority'],
			},
			{
				when: 'higher, version 3, another interval',
				source: 'RFC 9568 6.4.3',
				event: advert(200, false, 200_000),
				config: {...config, version: 3},
				becomes: {role: 'backup', masterAdvertUs: 200_000, lingers: true},
				effects: [
					'cancel-timers',
					'send 100',
					'linger in 100000',
					`master-down in ${600_000 + 121_875}`,
					'master → backup: higher-priority',
				],
			},
			{
				when: 'equal, from a higher address',
				source: 'RFC 3768 6.4.3',
				event: advert(100, true),
				becomes: {role: 'backup', lingers: true},
				effects: [...leaveMaster, 'master → backup: higher-address'],
			},
			...([advert(100), advert(50, true)] as const).map(event => ({
				when:
					event.kind === 'advert' && event.priority === 50
						? 'lower, from a higher address'
						: 'equal, from a lower address',
				source: 'k 3.4',
				event,
				becomes: {owed: {rounds: 2, because: 'lower-priority'}, answer: 'resting'} as const,
				effects: ['report-lower-priority', ...answers, 'announce ×2', `announce in ${seconds(3)}`],
			})),
			{
				when: 'lower, while it still owes what it announces against one',
				source: 'ours: a flood is not multiplied',
				state: {owed: {rounds: 2, because: 'lower-priority'}},
				event: advert(50),
				becomes: {answer: 'resting'},
				effects: ['report-lower-priority', ...answers],
			},
			{
				when: 'another resigns',
				source: 'RFC 3768 6.4.3',
				event: advert(0, true),
				becomes: {answer: 'resting'},
				effects: answers,
			},
			...(['resting', 'due'] as const).flatMap(answer => [
				{
					when: `another resigns, ${answer}`,
					source: 'ours: a flood is not answered in full',
					state: {answer},
					event: advert(0),
					becomes: {answer: 'due'} as const,
				},
				{
					when: `lower, ${answer}`,
					source: 'ours: a flood is not answered in full',
					state: {answer},
					event: advert(50),
					becomes: {owed: {rounds: 2, because: 'lower-priority'}, answer: 'due'} as const,
					effects: ['report-lower-priority', 'announce ×2', `announce in ${seconds(3)}`],
				},
			]),
			{
				when: 'higher, while another was to be answered',
				source: 'RFC 3768 6.4.3',
				state: {answer: 'due'},
				event: advert(200),
				becomes: {role: 'backup', answer: 'ready', lingers: true},
				effects: [...leaveMaster, 'master → backup: higher-priority'],
			},
			{
				when: 'another owner, from a higher address',
				source: 'RFC 3768 6.4.3',
				event: advert(255, true),
				config: owner,
				becomes: {role: 'backup', lingers: true},
				effects: [
					'cancel-timers',
					'send 255',
					'linger in 100000',
					`master-down in ${seconds(3) + 3906}`,
					'master → backup: higher-address',
				],
			},
		],
		'timer advert': [{when: '', source: 'RFC 3768 6.4.3', event: timer('advert'), effects: advertise}],
		'timer answer': [
			{
				when: 'somebody was heard meanwhile',
				source: 'ours: a flood is not answered in full',
				state: {answer: 'due'},
				event: timer('answer'),
				becomes: {answer: 'resting'},
				effects: answers,
			},
			{
				when: 'nobody was',
				source: 'ours: a flood is not answered in full',
				state: {answer: 'resting'},
				event: timer('answer'),
				becomes: {answer: 'ready'},
			},
		],
		'timer announce': [
			{
				when: '',
				source: 'k 3.6',
				state: {owed: becameMaster},
				event: timer('announce'),
				becomes: {owed: null},
				effects: ['announce ×5'],
			},
			...nothing(timer('announce'), 'k 3.6: owes nothing'),
		],
		'timer refresh': [
			{
				when: '',
				source: 'k 3.6',
				event: timer('refresh'),
				config: refreshing,
				effects: ['announce ×1', `refresh in ${seconds(30)}`],
			},
		],
		'interface-down': [
			{
				when: '',
				source: 'k 3.4: said twice',
				event: interfaceDown,
				becomes: {role: 'fault', healthy: false},
				effects: [...resignTwice, 'master → fault: interface-down'],
			},
		],
		'tracker-down': [
			{
				when: '',
				source: 'k 3.4: said twice',
				event: trackerDown,
				becomes: {role: 'fault', healthy: false},
				effects: [...resignTwice, 'master → fault: tracker-down'],
			},
		],
		'priority-changed': nothing(priorityChanged, 'k 3.4: the next advert says it'),
		'address-lost': [
			{
				when: '',
				source: 'k 3.4',
				event: addressLost,
				becomes: {role: 'backup', hurried: true},
				effects: [...returnSoon, 'master → backup: address-lost'],
			},
		],
		'follow backup': [
			{
				when: 'somebody else is master',
				source: 'k 3.5',
				event: follow('backup'),
				config: grouped,
				becomes: {role: 'backup', lingers: true},
				effects: [...leaveMaster, 'master → backup: sync-group'],
			},
			{
				when: 'nobody else is',
				source: 'k 3.4, 3.5',
				event: follow('backup', true),
				config: grouped,
				becomes: {role: 'backup', hurried: true},
				effects: [...returnSoon, 'master → backup: sync-group'],
			},
		],
		'follow fault': [
			{
				when: '',
				source: 'k 3.5',
				event: follow('fault'),
				config: grouped,
				becomes: {role: 'fault'},
				effects: [...resignTwice, 'master → fault: sync-group'],
			},
		],
		reconfigured: [
			{
				when: '',
				source: 'k 3.12: keeps its state, advertises at once',
				event: reconfigured,
				effects: ['add-addresses', ...advertise, 'announce ×5'],
			},
		],
		release: [
			{
				when: 'resigns and lingers',
				source: handOver,
				state: {owed: becameMaster},
				event: release,
				becomes: {role: 'backup', lingers: true, released: true, owed: null},
				effects: [
					'cancel-timers',
					'send 0',
					`master-down in ${longest}`,
					`linger in ${2 * longest}`,
					'master → backup: released',
				],
			},
		],
		'stop in good order': [
			{
				when: '',
				source: `RFC 3768 6.4.3; ${handOver}`,
				event: stop,
				becomes: {role: 'stopped', lingers: true},
				effects: ['cancel-timers', 'send 0', `linger in ${longest}`, 'master → stopped: stop'],
			},
			{
				when: 'the longest wait of version 3, but not for ever',
				source: handOver,
				event: stop,
				config: {...config, version: 3, advertUs: seconds(40)},
				becomes: {role: 'stopped', lingers: true},
				effects: ['cancel-timers', 'send 0', `linger in ${seconds(10.25)}`, 'master → stopped: stop'],
			},
		],
		'stop at once': [
			{
				when: '',
				source: 'RFC 3768 6.4.3',
				event: stopAtOnce,
				becomes: {role: 'stopped'},
				effects: ['cancel-timers', 'send 0', 'remove-addresses', 'master → stopped: stop'],
			},
		],
	},
	fault: {
		...silence,
		'interface-down': [
			{
				when: 'the fault of another member of the group so far',
				source: 'k 3.5',
				state: {healthy: true},
				event: interfaceDown,
				becomes: {healthy: false},
			},
		],
		'tracker-down': [
			{
				when: 'the fault of another member of the group so far',
				source: 'k 3.5',
				state: {healthy: true},
				event: trackerDown,
				becomes: {healthy: false},
			},
		],
		...recovering('interface-up', interfaceUp),
		...recovering('tracker-up', trackerUp),
		'follow master': [
			{
				when: 'not asked for by any group',
				source: 'ours: total',
				event: follow('master'),
				config: grouped,
				becomes: {role: 'master', owed: becameMaster},
				effects: [...enterMaster, 'fault → master: sync-group'],
			},
		],
		'follow backup': [
			{
				when: '',
				source: 'k 3.5',
				state: {healthy: true},
				event: follow('backup'),
				config: grouped,
				becomes: {role: 'backup'},
				effects: [...enterBackup, 'fault → backup: sync-group'],
			},
		],
		reconfigured: [
			...nothing(reconfigured, 'k 3.12: keeps its state'),
			{
				when: 'left the group whose fault it was',
				source: 'ours',
				state: {healthy: true},
				event: reconfigured,
				becomes: {role: 'backup'},
				effects: [...enterBackup, 'fault → backup: interface-up'],
			},
		],
		...releasing,
		...stopping('k 3.4', 'fault'),
	},
	stopped: {...silence, 'timer linger': letsGo},
	'stopped, lingers': {
		...silence,
		advert: [
			{when: 'the successor, of any rank', source: handOver, event: advert(50), effects: [successorHeard]},
			...nothing(advert(0), 'ours: another that resigns is no successor'),
		],
		'timer linger': letsGo,
	},
};

function recovering<Name extends 'interface-up' | 'tracker-up'>(name: Name, event: MachineEvent): Record<Name, Row[]> {
	const rows: Row[] = [
		{
			when: '',
			source: 'k 3.4',
			event,
			becomes: {role: 'backup', healthy: true},
			effects: [...enterBackup, `fault → backup: ${name}`],
		},
		{when: 'in a group: waits for the others', source: 'k 3.5', event, config: grouped, becomes: {healthy: true}},
	];
	return {[name]: rows} as Record<Name, Row[]>;
}

for (const [situation, events] of Object.entries(table) as [Situation, Rows][]) {
	for (const [name, rows] of Object.entries(events) as [EventName, readonly Row[]][]) {
		test(`${situation} × ${name}`, t => {
			t.true(rows.length > 0, 'a row at least');
			for (const {when, source, event, config: own = config, state = {}, becomes = {}, effects = []} of rows) {
				t.is(nameOf(event), name, 'a row in its place');
				const before = {...states[situation], ...state};
				const next = step(before, event, own);
				const row = `${when || 'always'} (${source})`;
				t.deepEqual(
					{state: next.state, effects: next.effects.map(show)},
					{state: {...before, ...becomes}, effects},
					row,
				);
			}
		});
	}
}

test('the times are those of RFC 3768 and RFC 9568', t => {
	t.is(skewUs(config, seconds(1)), skew);
	t.is(masterDownUs(config, seconds(1)), down);
	t.is(masterDownUs({...config, priority: 200}, seconds(1)), 3_218_750);
	t.is(masterDownUs({...config, version: 3}, 100_000), 360_937);
});

/** One of each row of the table, but for the end. */
const everyEvent = Object.values(table).flatMap(events =>
	Object.values(events).flatMap(rows => rows.map(({event}) => event).filter(({kind}) => kind !== 'stop')),
);

test('whatever happens: addresses come with mastership, go with it or soon after, and somebody is always waiting', t => {
	const random = seeded(5);
	let state = initialState(config);
	let owned = false;
	const running = new Set<string>();
	for (let round = 0; round < 20_000; round++) {
		const event = everyEvent[Math.floor(random() * everyEvent.length)] ?? advert(0);
		if (event.kind === 'timer' && !running.delete(event.timer)) continue;
		const next = step(state, event, {...config, preemptDelayUs: seconds(10)});
		for (const effect of next.effects) {
			if (effect.kind === 'add-addresses') owned = true;
			if (effect.kind === 'remove-addresses') owned = false;
			if (effect.kind === 'cancel-timers') running.clear();
			if (effect.kind === 'cancel-timer') running.delete(effect.timer);
			if (effect.kind === 'set-timer') running.add(effect.timer);
		}
		state = next.state;
		t.is(owned, state.role === 'master' || state.lingers);
		t.is(running.has('linger'), state.lingers);
		t.is(running.has('advert'), state.role === 'master');
		t.is(running.has('answer'), state.answer !== 'ready');
		t.is(running.has('master-down'), state.role === 'backup');
	}
});
