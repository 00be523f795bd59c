/** A large configuration: 1,000 services of 10 backends each fit by default, and what the maps hold is what was planned. */
import {isDeepStrictEqual} from 'node:util';
import type {ExecutionContext} from 'ava';
import type {Service} from '../../src/conf/model.js';
import {diff} from '../../src/plan/diff.js';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {readTables} from '../../src/xdp/read.js';
import {openView} from '../../src/xdp/reader.js';
import {packetTest} from '../packets/balancer.js';
import {backend, service} from '../services.js';
import {freshName, open, planFor} from './plane.js';

const [SERVICES, BACKENDS] = [1000, 10];

const LARGE = Array.from({length: SERVICES}, (_, n) => {
	const network = `${n >> 8}.${n & 255}`;
	return service(
		`192.${network}.1`,
		Array.from({length: BACKENDS}, (_, host) => backend(`10.${network}.${host + 1}`)),
	);
});

/** What a look of the daemon does: plans, compares and applies. Returns how many entries changed. */
function putInForce(t: ExecutionContext, plane: DataPlane, services: readonly Service[]): number {
	const {tables, problems} = planFor(plane, services);
	t.deepEqual(problems, []);
	const ops = diff(plane.tables, tables);
	plane.apply(ops);
	return ops.length;
}

packetTest('1,000 services of 10 backends each are in force, and a reload touches what it changes', async t => {
	const name = freshName(t);
	const plane = await open(t, {name});
	t.true(putInForce(t, plane, LARGE) > 2 * SERVICES * BACKENDS);
	t.true(isDeepStrictEqual(await readTables(plane.maps), plane.tables));
	t.is(plane.tables.services.size, SERVICES);
	t.is(plane.tables.serviceKeys.size, SERVICES);
	t.is(plane.tables.backends.size, SERVICES * BACKENDS);
	t.is([...plane.tables.turns.values()].flat().length, SERVICES * BACKENDS);

	t.is(putInForce(t, plane, LARGE), 0);
	const [first, ...others] = LARGE;
	if (first === undefined) return t.fail();
	const ops = putInForce(t, plane, [{...first, backends: first.backends.slice(1)}, ...others]);
	t.true(ops > 0 && ops < 4 * BACKENDS, `${ops} ops`);
	t.true(isDeepStrictEqual(await readTables(plane.maps), plane.tables));

	const view = await openView(name, new Map());
	t.teardown(() => view.close());
	t.is(view.services().length, SERVICES);
	t.is(view.backends().length, SERVICES * BACKENDS);
});

packetTest(
	'there can be as many services and backends as the settings say, and rings for a fourth of them',
	async t => {
		const plane = await open(t, {
			sizes: {services: 4095, backends: 16_383, flows: 1024, flows6: 1024, persistenceEntries: 1, fragments: 64},
		});
		t.deepEqual(plane.capacity, {services: 4096, backends: 16_384, turns: 4096 * 1024, nics: 256});
		const last = plane.capacity.turns - 1;
		plane.maps.turns.set(last, 16_383);
		plane.maps.turns.set(1024, 1);
		t.deepEqual(
			[...plane.maps.turnsInUse()],
			[
				[1024, 1],
				[last, 16_383],
			],
		);
	},
);
