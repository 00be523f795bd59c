import test from 'ava';
import {
	type Effect,
	initialState,
	type MachineConfig,
	type MachineEvent,
	type MachineState,
	masterDownUs,
	skewUs,
	step,
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

const backup: MachineState = {...initialState(config), role: 'backup', healthy: true};
const master: MachineState = {...initialState(config), role: 'master', healthy: true};
const fault: MachineState = {...initialState(config), role: 'fault'};
const stopped: MachineState = {...initialState(config), role: 'stopped'};

const advert = (priority: number, higherAddress = false, advertUs = seconds(1)): MachineEvent => ({
	kind: 'advert',
	priority,
	higherAddress,
	advertUs,
});
const timer = (name: Extract<MachineEvent, {kind: 'timer'}>['timer']): MachineEvent => ({kind: 'timer', timer: name});
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

interface Case {
	readonly state: MachineState;
	readonly event: MachineEvent;
	readonly config?: MachineConfig;
	/** What changes in the state. */
	readonly becomes?: Partial<MachineState>;
	readonly effects?: readonly string[];
}

const cases = test.macro({
	exec(t, {state, event, config: own = config, becomes = {}, effects = []}: Case) {
		const next = step(state, event, own);
		t.deepEqual(next.state, {...state, ...becomes});
		t.deepEqual(next.effects.map(show), effects);
	},
	title: providedTitle => providedTitle ?? '',
});

const becameMaster = {rounds: 5, because: 'became-master'} as const;
const enterBackup = ['cancel-timers', 'remove-addresses', `master-down in ${down}`];
const leaveMaster = ['cancel-timers', 'send 100', 'linger in 100000', `master-down in ${down}`];
/** A backup of priority 1 has waited, and a quarter of a second has passed. */
const handOver = 996_093 + 250_000;
const makeBeforeBreak = ['cancel-timers', 'add-addresses', 'announce ×5', 'send 100', `advert in ${seconds(1)}`];
const settled = {served: false, lingers: false, released: false};
const enterMaster = ['cancel-timers', 'send 100', `advert in ${seconds(1)}`, 'add-addresses', 'announce ×5'];

// Start

test('starts as backup whatever `state` says', cases, {
	state: initialState(config),
	event: {kind: 'start', ailment: null},
	becomes: {role: 'backup', healthy: true},
	effects: [...enterBackup, 'init → backup: start'],
});
test('a tracker that is down before the start', cases, {
	state: initialState(config),
	event: {kind: 'start', ailment: 'tracker-down'},
	becomes: {role: 'fault'},
	effects: ['cancel-timers', 'remove-addresses', 'init → fault: tracker-down'],
});
test('while the start waits, nothing is left of an earlier run', cases, {
	state: initialState(config),
	event: {kind: 'hold'},
	effects: ['remove-addresses'],
});
test('stops before it has started', cases, {
	state: initialState(config),
	event: {kind: 'stop', orderly: false},
	becomes: {role: 'stopped'},
	effects: ['cancel-timers', 'init → stopped: stop'],
});
test('an owner is master at once', cases, {
	state: initialState(config),
	event: {kind: 'start', ailment: null},
	config: {...config, priority: 255},
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
});
test('an owner in a group waits for its group only', cases, {
	state: initialState(grouped),
	event: {kind: 'start', ailment: null},
	config: {...grouped, priority: 255},
	becomes: {role: 'backup', healthy: true, ready: true},
	effects: ['cancel-timers', 'remove-addresses', `master-down in ${seconds(3) + 3906}`, 'init → backup: start'],
});
test('starts in fault on an interface that is down', cases, {
	state: initialState(config),
	event: {kind: 'start', ailment: 'interface-down'},
	becomes: {role: 'fault'},
	effects: ['cancel-timers', 'remove-addresses', 'init → fault: interface-down'],
});
test('is deaf before it starts', cases, {state: initialState(config), event: advert(200)});

// Backup

for (const [priority, what] of [
	[200, 'a higher'],
	[100, 'an equal'],
] as const) {
	test(`backup: ${what} priority restarts the wait`, cases, {
		state: {...backup, hurried: true, ready: true},
		event: advert(priority),
		becomes: {hurried: false, ready: false},
		effects: [`master-down in ${down}`],
	});
}
test('backup: a lower priority does not, so the timer runs out', cases, {
	state: backup,
	event: advert(50),
	becomes: {served: true},
	effects: ['report-lower-priority'],
});
test('backup: a lower priority does with nopreempt', cases, {
	state: backup,
	event: advert(50),
	config: {...config, preempt: false},
	effects: [`master-down in ${down}`],
});
test('backup: priority 0 leaves the skew time', cases, {
	state: backup,
	event: advert(0),
	becomes: {hurried: true, served: true},
	effects: [`master-down in ${skew}`, 'report-resigned'],
});
test('backup: preempt_delay starts with the first lower priority', cases, {
	state: backup,
	event: advert(50),
	config: {...config, preemptDelayUs: seconds(60)},
	becomes: {preemptDelay: 'running'},
	effects: [`preempt-delay in ${seconds(60)}`, `master-down in ${down}`],
});
test('backup: preempt_delay runs on under further lower priorities', cases, {
	state: {...backup, preemptDelay: 'running'},
	event: advert(50),
	config: {...config, preemptDelayUs: seconds(60)},
	effects: [`master-down in ${down}`],
});
test('backup: preempt_delay begins anew after a higher priority', cases, {
	state: {...backup, preemptDelay: 'running'},
	event: advert(200),
	config: {...config, preemptDelayUs: seconds(60)},
	becomes: {preemptDelay: 'idle'},
	effects: ['cancel preempt-delay', `master-down in ${down}`],
});
test('backup: preempt_delay expires', cases, {
	state: {...backup, preemptDelay: 'running'},
	event: timer('preempt-delay'),
	becomes: {preemptDelay: 'over'},
});
test('backup: after preempt_delay a lower priority is ignored', cases, {
	state: {...backup, preemptDelay: 'over'},
	event: advert(50),
	config: {...config, preemptDelayUs: seconds(60)},
	becomes: {served: true},
	effects: ['report-lower-priority'],
});
test('backup: version 3 learns the interval of the master', cases, {
	state: backup,
	event: advert(200, false, 200_000),
	config: {...config, version: 3},
	becomes: {masterAdvertUs: 200_000},
	effects: [`master-down in ${600_000 + 121_875}`],
});
test('backup: master down makes a master', cases, {
	state: backup,
	event: timer('master-down'),
	becomes: {role: 'master', owed: becameMaster},
	effects: [...enterMaster, `announce in ${seconds(5)}`, 'backup → master: master-down'],
});
test('backup: master down with refresh configured', cases, {
	state: backup,
	event: timer('master-down'),
	config: {...config, garp: {...config.garp, masterRefreshUs: seconds(30)}},
	becomes: {role: 'master', owed: becameMaster},
	effects: [...enterMaster, `announce in ${seconds(5)}`, `refresh in ${seconds(30)}`, 'backup → master: master-down'],
});
test('backup: master down in a group makes it ready', cases, {
	state: backup,
	event: timer('master-down'),
	config: grouped,
	becomes: {ready: true},
});
test('backup: a stale timer is nothing', cases, {state: backup, event: timer('advert')});
test('backup: interface down', cases, {
	state: {...backup, ready: true, preemptDelay: 'running'},
	event: {kind: 'interface-down'},
	becomes: {role: 'fault', healthy: false, ready: false, preemptDelay: 'idle'},
	effects: ['cancel-timers', 'remove-addresses', 'backup → fault: interface-down'],
});
test('backup: the group becomes master', cases, {
	state: {...backup, ready: true},
	event: follow('master'),
	config: grouped,
	becomes: {role: 'master', ready: false, owed: becameMaster},
	effects: [...enterMaster, `announce in ${seconds(5)}`, 'backup → master: sync-group'],
});
test('backup: the group fails', cases, {
	state: backup,
	event: follow('fault'),
	config: grouped,
	becomes: {role: 'fault'},
	effects: ['cancel-timers', 'remove-addresses', 'backup → fault: sync-group'],
});
test('backup: a doubted master gets one interval', cases, {
	state: backup,
	event: {kind: 'doubt-master'},
	config: grouped,
	effects: [`master-down in ${seconds(1) + skew} or sooner`],
});
test('backup: a new configuration restarts the wait', cases, {
	state: backup,
	event: {kind: 'reconfigured'},
	config: {...config, priority: 150},
	effects: [`master-down in ${seconds(3) + 414_062}`],
});
test('backup: stops without a word', cases, {
	state: backup,
	event: {kind: 'stop', orderly: false},
	becomes: {role: 'stopped'},
	effects: ['cancel-timers', 'backup → stopped: stop'],
});
test('backup: a tracker is down', cases, {
	state: backup,
	event: {kind: 'tracker-down'},
	becomes: {role: 'fault', healthy: false},
	effects: ['cancel-timers', 'remove-addresses', 'backup → fault: tracker-down'],
});
test('backup: with another priority, the wait ends as if it had begun with it', cases, {
	state: backup,
	event: {kind: 'priority-changed', before: 228},
	effects: [`master-down by ${seconds(0.5)}`],
});
test('backup: in version 3 a better priority shortens the wait by a part of the interval', cases, {
	state: {...backup, masterAdvertUs: 100_000},
	event: {kind: 'priority-changed', before: 36},
	config: {...config, version: 3},
	effects: ['master-down by -25000'],
});
for (const event of [
	{kind: 'start', ailment: null},
	{kind: 'hold'},
	{kind: 'interface-up'},
	{kind: 'tracker-up'},
	{kind: 'address-lost'},
] as const) {
	test(`backup: ${event.kind} means nothing`, cases, {state: backup, event});
}

// Master

test('master: a higher priority wins', cases, {
	state: {...master, owed: becameMaster},
	event: advert(200),
	becomes: {role: 'backup', owed: null, lingers: true},
	effects: [...leaveMaster, 'master → backup: higher-priority'],
});
test('master: an equal priority with a higher address wins', cases, {
	state: master,
	event: advert(100, true),
	becomes: {role: 'backup', lingers: true},
	effects: [...leaveMaster, 'master → backup: higher-address'],
});
for (const [event, what] of [
	[advert(100, false), 'an equal priority with a lower address'],
	[advert(50, true), 'a lower priority'],
] as const) {
	test(`master: ${what} is answered and out-announced`, cases, {
		state: master,
		event,
		becomes: {owed: {rounds: 2, because: 'lower-priority'}},
		effects: [
			'report-lower-priority',
			'send 100',
			`advert in ${seconds(1)}`,
			'announce ×2',
			`announce in ${seconds(3)}`,
		],
	});
}
test('master: a flood of lower priorities is announced against once', cases, {
	state: {...master, owed: {rounds: 2, because: 'lower-priority'}},
	event: advert(50),
	effects: ['report-lower-priority', 'send 100', `advert in ${seconds(1)}`],
});
test('master: priority 0 is answered at once', cases, {
	state: master,
	event: advert(0),
	effects: ['send 100', `advert in ${seconds(1)}`],
});
test('master: advertises on time', cases, {
	state: master,
	event: timer('advert'),
	effects: ['send 100', `advert in ${seconds(1)}`],
});
test('master: announces again after the delay', cases, {
	state: {...master, owed: becameMaster},
	event: timer('announce'),
	becomes: {owed: null},
	effects: ['announce ×5'],
});
test('master: owes nothing, announces nothing', cases, {state: master, event: timer('announce')});
test('master: refreshes', cases, {
	state: master,
	event: timer('refresh'),
	config: {...config, garp: {...config.garp, masterRefreshUs: seconds(30)}},
	effects: ['announce ×1', `refresh in ${seconds(30)}`],
});
test('master: a stale timer is nothing', cases, {state: master, event: timer('master-down')});
test('master: interface down resigns twice', cases, {
	state: master,
	event: {kind: 'interface-down'},
	becomes: {role: 'fault', healthy: false},
	effects: ['cancel-timers', 'send 0', 'send 0', 'remove-addresses', 'master → fault: interface-down'],
});
test('master: a lost address is fetched back after the skew time', cases, {
	state: master,
	event: {kind: 'address-lost'},
	becomes: {role: 'backup', hurried: true},
	effects: ['cancel-timers', 'send 100', 'remove-addresses', `master-down in ${skew}`, 'master → backup: address-lost'],
});
test('master: the group leaves', cases, {
	state: master,
	event: follow('backup'),
	config: grouped,
	becomes: {role: 'backup', lingers: true},
	effects: [...leaveMaster, 'master → backup: sync-group'],
});
test('master: the group leaves to return', cases, {
	state: master,
	event: follow('backup', true),
	config: grouped,
	becomes: {role: 'backup', hurried: true},
	effects: ['cancel-timers', 'send 100', 'remove-addresses', `master-down in ${skew}`, 'master → backup: sync-group'],
});
test('master: the group fails', cases, {
	state: master,
	event: follow('fault'),
	config: grouped,
	becomes: {role: 'fault'},
	effects: ['cancel-timers', 'send 0', 'send 0', 'remove-addresses', 'master → fault: sync-group'],
});
test('master: a new configuration is advertised and announced', cases, {
	state: master,
	event: {kind: 'reconfigured'},
	effects: ['add-addresses', 'send 100', `advert in ${seconds(1)}`, 'announce ×5'],
});
test('master: resigns when it stops', cases, {
	state: master,
	event: {kind: 'stop', orderly: false},
	becomes: {role: 'stopped'},
	effects: ['cancel-timers', 'send 0', 'remove-addresses', 'master → stopped: stop'],
});
test('master: a tracker is down', cases, {
	state: master,
	event: {kind: 'tracker-down'},
	becomes: {role: 'fault', healthy: false},
	effects: ['cancel-timers', 'send 0', 'send 0', 'remove-addresses', 'master → fault: tracker-down'],
});
for (const event of [
	{kind: 'start', ailment: null},
	{kind: 'hold'},
	{kind: 'interface-up'},
	{kind: 'tracker-up'},
	{kind: 'priority-changed', before: 200},
	{kind: 'doubt-master'},
	follow('master'),
] as const) {
	test(`master: ${event.kind} means nothing`, cases, {state: master, event});
}

// Hand-over

for (const before of [{served: true}, {served: true, hurried: true, lingers: true, released: true}]) {
	test(`backup: takes over make-before-break from a master that is there: ${Object.keys(before)}`, cases, {
		state: {...backup, ...before},
		event: timer('master-down'),
		becomes: {...settled, role: 'master', hurried: false, owed: becameMaster},
		effects: [...makeBeforeBreak, `announce in ${seconds(5)}`, 'backup → master: master-down'],
	});
}
test('backup: a better master is no one to take over from', cases, {
	state: {...backup, served: true},
	event: advert(200),
	becomes: {served: false},
	effects: [`master-down in ${down}`],
});
test('master: released, resigns and lingers', cases, {
	state: {...master, owed: becameMaster},
	event: {kind: 'release'},
	becomes: {role: 'backup', lingers: true, released: true, owed: null},
	effects: [
		'cancel-timers',
		'send 0',
		`master-down in ${handOver}`,
		`linger in ${2 * handOver}`,
		'master → backup: released',
	],
});
test('lingering after a release: the successor is heard, whatever its priority', cases, {
	state: {...backup, lingers: true, released: true},
	event: advert(50),
	effects: ['linger in 100000 or sooner', `master-down in ${down}`],
});
test('lingering: another one that resigns is no successor', cases, {
	state: {...backup, lingers: true, released: true},
	event: advert(0),
	becomes: {hurried: true, served: true},
	effects: [`master-down in ${skew}`, 'report-resigned'],
});
test('lingering: lets go', cases, {
	state: {...backup, lingers: true, released: true},
	event: timer('linger'),
	becomes: {lingers: false},
	effects: ['remove-addresses'],
});
test('lingering: nobody has come, so it is master again with the addresses it has', cases, {
	state: {...backup, lingers: true, released: true},
	event: timer('master-down'),
	becomes: {...settled, role: 'master', owed: becameMaster},
	effects: [...enterMaster, `announce in ${seconds(5)}`, 'backup → master: master-down'],
});
test('lingering in a group: nobody has come here, but the others have to say so, too', cases, {
	state: {...backup, lingers: true, released: true},
	event: timer('master-down'),
	config: grouped,
	becomes: {ready: true},
});
test('lingering: the interface goes, and the addresses with it', cases, {
	state: {...backup, lingers: true},
	event: {kind: 'interface-down'},
	becomes: {role: 'fault', healthy: false, lingers: false},
	effects: ['cancel-timers', 'remove-addresses', 'backup → fault: interface-down'],
});
test('backup: released, does not take over from the worse master any more', cases, {
	state: {...backup, served: true, preemptDelay: 'running'},
	event: {kind: 'release'},
	becomes: {released: true, served: false, preemptDelay: 'idle'},
	effects: ['cancel preempt-delay', `master-down in ${down}`],
});
test('backup: released while nobody is master, it still takes over', cases, {
	state: {...backup, served: true, hurried: true},
	event: {kind: 'release'},
	becomes: {released: true},
});
test('backup: released, it respects whoever is master', cases, {
	state: {...backup, released: true},
	event: advert(1),
	effects: [`master-down in ${down}`],
});
for (const [role, state] of Object.entries({init: initialState(config), backup, fault})) {
	test(`${role}: released and reclaimed`, cases, {
		state: {...state, released: true},
		event: {kind: 'reclaim'},
		becomes: {released: false},
	});
}
for (const [role, state] of Object.entries({init: initialState(config), fault})) {
	test(`${role}: will not preempt later when it is released`, cases, {
		state,
		event: {kind: 'release'},
		becomes: {released: true},
	});
}
test('master: stops in good order, and lingers', cases, {
	state: master,
	event: {kind: 'stop', orderly: true},
	becomes: {role: 'stopped', lingers: true},
	effects: ['cancel-timers', 'send 0', `linger in ${handOver}`, 'master → stopped: stop'],
});
test('master: lingers for the longest wait of version 3, and not for ever', cases, {
	state: master,
	event: {kind: 'stop', orderly: true},
	config: {...config, version: 3, advertUs: seconds(40)},
	becomes: {role: 'stopped', lingers: true},
	effects: ['cancel-timers', 'send 0', `linger in ${seconds(10.25)}`, 'master → stopped: stop'],
});
test('lingering: stops in good order without a second word', cases, {
	state: {...backup, lingers: true},
	event: {kind: 'stop', orderly: true},
	becomes: {role: 'stopped', lingers: true},
	effects: ['cancel-timers', `linger in ${handOver}`, 'backup → stopped: stop'],
});
test('lingering: is stopped at once', cases, {
	state: {...backup, lingers: true},
	event: {kind: 'stop', orderly: false},
	becomes: {role: 'stopped', lingers: false},
	effects: ['cancel-timers', 'remove-addresses', 'backup → stopped: stop'],
});
test('stopped: the successor is heard', cases, {
	state: {...stopped, lingers: true},
	event: advert(50),
	effects: ['linger in 100000 or sooner'],
});
test('stopped: lets go', cases, {
	state: {...stopped, lingers: true},
	event: timer('linger'),
	becomes: {lingers: false},
	effects: ['remove-addresses'],
});
test('starts as the master that it was', cases, {
	state: initialState(config),
	event: {kind: 'resume'},
	becomes: {role: 'master', healthy: true, owed: becameMaster},
	effects: [...enterMaster, `announce in ${seconds(5)}`, 'init → master: resumed'],
});
for (const [role, state] of Object.entries({backup, master, fault})) {
	test(`${role}: resumes nothing`, cases, {state, event: {kind: 'resume'}});
}
test('master: reclaims nothing', cases, {state: master, event: {kind: 'reclaim'}});

// Fault and stopped

test('fault: interface up', cases, {
	state: fault,
	event: {kind: 'interface-up'},
	becomes: {role: 'backup', healthy: true},
	effects: [...enterBackup, 'fault → backup: interface-up'],
});
test('fault: tracker up', cases, {
	state: fault,
	event: {kind: 'tracker-up'},
	becomes: {role: 'backup', healthy: true},
	effects: [...enterBackup, 'fault → backup: tracker-up'],
});
test('fault: interface up in a group waits for the others', cases, {
	state: fault,
	event: {kind: 'interface-up'},
	config: grouped,
	becomes: {healthy: true},
});
test('fault: the group recovers', cases, {
	state: {...fault, healthy: true},
	event: follow('backup'),
	config: grouped,
	becomes: {role: 'backup'},
	effects: [...enterBackup, 'fault → backup: sync-group'],
});
test('fault: interface down while the group is in fault', cases, {
	state: {...fault, healthy: true},
	event: {kind: 'interface-down'},
	becomes: {healthy: false},
});
test('fault: leaves the group whose fault it was', cases, {
	state: {...fault, healthy: true},
	event: {kind: 'reconfigured'},
	becomes: {role: 'backup'},
	effects: [...enterBackup, 'fault → backup: interface-up'],
});
test('fault: stops', cases, {
	state: fault,
	event: {kind: 'stop', orderly: false},
	becomes: {role: 'stopped'},
	effects: ['cancel-timers', 'fault → stopped: stop'],
});
for (const event of [advert(200), timer('master-down'), {kind: 'address-lost'}, {kind: 'reconfigured'}] as const) {
	test(`fault: ${event.kind} means nothing`, cases, {state: fault, event});
}
test('fault: another priority means nothing', cases, {state: fault, event: {kind: 'priority-changed', before: 1}});
for (const event of [
	advert(0),
	timer('master-down'),
	{kind: 'interface-up'},
	{kind: 'stop', orderly: false},
] as const) {
	test(`stopped: ${event.kind} means nothing`, cases, {state: stopped, event});
}

test('the times are those of RFC 3768 and RFC 9568', t => {
	t.is(skewUs(config, seconds(1)), skew);
	t.is(masterDownUs(config, seconds(1)), down);
	t.is(masterDownUs({...config, priority: 200}, seconds(1)), 3_218_750);
	t.is(masterDownUs({...config, version: 3}, 100_000), 360_937);
});

const everyEvent: readonly MachineEvent[] = [
	{kind: 'start', ailment: null},
	...[0, 50, 100, 200].map(priority => advert(priority)),
	advert(100, true),
	...(['master-down', 'advert', 'preempt-delay', 'announce', 'refresh', 'linger'] as const).map(timer),
	{kind: 'hold'},
	{kind: 'interface-down'},
	{kind: 'interface-up'},
	{kind: 'tracker-down'},
	{kind: 'tracker-up'},
	{kind: 'priority-changed', before: 50},
	{kind: 'address-lost'},
	follow('master'),
	follow('backup', true),
	follow('fault'),
	{kind: 'doubt-master'},
	{kind: 'reconfigured'},
	{kind: 'release'},
	{kind: 'reclaim'},
];

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
		t.is(running.has('master-down'), state.role === 'backup');
	}
});
