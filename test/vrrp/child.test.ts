import test from 'ava';
import {ControlError, ExitCode} from '../../src/errors.js';
import type {Subprocesses} from '../../src/host/host.js';
import {VrrpChild} from '../../src/vrrp/child.js';
import type {
	FromVrrp,
	PriorityChange,
	Rival,
	ToVrrp,
	Transition,
	VrrpConfig,
	VrrpStatus,
} from '../../src/vrrp/protocol.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {instance, kernelEvents, multicastGroups, noStatics} from './segment.js';

/** Of a process that is started; one that is found has no class to be started in. */
type StartOptions = Parameters<Subprocesses['findVrrp']>[0] & {readonly realTime?: boolean};

/** A process that does what the test says. */
class Script {
	readonly options: StartOptions;
	readonly received: ToVrrp[] = [];
	killed = false;

	constructor(options: StartOptions) {
		this.options = options;
	}

	says(...messages: readonly FromVrrp[]): void {
		for (const message of messages) this.options.onMessage(message);
	}

	exits(how: string): void {
		this.options.onExit(how);
	}
}

/** `left`: whether an earlier daemon has left a process, which is then the first of the scripts. */
function setUp({left = false} = {}) {
	const clock = new FakeClock();
	const log = new FakeLog();
	const scripts: Script[] = [];
	const transitions: Transition[] = [];
	const rivals: Rival[] = [];
	const changes: PriorityChange[] = [];
	const fatal: string[] = [];
	const adopted: VrrpStatus[] = [];
	const begin = (options: StartOptions) => {
		const script = new Script(options);
		scripts.push(script);
		return {
			send: (message: object) => script.received.push(message as ToVrrp),
			kill: () => {
				script.killed = true;
				script.exits('signal SIGKILL');
			},
			leave: () => script.exits('left'),
		};
	};
	const processes: Subprocesses = {
		startVrrp: begin,
		findVrrp: options => {
			if (left) return begin(options);
			queueMicrotask(() => options.onExit('connect ENOENT'));
			return {send: () => {}, kill: () => {}, leave: () => {}};
		},
	};
	const events = {
		onTransition: (transition: Transition) => transitions.push(transition),
		onRival: (rival: Rival) => rivals.push(rival),
		onPriority: (change: PriorityChange) => changes.push(change),
		onAdopted: (status: VrrpStatus) => adopted.push(status),
		onFatal: (error: Error) => fatal.push(error.message),
	};
	const child = new VrrpChild({processes, clock, log, socket: '/run/lbd/default.vrrp', build: 'this'});
	child.report(events);
	const script = (index: number): Script => {
		const found = scripts[index];
		if (found === undefined) throw new Error(`process ${index} was not started`);
		return found;
	};
	return {clock, log, child, scripts, script, transitions, rivals, changes, adopted, fatal};
}

const config: VrrpConfig = {instances: [instance()], syncGroups: [], multicastGroups, ...noStatics};
const ready = {kind: 'ready', build: 'this', realTime: true, status: null} as const;

/** Lets the child learn that no earlier daemon has left a process. */
const nobodyFound = kernelEvents;

/** A child whose process has the configuration in force. */
async function running() {
	const all = setUp();
	const configured = all.child.configure(config);
	await nobodyFound();
	all.script(0).says(ready, {kind: 'configured'});
	await configured;
	return all;
}

test('starts in real time and configures once the process listens', async t => {
	const {child, script} = setUp();
	const configured = child.configure(config);
	await nobodyFound();
	t.true(script(0).options.realTime);
	t.deepEqual(script(0).received, []);
	script(0).says(ready);
	t.deepEqual(script(0).received, [{kind: 'configure', config, tracked: [], legacies: []}]);
	script(0).says({kind: 'configured'});
	await t.notThrowsAsync(configured);
});

test('goes on without real time when that is refused, and says so', async t => {
	const {child, log, script} = setUp();
	const configured = child.configure(config);
	await nobodyFound();
	script(0).exits('exit code 1');
	t.false(script(1).options.realTime);
	script(1).says({...ready, realTime: false}, {kind: 'configured'});
	await configured;
	t.deepEqual(log.lines, [
		'warn real-time scheduling refused: `chrt -f` needs CAP_SYS_NICE and a limit for RTPRIO',
		'warn vrrp runs without real-time scheduling: adverts may be late on a busy machine',
	]);
});

test('the end of a wait is heard, however early it comes, and by a process that starts again', async t => {
	const {child, script, clock} = setUp();
	const configured = child.configure({...config, waits: true});
	await nobodyFound();
	child.wait(false);
	script(0).says(ready);
	t.like(script(0).received[0], {kind: 'configure', config: {waits: false}}, 'before the process listens');
	child.wait(true);
	child.wait(false);
	t.deepEqual(script(0).received.slice(1), [
		{kind: 'wait', waits: true},
		{kind: 'wait', waits: false},
	]);
	script(0).says({kind: 'configured'});
	await configured;
	script(0).exits('signal SIGSEGV');
	clock.advance(seconds(1));
	script(1).says(ready);
	t.like(script(1).received[0], {kind: 'configure', config: {waits: false}});
});

test('rejects a refused configuration with its exit code', async t => {
	const {child, script} = setUp();
	const configured = child.configure(config);
	await nobodyFound();
	script(0).says(ready, {kind: 'fatal', exitCode: ExitCode.noInterface, text: 'no eth9'});
	const error = await t.throwsAsync(configured, {instanceOf: ControlError, message: 'no eth9'});
	t.is(error?.exitCode, ExitCode.noInterface);
});

test('rejects when the process ends over its configuration', async t => {
	const {child, scripts, script, clock} = setUp();
	const configured = child.configure(config);
	await nobodyFound();
	script(0).says(ready);
	script(0).exits('signal SIGSEGV');
	await t.throwsAsync(configured, {message: /lbd-vrrp ended: signal SIGSEGV/});
	clock.advance(seconds(60));
	t.is(scripts.length, 1, 'nothing to start it with');
});

test('one configuration at a time', async t => {
	const {child} = setUp();
	void child.configure(config);
	await t.throwsAsync(child.configure(config), {code: 'busy'});
});

test('passes transitions and log lines on', async t => {
	const {script, transitions, rivals, changes, log} = await running();
	const transition: Transition = {
		scope: 'instance',
		name: 'external',
		from: 'backup',
		to: 'master',
		cause: 'master-down',
		priority: 100,
	};
	const rival: Rival = {instance: 'external', priority: 100};
	const change: PriorityChange = {instance: 'external', master: true, priority: 40};
	script(0).says(
		{kind: 'transition', transition},
		{kind: 'rival', rival},
		{kind: 'priority', change},
		{kind: 'log', level: 'info', fields: {}, text: 'a line'},
	);
	t.deepEqual(transitions, [transition]);
	t.deepEqual(rivals, [rival]);
	t.deepEqual(changes, [change]);
	t.deepEqual(log.lines, ['info a line']);
});

test('passes on what trackers find, and tells all of it to a process that starts again', async t => {
	const track = {place: instance().place, kind: 'script', name: 'check', weight: 0, reverse: false} as const;
	const tracking = {...config, instances: [instance({tracks: [track]})]};
	const up = {kind: 'script', name: 'check', result: 'up'} as const;
	const {child, clock, script} = setUp();
	const configured = child.configure(tracking);
	await nobodyFound();
	child.track(up);
	child.track({...up, name: 'nobody tracks this'});
	script(0).says(ready, {kind: 'configured'});
	await configured;
	const down = {...up, result: 'down'} as const;
	child.track(down);
	t.deepEqual(script(0).received.at(-1), {kind: 'tracked', tracked: [down]});
	script(0).exits('signal SIGKILL');
	clock.advance(milliseconds(100));
	script(1).says(ready);
	t.deepEqual(script(1).received, [{kind: 'configure', config: tracking, tracked: [down], legacies: []}]);
});

test('asks for the status', async t => {
	const {child, script} = await running();
	const status: VrrpStatus = {realTime: true, instances: [], groups: [], deleted: {address: 0, route: 0, rule: 0}};
	const asked = child.status();
	script(0).says({kind: 'status', id: 1, status});
	t.deepEqual(await asked, status);
});

test('does not wait for a status for ever', async t => {
	const {child, clock} = await running();
	const asked = child.status();
	clock.advance(seconds(1));
	await t.throwsAsync(asked, {code: 'timeout'});
});

test('starts a dead process again, later each time, with the last good configuration', async t => {
	const {clock, script, scripts} = await running();
	script(0).exits('signal SIGKILL');
	clock.advance(milliseconds(99));
	t.is(scripts.length, 1);
	clock.advance(milliseconds(1));
	script(1).says(ready);
	t.deepEqual(script(1).received, [{kind: 'configure', config, tracked: [], legacies: []}]);
	script(1).exits('signal SIGKILL');
	clock.advance(milliseconds(199));
	t.is(scripts.length, 2);
	clock.advance(milliseconds(1));
	t.is(scripts.length, 3);
});

test('a process that ran long is started again soon', async t => {
	const {clock, script, scripts} = await running();
	script(0).exits('signal SIGKILL');
	clock.advance(milliseconds(100));
	script(1).says(ready);
	clock.advance(seconds(60));
	script(1).exits('signal SIGKILL');
	clock.advance(milliseconds(100));
	t.is(scripts.length, 3);
});

test('tells when the configuration is refused after a restart', async t => {
	const {clock, script, fatal} = await running();
	script(0).exits('signal SIGKILL');
	clock.advance(milliseconds(100));
	script(1).says(ready, {kind: 'fatal', exitCode: ExitCode.noInterface, text: 'no eth0 any more'});
	t.deepEqual(fatal, ['no eth0 any more']);
});

test('stop waits for the process, and starts no other', async t => {
	const {child, clock, script, scripts} = await running();
	const stopped = child.stop();
	t.deepEqual(script(0).received.at(-1), {kind: 'stop'});
	script(0).exits('exit code 0');
	await stopped;
	clock.advance(seconds(60));
	t.is(scripts.length, 1);
	t.deepEqual(clock.timers(), []);
});

test('stop kills a process that hangs', async t => {
	const {child, clock, script} = await running();
	const stopped = child.stop();
	clock.advance(seconds(15));
	t.true(script(0).killed);
	await t.notThrowsAsync(stopped);
});

test('stop between death and restart ends the matter', async t => {
	const {child, clock, script, scripts} = await running();
	script(0).exits('signal SIGKILL');
	await child.stop();
	clock.advance(seconds(60));
	t.is(scripts.length, 1);
});

test('whoever waits for a status learns that the process has died', async t => {
	const {child, script} = await running();
	const asked = child.status();
	script(0).exits('signal SIGKILL');
	await t.throwsAsync(asked, {code: 'vrrp-down'});
	await t.throwsAsync(child.status(), {code: 'vrrp-down'});
});

// What an earlier daemon has left

const status: VrrpStatus = {realTime: true, instances: [], groups: [], deleted: {address: 0, route: 0, rule: 0}};

test('a process of the same build goes on, with the configuration that holds now', async t => {
	const {child, scripts, script, adopted, log} = setUp({left: true});
	const configured = child.configure(config);
	script(0).says({...ready, status}, {kind: 'log', level: 'info', fields: {}, text: 'meanwhile'});
	t.deepEqual(script(0).received, [{kind: 'configure', config, tracked: [], legacies: []}]);
	t.deepEqual(adopted, [status]);
	script(0).says({kind: 'configured'});
	await configured;
	t.is(scripts.length, 1);
	t.deepEqual(log.lines, ['info lbd-vrrp goes on as an earlier lbd has left it', 'info meanwhile']);
});

test('a process that is found waits until there is a configuration', async t => {
	const {child, script, adopted} = setUp({left: true});
	const found = child.find();
	script(0).says({...ready, status});
	await found;
	t.deepEqual(script(0).received, []);
	t.deepEqual(adopted, []);
	const configured = child.configure(config);
	t.deepEqual(script(0).received, [{kind: 'configure', config, tracked: [], legacies: []}]);
	t.deepEqual(adopted, [status]);
	script(0).says({kind: 'configured'});
	await t.notThrowsAsync(configured);
});

test('a start that fails lets go of the process that it has found', t => {
	const {child, clock, script, scripts} = setUp({left: true});
	void child.find();
	child.leave();
	script(0).says({...ready, status});
	clock.advance(seconds(60));
	t.is(scripts.length, 1);
	t.false(script(0).killed);
});

test('a process of another build hands on to a new one, which is ready before', async t => {
	const {child, script, adopted} = setUp({left: true});
	const configured = child.configure(config);
	script(0).says({...ready, build: 'other', status});
	t.deepEqual(script(0).received, [], 'not before there is another');
	script(1).says(ready);
	t.deepEqual(script(0).received, [{kind: 'hand-on'}]);
	t.deepEqual(script(1).received, []);
	const estate = {
		legacies: [{key: 'eth0/4/91//false', masterForUs: 2_500_000, released: false}],
		tracked: [{kind: 'script', name: 'check', result: 'up'}],
	} as const;
	script(0).says({kind: 'handed-on', ...estate});
	script(0).exits('exit code 0');
	t.deepEqual(script(1).received, [{kind: 'configure', config, ...estate}]);
	t.deepEqual(adopted, [status]);
	script(1).says({kind: 'configured'});
	await t.notThrowsAsync(configured);
});

for (const [what, happens] of [
	['says nothing', (_: Script, clock: FakeClock) => clock.advance(seconds(1))],
	['dies', (script: Script) => script.exits('signal SIGSEGV')],
] as const) {
	test(`a process of another build that ${what} instead of handing on is done without`, async t => {
		const {child, clock, script} = setUp({left: true});
		const configured = child.configure(config);
		script(0).says({...ready, build: 'other', status});
		script(1).says(ready);
		happens(script(0), clock);
		t.deepEqual(script(1).received, [{kind: 'configure', config, tracked: [], legacies: []}]);
		script(1).says({kind: 'configured'});
		await t.notThrowsAsync(configured);
	});
}

test('a process that hangs is killed, and another one started', async t => {
	const {child, clock, script, log} = setUp({left: true});
	const configured = child.configure(config);
	clock.advance(seconds(2));
	t.true(script(0).killed);
	t.deepEqual(log.lines, ['warn an lbd-vrrp that an earlier lbd left does not answer, and is killed']);
	script(1).says(ready, {kind: 'configured'});
	await t.notThrowsAsync(configured);
});

test('nothing to do and nobody there: nothing is started; but one that is there gets to know', async t => {
	const idle = {...config, instances: []};
	const alone = setUp();
	await alone.child.configure(idle);
	t.is(alone.scripts.length, 0);
	await alone.child.stop();
	const {child, script} = setUp({left: true});
	const configured = child.configure(idle);
	script(0).says({...ready, status});
	t.deepEqual(script(0).received, [{kind: 'configure', config: idle, tracked: [], legacies: []}]);
	script(0).says({kind: 'configured'});
	await t.notThrowsAsync(configured);
});

// Releases

test('releases and reclaims; a name that is not there is refused', async t => {
	const {child, script} = await running();
	const released = child.release('release', 'external');
	t.deepEqual(script(0).received.at(-1), {kind: 'release', id: 1, name: 'external'});
	const concerned = [{name: 'external'}] as unknown as VrrpStatus['instances'];
	script(0).says({kind: 'released', id: 1, instances: concerned});
	t.deepEqual(await released, concerned);
	const reclaimed = child.release('reclaim', 'nobody');
	t.deepEqual(script(0).received.at(-1), {kind: 'reclaim', id: 2, name: 'nobody'});
	script(0).says({kind: 'released', id: 2, instances: []});
	await t.throwsAsync(reclaimed, {code: 'no-instance', message: 'vrrp: there is no instance or sync group "nobody"'});
});

test('a stop while the process begins reaches it with its first word', async t => {
	const {child, script} = setUp();
	const configured = child.configure(config);
	await nobodyFound();
	const stopped = child.stop();
	script(0).says(ready);
	t.deepEqual(script(0).received.at(-1), {kind: 'stop'});
	script(0).exits('exit code 0');
	await stopped;
	t.false(script(0).killed);
	void configured;
});
