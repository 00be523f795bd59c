import {isDeepStrictEqual} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import type {Forwarding} from '../../src/conf/model.js';
import {formatAddress} from '../../src/net/address.js';
import {desired} from '../../src/plan/desired.js';
import {diff} from '../../src/plan/diff.js';
import {turnStretch} from '../../src/plan/turns.js';
import {
	BackendState,
	FailedBackend,
	Method,
	NoBackend,
	type Service,
	ServiceFlag,
	TunnelFlag,
} from '../../src/xdp/layout.gen.js';
import {applyOp, emptyTables, type Op, type Tables} from '../../src/xdp/tables.js';
import {Seeded} from '../seeded.js';
import {backend, service} from '../services.js';
import {CAPACITY, circumstances, HOP, randomServices} from './random-job.js';

function apply(tables: Tables, ops: readonly Op[]): void {
	for (const op of ops) applyOp(tables, op);
}

/** What a packet could stumble over: everything in force must name only entries that are there. */
function assertWhole(t: ExecutionContext, tables: Tables): void {
	for (const {id} of tables.serviceKeys.values()) {
		const entry = tables.services.get(id);
		if (entry === undefined) return t.fail(`service key names service ${id}, which is not there`);
		for (const backendId of dealt(tables, entry)) {
			if (!tables.backends.has(backendId)) t.fail(`a turn deals to backend ${backendId}, which is not there`);
		}
	}
	for (const {nextHop} of tables.backends.values()) {
		const nic = Number((nextHop >> 48n) & 0xffn);
		if (nextHop !== 0n && !tables.nics.has(nic)) t.fail(`a backend leaves through NIC ${nic}, which is not there`);
	}
}

function dealt(tables: Tables, entry: Service): number[] {
	const {offset, length} = turnStretch(entry.turn);
	const turns = tables.turns.get(offset) ?? [];
	return Array.from({length}, (_, index) => turns[index] ?? 0);
}

test('applying the difference gives what was wanted, and no packet sees a hole on the way', t => {
	const seeded = new Seeded(20261122);
	const actual = emptyTables();
	for (let round = 0; round < 300; round++) {
		const busy = seeded.below(4);
		const wanted = desired(
			randomServices(seeded),
			circumstances(actual, {
				isUp: () => seeded.flip(),
				nextHop: () => (seeded.flip() ? HOP : null),
				liveFlows: id => (id % 4 === busy ? 1 : 0),
			}),
		);
		t.deepEqual(wanted.problems, []);
		for (const op of diff(actual, wanted.tables)) {
			apply(actual, [op]);
			assertWhole(t, actual);
		}
		t.true(isDeepStrictEqual(actual, wanted.tables));
	}
});

test('nothing changes when nothing has changed', t => {
	const actual = emptyTables();
	const services = [service('192.168.1.1', [backend('10.0.0.71'), backend('10.0.0.72')])];
	apply(actual, diff(actual, desired(services, circumstances(actual)).tables));
	t.deepEqual(diff(actual, desired(services, circumstances(actual)).tables), []);
});

test('a turn holds all backends in the order of the file, whatever their health', t => {
	const actual = emptyTables();
	const services = [service('192.168.1.1', [backend('10.0.0.73'), backend('10.0.0.71'), backend('10.0.0.72')])];
	const {tables} = desired(services, circumstances(actual, {isUp: (_, {address}) => address !== '10.0.0.71'}));
	const [entry] = tables.services.values();
	t.deepEqual(
		entry && dealt(tables, entry).map(id => [tables.backends.get(id)?.addr[3], tables.backends.get(id)?.state]),
		[
			[73, BackendState.BACKEND_UP],
			[71, BackendState.BACKEND_DOWN],
			[72, BackendState.BACKEND_UP],
		],
	);
});

test('a failed backend is down, or drains with inhibit_on_failure; weight 0 drains', t => {
	const actual = emptyTables();
	const {tables} = desired(
		[
			service('192.168.1.1', [
				backend('10.0.0.1'),
				backend('10.0.0.2', {inhibitOnFailure: true}),
				backend('10.0.0.3', {weight: 0}),
			]),
		],
		circumstances(actual, {isUp: () => false}),
	);
	t.deepEqual(
		[...tables.backends.values()].map(({state}) => state),
		[BackendState.BACKEND_DOWN, BackendState.BACKEND_DRAIN, BackendState.BACKEND_DRAIN],
	);
});

/** Two backends of which the second is down, and a sorry server: who is dealt to, and in which states all are. */
function withSorryServer(
	isServing: boolean,
	changes: {readonly inhibit?: boolean; readonly scheduler?: 'rr' | 'mh'} = {},
): {readonly dealt: readonly (number | undefined)[]; readonly states: Readonly<Record<number, number>>} {
	const sorryServer = {backend: backend('10.0.0.99'), inhibit: changes.inhibit ?? false};
	const backends = [backend('10.0.0.1'), backend('10.0.0.2')];
	const {tables, problems} = desired(
		[service('192.168.1.1', backends, {sorryServer, scheduler: changes.scheduler ?? 'rr'})],
		circumstances(emptyTables(), {
			capacity: {...CAPACITY, turns: 8192},
			isUp: (_, {address}) => (address === '10.0.0.99' ? isServing : address === '10.0.0.1'),
		}),
	);
	if (problems.length > 0) throw new Error(problems.join());
	const [entry] = tables.services.values();
	const last = (id: number): number => tables.backends.get(id)?.addr[3] ?? 0;
	return {
		dealt: [...new Set(entry ? dealt(tables, entry).map(last) : [])].sort((a, b) => a - b),
		states: Object.fromEntries([...tables.backends].map(([id, {state}]) => [last(id), state])),
	};
}

test('a sorry server is not there until it has to serve, and then it is dealt to alone', t => {
	const {BACKEND_UP, BACKEND_DOWN, BACKEND_DRAIN} = BackendState;
	for (const scheduler of ['rr', 'mh'] as const) {
		t.deepEqual(withSorryServer(false, {scheduler}), {dealt: [1, 2], states: {1: BACKEND_UP, 2: BACKEND_DOWN}});
		t.deepEqual(withSorryServer(true, {scheduler}), {
			dealt: [99],
			states: {1: BACKEND_DOWN, 2: BACKEND_DOWN, 99: BACKEND_UP},
		});
	}
	t.deepEqual(withSorryServer(true, {inhibit: true}), {
		dealt: [99],
		states: {1: BACKEND_DRAIN, 2: BACKEND_DRAIN, 99: BACKEND_UP},
	});
});

test('a removed backend keeps its id until it has been down and no flow names it', t => {
	const actual = emptyTables();
	const both = [service('192.168.1.1', [backend('10.0.0.71'), backend('10.0.0.72')])];
	const one = [service('192.168.1.1', [backend('10.0.0.71')])];
	apply(actual, diff(actual, desired(both, circumstances(actual)).tables));

	apply(actual, diff(actual, desired(one, circumstances(actual)).tables));
	t.is(
		actual.backends.get(2)?.state,
		BackendState.BACKEND_DOWN,
		'kept although no flow was seen: one may be in the making',
	);

	const busy = circumstances(actual, {liveFlows: id => (id === 2 ? 1 : 0)});
	apply(actual, diff(actual, desired(one, busy).tables));
	t.is(actual.backends.get(2)?.state, BackendState.BACKEND_DOWN, 'kept for the sake of its flow');

	apply(actual, diff(actual, desired(one, circumstances(actual)).tables));
	t.false(actual.backends.has(2));
	t.false([...actual.endpoints[4].values()].flat().some(({addr}) => formatAddress(addr) === '10.0.0.72'));
});

test('with failed_backend keep, the flows of failed and of removed backends go on, even those of a removed service', t => {
	const actual = emptyTables();
	const policy = {failedBackend: 'keep', noBackend: 'reject'} as const;
	const of = (...addresses: readonly string[]) => [
		service(
			'192.168.1.1',
			addresses.map(address => backend(address)),
			{policy},
		),
	];
	const states = (): number[] => [...actual.backends.values()].map(({state}) => state);
	const reconcile = (services: ReturnType<typeof of>, overrides: Parameters<typeof circumstances>[1]): void => {
		apply(actual, diff(actual, desired(services, circumstances(actual, overrides)).tables));
	};
	reconcile(of('10.0.0.71', '10.0.0.72'), {isUp: (_, {address}) => address === '10.0.0.72'});
	t.deepEqual(states(), [BackendState.BACKEND_KEPT, BackendState.BACKEND_UP]);
	const {filter} = actual;
	const seen = filter.size;

	const busy = {liveFlows: () => 1};
	reconcile(of('10.0.0.71'), busy);
	t.deepEqual(states(), [BackendState.BACKEND_UP, BackendState.BACKEND_KEPT]);
	reconcile([], busy);
	t.deepEqual(states(), [BackendState.BACKEND_KEPT, BackendState.BACKEND_KEPT]);
	t.is(actual.serviceKeys.size, 0, 'nothing new');
	t.is(filter.size, seen, 'but its packets are still looked at');
	reconcile([], {});
	t.deepEqual([...actual.backends, ...actual.services, ...filter], []);
});

test('with failed_backend keep, clients in datagrams get another backend all the same', t => {
	const overrides = {policy: {failedBackend: 'keep', noBackend: 'reject'}, protocol: 'udp'} as const;
	const services = [service('192.168.1.1', [backend('10.0.0.71')], overrides)];
	const {tables} = desired(services, circumstances(emptyTables(), {isUp: () => false}));
	t.like([...tables.backends.values()], [{state: BackendState.BACKEND_DOWN}]);
});

test('a removed backend with flows keeps its id even where its endpoint has lost its place', t => {
	const actual = emptyTables();
	const sharing = (...numbers: readonly number[]) =>
		numbers.map(number => service(`192.168.1.${number}`, [backend('10.0.0.71')]));
	apply(actual, diff(actual, desired(sharing(1, 2, 3, 4, 5, 6, 7, 8), circumstances(actual)).tables));
	const {tables, leaving} = desired(sharing(1, 2, 3, 4, 5, 6, 7, 9), circumstances(actual, {liveFlows: () => 1}));
	t.deepEqual([...leaving], [8]);
	t.like(tables.backends.get(8), {service: 8, state: BackendState.BACKEND_DOWN});
	t.is(tables.backends.get(9)?.service, 9);
});

test('backends that share an address and port are marked, so that flows stay unambiguous', t => {
	const actual = emptyTables();
	const services = [
		service('192.168.1.1', [backend('10.0.0.71')]),
		service('192.168.1.2', [backend('10.0.0.71'), backend('10.0.0.72')]),
	];
	const {tables} = desired(services, circumstances(actual));
	t.deepEqual(
		[...tables.backends.values()].map(({shared}) => shared),
		[1, 1, 0],
	);
});

test('what does not fit is said', t => {
	const actual = emptyTables();
	const tooMany = Array.from({length: 9}, (_, index) => service(`192.168.1.${index + 1}`, [backend('10.0.0.71')]));
	t.regex(desired(tooMany, circumstances(actual)).problems.join(), /endpoint bucket is full/);
	t.regex(
		desired(tooMany, circumstances(actual, {capacity: {services: 4, backends: 256, turns: 256}})).problems.join(),
		/no service id is left/,
	);
	t.regex(
		desired(tooMany, circumstances(actual, {capacity: {services: 64, backends: 256, turns: 3}})).problems.join(),
		/no room is left for its turn/,
	);
});

test('a service is counted for when its scheduler or a threshold asks', t => {
	const counted = (overrides: Parameters<typeof service>[2], limit = 0): boolean => {
		const backends = [backend('10.0.0.71', {upperThreshold: limit})];
		const [entry] = desired(
			[service('192.168.1.1', backends, overrides)],
			circumstances(emptyTables()),
		).tables.services.values();
		return ((entry?.flags ?? 0) & ServiceFlag.SERVICE_COUNTED) !== 0;
	};
	for (const scheduler of ['lc', 'wlc', 'sed', 'nq', 'ovf'] as const) t.true(counted({scheduler}), scheduler);
	for (const scheduler of ['rr', 'wrr', 'fo'] as const) t.false(counted({scheduler}), scheduler);
	t.true(counted({scheduler: 'rr'}, 100));
});

test('how a backend is reached and what its service does without one', t => {
	const gue = {method: 'tun', type: 'gue', port: 6080, checksum: 'remote'} as const;
	const backends = [
		backend('10.0.0.1'),
		backend('10.0.0.2', {forwarding: {method: 'dr'}}),
		backend('10.0.0.3', {forwarding: {method: 'tun', type: 'ipip'}}),
		backend('10.0.0.4', {forwarding: {method: 'tun', type: 'gre', checksum: 'full'}}),
		backend('10.0.0.5', {forwarding: gue}),
	];
	const policy = {failedBackend: 'reset', noBackend: 'drop'} as const;
	const perSource = {perSecond: 100, burst: 200};
	const overrides = {policy, limits: {perSource, perService: null}};
	const {tables} = desired([service('192.168.1.1', backends, overrides)], circumstances(emptyTables()));
	t.deepEqual(
		[...tables.backends.values()].map(entry => [
			entry.method,
			entry.tunnelPort,
			entry.tunnelFlags,
			formatAddress(entry.tunnelSource.subarray(0, 4)),
		]),
		[
			[Method.METHOD_NAT, 0, 0, '0.0.0.0'],
			[Method.METHOD_DR, 0, 0, '0.0.0.0'],
			[Method.METHOD_IPIP, 0, 0, '10.0.0.10'],
			[Method.METHOD_GRE, 0, TunnelFlag.TUNNEL_CHECKSUM, '10.0.0.10'],
			[Method.METHOD_GUE, 6080, 0, '10.0.0.10'],
		],
	);
	t.like([...tables.services.values()][0], {
		failedBackend: FailedBackend.FAILED_RESET,
		noBackend: NoBackend.NO_BACKEND_DROP,
		sourceRate: 100,
		sourceBurst: 200,
		serviceRate: 0,
	});
});

test('a way that a method cannot use is none: DR through a gateway, a tunnel from nowhere', t => {
	const nextHops = (changes: object) => {
		const backends = [
			backend('10.0.0.1'),
			backend('10.0.0.2', {forwarding: {method: 'dr'}}),
			backend('10.0.0.3', {forwarding: {method: 'tun', type: 'ipip'}}),
		];
		const {tables, problems} = desired(
			[service('192.168.1.1', backends)],
			circumstances(emptyTables(), {nextHop: () => ({...HOP, ...changes})}),
		);
		return {problems, known: [...tables.backends.values()].map(({nextHop}) => nextHop !== 0n)};
	};
	t.deepEqual(nextHops({}), {problems: [], known: [true, true, true]});
	const problem = '192.168.1.1:80: backend 10.0.0.2:80 is behind a gateway, where DR does not lead; nothing reaches it';
	t.deepEqual(nextHops({isOnLink: false}), {problems: [problem], known: [true, false, true]});
	t.deepEqual(nextHops({source: null}), {problems: [], known: [true, true, false]});
});

test('an IPv6 backend of an IPv4 service has an IPv6 tunnel', t => {
	const backends = [backend('fd00::71', {forwarding: {method: 'tun', type: 'ipip'}})];
	const {tables} = desired(
		[service('192.168.1.1', backends)],
		circumstances(emptyTables(), {nextHop: () => ({...HOP, source: 'fd00::10'})}),
	);
	const [entry] = tables.backends.values();
	t.deepEqual([entry?.family, entry && formatAddress(entry.tunnelSource)], [6, 'fd00::10']);
});

test('what is unsaid is what the program does', t => {
	const {tables} = desired([service('192.168.1.1', [backend('10.0.0.1')])], circumstances(emptyTables()));
	t.like(tables.services.get(1), {failedBackend: FailedBackend.FAILED_DROP, noBackend: NoBackend.NO_BACKEND_REJECT});
	t.is(tables.backends.get(1)?.method, Method.METHOD_NAT);
});

test('another policy or method is one op, of the same id', t => {
	const actual = emptyTables();
	const through = (forwarding: Forwarding, changes = {}) => [
		service('192.168.1.1', [backend('10.0.0.1', {forwarding})], changes),
	];
	apply(actual, diff(actual, desired(through({method: 'dr'}), circumstances(actual)).tables));
	const policy = {failedBackend: 'keep', noBackend: 'reject'} as const;
	const changed = through({method: 'tun', type: 'ipip'}, {policy});
	const ops = diff(actual, desired(changed, circumstances(actual)).tables);
	t.like(ops, [
		{map: 'backends', index: 1, value: {method: Method.METHOD_IPIP}},
		{map: 'services', index: 1, value: {failedBackend: FailedBackend.FAILED_KEEP}},
	]);
	t.is(ops.length, 2);
});

test('a service of all ports is one of its own, and its backends share their address with those of any port', t => {
	const all = [backend('10.0.0.1', {port: 0}), backend('10.0.0.3', {port: 0})];
	const one = [backend('10.0.0.1'), backend('10.0.0.2')];
	const services = [service('192.168.1.1', all, {port: 0}), service('192.168.1.1', one)];
	const {tables} = desired(services, circumstances(emptyTables()));
	t.deepEqual(
		[...tables.serviceKeys.values()].map(({key, id}) => [key.port, id]),
		[
			[0, 1],
			[80, 2],
		],
	);
	t.deepEqual(
		[...tables.backends.values()].map(({port, shared}) => [port, shared]),
		[
			[0, 1],
			[0, 0],
			[80, 1],
			[80, 0],
		],
	);
});

test('only replies of NAT are looked for', t => {
	const backends = [backend('10.0.0.1', {forwarding: {method: 'dr'}}), backend('10.0.0.2')];
	const {tables} = desired([service('192.168.1.1', backends)], circumstances(emptyTables()));
	t.deepEqual(
		[...tables.endpoints[4].values()].flat().map(({addr}) => formatAddress(addr)),
		['10.0.0.2'],
	);
	const twice = [service('192.168.1.1', backends), service('192.168.1.2', backends)];
	const shared = [...desired(twice, circumstances(emptyTables())).tables.backends.values()];
	t.deepEqual(
		shared.map(entry => entry.shared),
		[0, 1, 0, 1],
	);
});

test('a scheduler that compares backends takes 1,024 of them', t => {
	const many = Array.from({length: 1025}, (_, index) => backend(`10.1.${index >> 8}.${index & 255}`));
	const roomy = circumstances(emptyTables(), {capacity: {services: 4, backends: 4096, turns: 65_536}});
	const {problems, tables} = desired([service('192.168.1.1', many, {scheduler: 'lc'})], roomy);
	t.deepEqual(problems, ['192.168.1.1:80: lc compares 1024 backends at most; nothing is dealt to the others']);
	t.deepEqual(
		[...tables.turns.values()].map(({length}) => length),
		[1024],
	);
	t.deepEqual(desired([service('192.168.1.1', many)], roomy).problems, []);
});
