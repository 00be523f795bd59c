import {once} from 'node:events';
import {type AddressInfo, createServer} from 'node:net';
import {setImmediate} from 'node:timers/promises';
import test from 'ava';
import type {Checker, Result} from '../../src/check/checker.js';
import {checkerFor} from '../../src/check/checkers.js';
import {CheckRunner, type HealthChange, healthKey} from '../../src/check/runner.js';
import type {Check, Service, TcpCheck} from '../../src/conf/model.js';
import {realScripts} from '../../src/host/real/scripts.js';
import {realSmallFiles} from '../../src/host/real/small-files.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {backend, check, service} from './model.js';

const PASSED: Result = {ok: true};
const REFUSED: Result = {ok: false, reason: 'refused', detail: 'connect ECONNREFUSED'};

/** A runner over backends whose answers the test decides, by address; `hang` never answers. */
class Bench {
	readonly clock = new FakeClock();
	readonly log = new FakeLog();
	readonly changes: HealthChange[] = [];
	/** What the listener was told, in words. */
	readonly told: string[] = [];
	readonly answers = new Map<string, Result | 'hang' | 'throw'>();
	/** Addresses in the order they were checked. */
	readonly looked: string[] = [];
	aborted = 0;
	reweighed = 0;
	/** Of this machine. */
	readonly addresses = new Set<string>();
	readonly runner: CheckRunner;

	constructor(options: {concurrency?: number; random?: () => number} = {}) {
		this.runner = new CheckRunner({
			clock: this.clock,
			log: this.log,
			random: options.random ?? (() => 0),
			onChange: change => this.changes.push(change),
			isHere: address => this.addresses.has(address),
			onWeight: () => this.reweighed++,
			listener: {
				backend: (_, {name}, up, occasion) => this.told.push(`${name} ${up ? 'up' : 'down'}: ${occasion}`),
				quorum: ({name}, up, weight, occasion) =>
					this.told.push(`${name} quorum ${up ? 'up' : 'down'} ${weight}: ${occasion}`),
				check: (_, {name}, {passed, decided, up}) =>
					this.told.push(
						`${name} check ${passed ? 'passed' : 'failed'}${decided ? '' : ', not decided'}, ${up ? 'up' : 'down'}`,
					),
			},
			checkerFor: wanted => this.#checker(wanted),
			...(options.concurrency === undefined ? {} : {concurrency: options.concurrency}),
		});
	}

	#checker(wanted: Check): Checker {
		const {connectAddress, connectTimeoutUs} = wanted as TcpCheck;
		return {
			timeoutUs: connectTimeoutUs,
			check: look => {
				this.looked.push(connectAddress);
				look.onOver(() => this.aborted++);
				const answer = this.answers.get(connectAddress) ?? PASSED;
				if (answer === 'throw') throw new Error('broken checker');
				return answer === 'hang' ? new Promise(() => {}) : Promise.resolve(answer);
			},
		};
	}

	/** Lets time pass second by second, and what was promised in each come true. */
	async pass(count: number): Promise<void> {
		for (let second = 0; second < count; second++) {
			this.clock.advance(seconds(1));
			await setImmediate();
		}
	}

	ups(): Record<string, boolean> {
		return Object.fromEntries([...this.runner.health()].map(([key, {up}]) => [key.split(' ')[1], up]));
	}
}

const TWO = service([backend('10.0.0.71'), backend('10.0.0.72')]);

test('all backends count as up before the first check, alpha ones as down', async t => {
	const bench = new Bench();
	bench.runner.configure([service([backend('10.0.0.71'), backend('10.0.0.72', {alpha: true})])]);
	t.deepEqual(bench.ups(), {'10.0.0.71:80': true, '10.0.0.72:80': false});
	await bench.pass(1);
	t.deepEqual(bench.ups(), {'10.0.0.71:80': true, '10.0.0.72:80': true});
	t.like(bench.changes, [{backend: '10.0.0.72:80', up: true, atUs: seconds(1)}]);
});

test('a backend that stops is out after the retry and back at the next loop after its return', async t => {
	const bench = new Bench();
	bench.runner.configure([TWO]);
	await bench.pass(1);
	bench.answers.set('10.0.0.72', REFUSED);
	await bench.pass(10);
	t.deepEqual(bench.changes, []);
	await bench.pass(1);
	t.deepEqual(bench.changes, [
		{
			service: '192.168.1.1:80',
			backend: '10.0.0.72:80',
			up: false,
			reason: 'tcp check: refused (10.0.0.72:80)',
			atUs: seconds(12),
		},
	]);
	bench.answers.delete('10.0.0.72');
	await bench.pass(10);
	t.like(bench.changes.at(-1), {backend: '10.0.0.72:80', up: true, atUs: seconds(22)});
});

test('the log has keepalived’s words', async t => {
	const bench = new Bench();
	bench.runner.configure([TWO]);
	await bench.pass(1);
	bench.log.take();
	bench.answers.set('10.0.0.71', REFUSED);
	bench.answers.set('10.0.0.72', REFUSED);
	await bench.pass(11);
	const about = (line: string) => line.startsWith('info') && !line.includes('72');
	t.deepEqual(bench.log.take().filter(about), [
		'info TCP connection to [10.0.0.71]:tcp:80 failed.',
		'info TCP_CHECK on service [10.0.0.71]:tcp:80 failed after 1 retries.',
		'info Removing service [10.0.0.71]:tcp:80 from VS [192.168.1.1]:tcp:80',
		'info Lost quorum 1-0=1 > 0 for VS [192.168.1.1]:tcp:80',
	]);
	bench.answers.clear();
	await bench.pass(10);
	t.deepEqual(bench.log.take().filter(about), [
		'info TCP connection to [10.0.0.71]:tcp:80 success.',
		'info Adding service [10.0.0.71]:tcp:80 to VS [192.168.1.1]:tcp:80',
		'info Gained quorum 1+0=1 <= 1 for VS [192.168.1.1]:tcp:80',
	]);
});

test('retries are for who asks for them: debug', async t => {
	const bench = new Bench();
	bench.runner.configure([service([backend('10.0.0.71')])]);
	await bench.pass(1);
	bench.log.take();
	bench.answers.set('10.0.0.71', REFUSED);
	await bench.pass(10);
	t.deepEqual(bench.log.take(), ['debug TCP connection to [10.0.0.71]:tcp:80 failed.']);
});

test('inhibit_on_failure disables and enables', async t => {
	const bench = new Bench();
	bench.answers.set('10.0.0.71', REFUSED);
	bench.runner.configure([service([backend('10.0.0.71', {inhibitOnFailure: true})])]);
	await bench.pass(1);
	t.true(bench.log.take().includes('info Disabling service [10.0.0.71]:tcp:80 from VS [192.168.1.1]:tcp:80'));
});

test('a backend with several checks is up while all of them pass', async t => {
	const bench = new Bench();
	const checks = [check({connectAddress: '10.0.0.71'}), check({connectAddress: '10.0.0.1', connectPort: 8080})];
	bench.answers.set('10.0.0.1', REFUSED);
	bench.runner.configure([service([backend('10.0.0.71', {checks})])]);
	await bench.pass(1);
	t.deepEqual(bench.ups(), {'10.0.0.71:80': false});
	bench.answers.clear();
	await bench.pass(10);
	t.deepEqual(bench.ups(), {'10.0.0.71:80': true});
});

test('a checker that hangs is a timeout, and the others go on meanwhile', async t => {
	const bench = new Bench({concurrency: 2});
	bench.answers.set('10.0.0.71', 'hang');
	bench.runner.configure([TWO]);
	await bench.pass(6);
	t.like(bench.changes, [{backend: '10.0.0.71:80', up: false}]);
	t.regex(bench.changes[0]?.reason ?? '', /timeout/);
	t.true(bench.runner.isUp(TWO, backend('10.0.0.72')));
	t.is(bench.aborted, 2);
});

test('a checker that throws is an error of that check alone', async t => {
	const bench = new Bench();
	bench.answers.set('10.0.0.71', 'throw');
	bench.runner.configure([TWO]);
	await bench.pass(1);
	t.deepEqual(bench.ups(), {'10.0.0.71:80': false, '10.0.0.72:80': true});
});

test('no more checks run at once than allowed; the rest follow in order', async t => {
	const bench = new Bench({concurrency: 2});
	const addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'];
	for (const address of addresses) bench.answers.set(address, 'hang');
	bench.runner.configure([service(addresses.map(address => backend(address)))]);
	await bench.pass(1);
	t.deepEqual(bench.looked, addresses.slice(0, 2));
	await bench.pass(5);
	t.deepEqual(bench.looked, addresses.slice(0, 4));
	await bench.pass(5);
	t.deepEqual(bench.looked, addresses);
});

test('warm-up spreads the first checks', async t => {
	const randoms = [0, 0.5];
	const bench = new Bench({random: () => randoms.shift() ?? 0});
	const spread = (address: string) =>
		backend(address, {checks: [check({connectAddress: address, warmupUs: seconds(8)})]});
	bench.runner.configure([service([spread('10.0.0.71'), spread('10.0.0.72')])]);
	await bench.pass(4);
	t.deepEqual(bench.looked, ['10.0.0.71']);
	await bench.pass(1);
	t.deepEqual(bench.looked, ['10.0.0.71', '10.0.0.72']);
});

test('reload: what did not change keeps its state and its rhythm', async t => {
	const bench = new Bench();
	bench.answers.set('10.0.0.71', REFUSED);
	bench.runner.configure([TWO]);
	await bench.pass(5);
	const before = bench.runner.health();
	bench.looked.length = 0;
	const moved = backend('10.0.0.71', {
		weight: 5,
		checks: [check({place: {file: 'lb.conf', line: 99, column: 1}})],
	});
	bench.runner.configure([service([moved, backend('10.0.0.72')])]);
	const after = bench.runner.health();
	for (const [key, health] of before) t.deepEqual({...after.get(key), weight: 1}, health);
	t.is(after.get(healthKey(TWO, moved))?.weight, 5);
	await bench.pass(5);
	t.deepEqual(bench.looked, []);
	await bench.pass(1);
	t.deepEqual(bench.looked, ['10.0.0.71', '10.0.0.72']);
});

test('reload: a changed check starts from the state its backend has', async t => {
	const bench = new Bench();
	bench.answers.set('10.0.0.71', REFUSED);
	bench.runner.configure([TWO]);
	await bench.pass(2);
	const slower = (address: string) =>
		backend(address, {checks: [check({connectAddress: address, delayLoopUs: seconds(20)})]});
	const changed = service([slower('10.0.0.71'), slower('10.0.0.72')]);
	bench.runner.configure([changed]);
	t.deepEqual(bench.ups(), {'10.0.0.71:80': false, '10.0.0.72:80': true});
	bench.answers.clear();
	await bench.pass(1);
	t.deepEqual(bench.ups(), {'10.0.0.71:80': true, '10.0.0.72:80': true});
	t.is(bench.clock.timers().length, 2);
});

test('reload: without its failing check a backend is up', async t => {
	const bench = new Bench();
	bench.answers.set('10.0.0.71', REFUSED);
	bench.runner.configure([TWO]);
	await bench.pass(1);
	bench.runner.configure([service([backend('10.0.0.71', {checks: []}), backend('10.0.0.72')])]);
	t.deepEqual(bench.ups(), {'10.0.0.71:80': true, '10.0.0.72:80': true});
});

test('reload: backends that are gone are no longer looked at', async t => {
	const bench = new Bench();
	bench.runner.configure([TWO]);
	await bench.pass(1);
	bench.looked.length = 0;
	bench.runner.configure([service([backend('10.0.0.72')])]);
	await bench.pass(10);
	t.deepEqual(bench.looked, ['10.0.0.72']);
	t.deepEqual([...bench.runner.health().keys()], [healthKey(TWO, backend('10.0.0.72'))]);
});

test('reload in the middle of a check: it is let go and its slot is free again', async t => {
	const bench = new Bench({concurrency: 1});
	bench.answers.set('10.0.0.71', 'hang');
	bench.runner.configure([TWO]);
	await bench.pass(1);
	t.deepEqual(bench.looked, ['10.0.0.71']);
	bench.runner.configure([service([backend('10.0.0.72')])]);
	t.is(bench.aborted, 1);
	t.deepEqual(bench.looked, ['10.0.0.71', '10.0.0.72']);
});

test('the services of a group have one check a real server, and one quorum', async t => {
	const bench = new Bench();
	const group = (port: number, name: string) =>
		service([backend('10.0.0.71', {name: `10.0.0.71:${port}`, port, realServer: '10.0.0.71:0'})], {
			name,
			port,
			group: 'WEB',
		});
	const services = [group(80, '192.168.1.1:80'), group(443, '192.168.1.1:443')];
	bench.answers.set('10.0.0.71', REFUSED);
	bench.runner.configure(services);
	await bench.pass(1);
	t.deepEqual(bench.looked, ['10.0.0.71']);
	t.deepEqual(bench.changes, [
		{
			service: 'group WEB',
			backend: '10.0.0.71:0',
			up: false,
			reason: 'tcp check: refused (10.0.0.71:80)',
			atUs: seconds(1),
		},
	]);
	for (const one of services) {
		for (const real of one.backends) t.false(bench.runner.isUp(one, real));
		t.false(bench.runner.hasQuorum(one));
	}
	t.is(bench.log.lines.filter(line => line.includes('Lost quorum 1-0=1 > 0 for VS [WEB]:0')).length, 1);
});

test('TCP and UDP of one group are checked each', async t => {
	const bench = new Bench();
	const group = (protocol: 'tcp' | 'udp') =>
		service([backend('10.0.0.71')], {name: `192.168.1.1:53/${protocol}`, protocol, group: 'DNS'});
	bench.runner.configure([group('tcp'), group('udp')]);
	await bench.pass(1);
	t.deepEqual(bench.looked, ['10.0.0.71', '10.0.0.71']);
	t.deepEqual([...bench.runner.health().keys()], ['group DNS 10.0.0.71:80', 'group DNS/udp 10.0.0.71:80']);
});

test('ha_suspend: nobody is checked while the address is elsewhere', async t => {
	const bench = new Bench();
	const one = service([backend('10.0.0.71')], {haSuspend: true});
	bench.answers.set('10.0.0.71', REFUSED);
	bench.runner.configure([one]);
	await bench.pass(30);
	t.deepEqual([bench.looked, bench.changes], [[], []]);
	bench.addresses.add('192.168.1.1');
	await bench.pass(10);
	t.like(bench.changes, [{backend: '10.0.0.71:80', up: false}]);
	bench.addresses.clear();
	bench.answers.clear();
	await bench.pass(30);
	t.is(bench.changes.length, 1, 'what was known last holds');
});

test('a sorry server serves while the quorum is lost', async t => {
	const bench = new Bench();
	const sorry = backend('10.0.0.99', {checks: []});
	const one = service([backend('10.0.0.71'), backend('10.0.0.72')], {
		quorum: 2,
		sorryServer: {backend: sorry, inhibit: false},
	});
	const isServing = () => bench.runner.weighed([one]).some(weighed => bench.runner.isUp(weighed, sorry));
	bench.runner.configure([one]);
	await bench.pass(1);
	t.false(isServing());
	bench.answers.set('10.0.0.71', REFUSED);
	await bench.pass(11);
	t.true(isServing());
	bench.answers.clear();
	bench.log.take();
	await bench.pass(10);
	t.false(isServing());
	t.deepEqual(
		bench.log
			.take()
			.filter(line => line.startsWith('info'))
			.slice(-2),
		[
			'info Gained quorum 2+0=2 <= 2 for VS [192.168.1.1]:tcp:80',
			'info Removing sorry server [10.0.0.99]:tcp:80 from VS [192.168.1.1]:tcp:80',
		],
	);
	t.false(bench.looked.includes('10.0.0.99'), 'nobody checks it');
});

test('a check may change the weight, which counts for the quorum and stays when the check fails', async t => {
	const bench = new Bench();
	const one = service([backend('10.0.0.71', {weight: 5}), backend('10.0.0.72', {weight: 5})], {quorum: 8});
	const weights = () => bench.runner.weighed([one])[0]?.backends.map(({weight}) => weight);
	bench.runner.configure([one]);
	await bench.pass(1);
	t.deepEqual([weights(), bench.runner.hasQuorum(one), bench.reweighed], [[5, 5], true, 0]);
	bench.answers.set('10.0.0.71', {ok: true, weight: {to: 2}});
	await bench.pass(10);
	t.deepEqual([weights(), bench.runner.hasQuorum(one), bench.reweighed], [[2, 5], false, 1]);
	t.is(bench.runner.health().get(healthKey(one, backend('10.0.0.71')))?.weight, 2);
	bench.answers.set('10.0.0.71', REFUSED);
	await bench.pass(11);
	t.deepEqual([weights(), bench.reweighed], [[2, 5], 1]);
	bench.answers.set('10.0.0.71', {ok: true, weight: null});
	await bench.pass(10);
	t.deepEqual([weights(), bench.runner.hasQuorum(one), bench.reweighed], [[5, 5], true, 2]);
	t.deepEqual(
		bench.changes.map(({up}) => up),
		[false, true],
		'a weight is no change of health',
	);
	t.true(
		bench.log
			.take()
			.includes('info Changing weight from 5 to 2 for service [10.0.0.71]:tcp:80 of VS [192.168.1.1]:tcp:80'),
	);
});

test('changes of weight add up, and stay within bounds', async t => {
	const bench = new Bench();
	const checks = ['10.0.0.71', '10.0.0.72'].map(connectAddress => check({connectAddress}));
	const one = service([backend('10.0.0.71', {weight: 10, checks})]);
	const weight = () => bench.runner.weighed([one])[0]?.backends[0]?.weight;
	bench.answers.set('10.0.0.71', {ok: true, weight: {to: 15}});
	bench.answers.set('10.0.0.72', {ok: true, weight: {by: -8}});
	bench.runner.configure([one]);
	await bench.pass(1);
	t.is(weight(), 7);
	bench.answers.set('10.0.0.72', {ok: true, weight: {by: -80}});
	await bench.pass(10);
	t.is(weight(), 0);
	bench.answers.set('10.0.0.72', {ok: true, weight: {by: 2 ** 40}});
	await bench.pass(10);
	t.is(weight(), 2 ** 31 - 1);
});

test('stop ends everything, also what is in flight', async t => {
	const bench = new Bench();
	bench.answers.set('10.0.0.71', 'hang');
	bench.runner.configure([TWO]);
	await bench.pass(1);
	bench.runner.stop();
	t.deepEqual(bench.clock.timers(), []);
	t.is(bench.aborted, 2);
});

test('health tells what each check last saw', async t => {
	const bench = new Bench();
	bench.answers.set('10.0.0.71', REFUSED);
	const one: Service = service([backend('10.0.0.71')]);
	bench.runner.configure([one]);
	t.like(bench.runner.health().get(healthKey(one, backend('10.0.0.71'))), {
		up: true,
		checks: [{kind: 'tcp', state: 'untested', lastResult: null, lastAtUs: null, failures: 0}],
	});
	await bench.pass(11);
	t.like(bench.runner.health().get(healthKey(one, backend('10.0.0.71'))), {
		up: false,
		sinceUs: seconds(1),
		checks: [{state: 'down', lastResult: REFUSED, lastAtUs: seconds(11), failures: 2, totals: {passed: 0, failed: 2}}],
	});
});

/** Where no other test listens, so that the port is there for the one who returns. */
const OWN_ADDRESS = '127.0.0.77';

test('a real server is seen to die and to return', async t => {
	const server = createServer(socket => socket.on('error', () => {}));
	server.listen(0, OWN_ADDRESS);
	await once(server, 'listening');
	const {port} = server.address() as AddressInfo;
	const clock = new FakeClock();
	let wake = (_change: HealthChange) => {};
	const runner = new CheckRunner({
		clock,
		log: new FakeLog(),
		random: () => 0,
		onChange: change => wake(change),
		isHere: () => true,
		onWeight() {},
		checkerFor: one => checkerFor(one, {scripts: realScripts(), smallFiles: realSmallFiles}),
	});
	t.teardown(() => runner.stop());
	const nextChange = () =>
		new Promise<HealthChange>(resolve => {
			wake = resolve;
		});
	const probe = check({connectAddress: OWN_ADDRESS, connectPort: port, retry: 0});
	runner.configure([service([backend(OWN_ADDRESS, {alpha: true, checks: [probe]})])]);

	let change = nextChange();
	clock.advance(seconds(1));
	t.true((await change).up);
	await new Promise(resolve => server.close(resolve));

	change = nextChange();
	clock.advance(seconds(10));
	t.regex((await change).reason, /refused/);

	server.listen(port, OWN_ADDRESS);
	await once(server, 'listening');
	t.teardown(() => void server.close());
	change = nextChange();
	clock.advance(seconds(10));
	t.true((await change).up);
});

test('the listener hears of backends, then of the quorum, then of the check', async t => {
	const bench = new Bench();
	bench.runner.configure([service([backend('10.0.0.71'), backend('10.0.0.72', {alpha: true})], {quorum: 2})]);
	t.deepEqual(bench.told.splice(0), ['10.0.0.71:80 up: start']);
	await bench.pass(1);
	t.deepEqual(bench.told.splice(0), [
		'10.0.0.72:80 up: check',
		'192.168.1.1:80 quorum up 2: check',
		'10.0.0.72:80 check passed, up',
	]);
	bench.answers.set('10.0.0.71', REFUSED);
	await bench.pass(11);
	t.deepEqual(bench.told.splice(0), [
		'10.0.0.71:80 down: check',
		'192.168.1.1:80 quorum down 1: check',
		'10.0.0.71:80 check failed, down',
	]);
	bench.runner.configure([service([backend('10.0.0.71')])]);
	t.deepEqual(bench.told.splice(0), ['10.0.0.72:80 down: removal'], 'no quorum before and after');
	bench.answers.clear();
	await bench.pass(10);
	bench.told.splice(0);
	bench.runner.stop();
	t.deepEqual(bench.told, ['10.0.0.71:80 down: shutdown', '192.168.1.1:80 quorum down 0: shutdown']);
});

test('the listener hears of every check, and of what a reload decides', async t => {
	const bench = new Bench();
	const checks = [check({connectAddress: '10.0.0.71'}), check({connectAddress: '10.0.0.79'})];
	bench.runner.configure([service([backend('10.0.0.71', {checks})])]);
	for (const address of ['10.0.0.71', '10.0.0.79']) bench.answers.set(address, REFUSED);
	await bench.pass(1);
	t.deepEqual(bench.told.splice(0).slice(2), [
		'10.0.0.71:80 down: check',
		'192.168.1.1:80 quorum down 0: check',
		'10.0.0.71:80 check failed, down',
		'10.0.0.71:80 check failed, not decided, down',
	]);
	bench.runner.configure([service([backend('10.0.0.71', {checks: []})])]);
	t.deepEqual(bench.told.splice(0), ['10.0.0.71:80 up: check', '192.168.1.1:80 quorum up 1: start']);
	bench.runner.configure([]);
	t.deepEqual(bench.told, ['10.0.0.71:80 down: removal', '192.168.1.1:80 quorum down 0: removal']);
});

test('a service that begins without its quorum is told of if it has a sorry server', t => {
	const [plain, sorry] = [null, {backend: backend('10.0.0.99'), inhibit: false}].map(sorryServer => {
		const bench = new Bench();
		bench.runner.configure([service([backend('10.0.0.71', {alpha: true})], {sorryServer})]);
		return bench.told;
	});
	t.deepEqual(plain, []);
	t.deepEqual(sorry, ['192.168.1.1:80 quorum down 0: start']);
});
