/** The daemon keeps lbd-sync running as long as something is shared, and knows what it said last. */
import test from 'ava';
import type {SharingProcesses} from '../../src/host/host.js';
import {SharingChild} from '../../src/sync/child.js';
import type {FromSync, SharingConfig, SharingStatus, ToSync} from '../../src/sync/protocol.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';

type StartOptions = Parameters<SharingProcesses['startSync']>[0];

const CONFIG: SharingConfig = {
	daemon: 'lb1',
	interface: 'eth1',
	group: '224.0.0.81',
	peers: [],
	source: null,
	id: 0,
	port: 8848,
	ttl: 1,
	datagramMax: 1472,
	key: null,
	keyFrom: null,
	waitUs: 0,
};
const STATUS: SharingStatus = {
	state: 'in-sync',
	peers: [],
	sent: 1,
	unsent: 0,
	overwritten: 0,
	received: 0,
	fates: {},
	refusals: {},
};

/** A process that does what the test says. */
class Script {
	readonly received: ToSync[] = [];
	killed = false;
	readonly #options: StartOptions;

	constructor(options: StartOptions) {
		this.#options = options;
	}

	says(message: FromSync): void {
		this.#options.onMessage(message);
	}

	exits(): void {
		this.#options.onExit('signal SIGSEGV');
	}
}

function setUp() {
	const clock = new FakeClock();
	const scripts: Script[] = [];
	const states: string[] = [];
	const processes: SharingProcesses = {
		startSync(options) {
			const script = new Script(options);
			scripts.push(script);
			return {
				send: message => void script.received.push(message as ToSync),
				kill: () => {
					script.killed = true;
				},
			};
		},
	};
	const events = {onStatus: ({state}: SharingStatus) => void states.push(state)};
	const child = new SharingChild({processes, clock, log: new FakeLog(), events});
	return {clock, child, scripts, states};
}

test('it is configured when it is ready, and its status holds for some seconds', t => {
	const {clock, child, scripts, states} = setUp();
	child.configure(null);
	t.is(scripts.length, 0);
	child.configure(CONFIG);
	t.is(child.status(), null);
	scripts[0]?.says({kind: 'ready'});
	t.deepEqual(scripts[0]?.received, [{kind: 'configure', config: CONFIG}]);
	scripts[0]?.says({kind: 'status', status: STATUS});
	t.deepEqual(states, ['in-sync']);
	t.is(child.status(), STATUS);
	clock.advance(seconds(6));
	t.is(child.status(), null);
});

test('a reload changes it only if what is shared changes, and ends it when nothing is', t => {
	const {child, scripts} = setUp();
	child.configure(CONFIG);
	scripts[0]?.says({kind: 'ready'});
	child.configure({...CONFIG});
	t.is(scripts[0]?.received.length, 1);
	child.configure({...CONFIG, port: 8849});
	t.like(scripts[0]?.received[1], {config: {port: 8849}});
	child.configure(null);
	t.true(scripts[0]?.killed);
	scripts[0]?.exits();
	child.configure(CONFIG);
	t.is(scripts.length, 2);
});

test('one that dies is started again after a second, unless it was ended', t => {
	const {clock, child, scripts} = setUp();
	child.configure(CONFIG);
	scripts[0]?.says({kind: 'ready'});
	scripts[0]?.says({kind: 'status', status: STATUS});
	scripts[0]?.exits();
	t.is(child.status(), null);
	clock.advance(seconds(1));
	t.is(scripts.length, 2);
	scripts[1]?.says({kind: 'ready'});
	t.is(scripts[1]?.received.length, 1);
	scripts[0]?.says({kind: 'status', status: STATUS});
	t.is(child.status(), null, 'the dead say nothing');
	scripts[1]?.exits();
	child.stop();
	clock.advance(seconds(10));
	t.is(scripts.length, 2);
});
