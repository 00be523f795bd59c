/**
 * A daemon that dies at any write to any map while it puts a plan in force: packets of services that the plan leaves alone
 * never notice, and the next start makes of the remains what a start without the crash would have made.
 */
import type {ExecutionContext} from 'ava';
import {RawMap} from 'libbpf-ts';
import type {Service as ConfService} from '../../src/conf/model.js';
import {diff} from '../../src/plan/diff.js';
import {turnStretch} from '../../src/plan/turns.js';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {readTables} from '../../src/xdp/read.js';
import type {Tables} from '../../src/xdp/tables.js';
import {packetTest, XDP} from '../packets/balancer.js';
import {tcpFrame} from '../packets/frame.js';
import {backend, service} from '../services.js';
import {freshName, LOOPBACK_MAC, open, planFor, SIZES, send, tablesOf} from './plane.js';

/** In all configurations; its backends are also those of others. */
const STEADY = service('192.168.1.1', [backend('10.0.0.71'), backend('10.0.0.72')]);
const CHANGING = service('192.168.1.2', [backend('10.0.0.71'), backend('10.0.0.73')]);

const transitions: Readonly<Record<string, readonly [before: readonly ConfService[], after: readonly ConfService[]]>> =
	{
		start: [[], [STEADY, CHANGING]],
		'services that come and go': [
			[STEADY, CHANGING],
			[STEADY, service('192.168.1.3', [backend('10.0.0.72'), backend('10.0.0.74')])],
		],
		'backends that come, go and change': [
			[STEADY, CHANGING],
			[
				STEADY,
				service('192.168.1.2', [backend('10.0.0.75'), backend('10.0.0.71', {weight: 3})], {
					scheduler: 'wrr',
					persistence: {timeoutS: 60, granularity: 24},
				}),
			],
		],
		'a ring for a turn': [
			[STEADY, CHANGING],
			[STEADY, {...CHANGING, scheduler: 'mh'}],
		],
		end: [[STEADY, CHANGING], []],
	};

/** What the tables should be next, as a daemon computes it whose maps hold `actual`. */
function next(plane: DataPlane, services: readonly ConfService[], actual: Tables): Tables {
	const flows = plane.countFlows().byBackend;
	return tablesOf(planFor(plane, services, {actual, liveFlows: id => flows.get(id) ?? 0}));
}

/** As a new start does: what is in the maps is all that it knows. Twice, since removed backends go at the second look. */
async function startAnew(plane: DataPlane, services: readonly ConfService[]): Promise<void> {
	for (let look = 0; look < 2; look++) {
		const found = await readTables(plane.maps);
		Object.assign(plane.tables, found);
		plane.apply(diff(plane.tables, next(plane, services, plane.tables)));
	}
}

/** A value as text, whatever the order of its fields. */
function text(value: unknown): string {
	return JSON.stringify(value, (_, part: unknown) => {
		if (typeof part === 'bigint') return String(part);
		if (part instanceof Uint8Array) return part.join('.');
		if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
		return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
	});
}

/** Ids and places are whatever they are; this is what they lead to. */
function meaning({services, serviceKeys, backends, turns, endpoints, filter, nics}: Tables): unknown {
	const named = new Map([...backends].map(([id, {service: _, ...entry}]) => [id, entry]));
	const of = (id: number) => [...backends].filter(([, entry]) => entry.service === id).map(([key]) => named.get(key));
	return {
		services: [...serviceKeys]
			.map(([key, {id}]) => {
				const {turn = 0n, ...rest} = services.get(id) ?? {};
				const {offset, length} = turnStretch(turn);
				const dealt = (turns.get(offset) ?? []).slice(0, length).map(one => named.get(one));
				return text([key, rest, dealt, of(id).map(text).sort()]);
			})
			.sort(),
		others: services.size - serviceKeys.size,
		turns: [...turns.values()].flat().length,
		endpoints: [...endpoints[4].values()]
			.flat()
			.map(({service: _, ...endpoint}) => text(endpoint))
			.sort(),
		filter: [...filter].sort((a, b) => a - b),
		nics: text([...nics]),
	};
}

/** Lets so many writes to maps pass, and half of the batch that follows; everything after that fails, as for the dead. */
function dieAfter(writes: number): {readonly counted: () => number; readonly revive: () => void} {
	const {update, updateBatch, delete: remove} = RawMap.prototype;
	let count = 0;
	const dead = (): boolean => count++ >= writes;
	RawMap.prototype.update = function (...args) {
		if (dead()) throw new Error('killed');
		update.apply(this, args);
	};
	RawMap.prototype.delete = function (...args) {
		if (dead()) throw new Error('killed');
		return remove.apply(this, args);
	};
	RawMap.prototype.updateBatch = function (keys, values, entries) {
		const isLast = count === writes;
		if (!dead()) return updateBatch.call(this, keys, values, entries);
		const half = entries >> 1;
		if (isLast && half > 0) {
			const part = (bytes: Uint8Array) => bytes.subarray(0, (bytes.length / entries) * half);
			updateBatch.call(this, part(keys), part(values), half);
		}
		throw new Error('killed');
	};
	return {
		counted: () => count,
		revive: () => Object.assign(RawMap.prototype, {update, updateBatch, delete: remove}),
	};
}

for (const [title, [before, after]] of Object.entries(transitions)) {
	packetTest(`killed at any write: ${title}`, async t => {
		const name = freshName(t);
		const plane = await open(t, {name, sizes: {...SIZES, services: 31, backends: 255}});
		const watch = steady(t, name);
		const goesOn = [before, after].every(job => job.includes(STEADY));

		await startAnew(plane, before);
		await startAnew(plane, after);
		const wanted = meaning(plane.tables);
		let writes = 0;
		for (let isWhole = false; !isWhole; writes++) {
			await startAnew(plane, before);
			if (goesOn) watch.begin();
			const death = dieAfter(writes);
			try {
				plane.apply(diff(plane.tables, next(plane, after, plane.tables)));
			} catch (error) {
				t.is((error as Error).message, 'killed');
			} finally {
				death.revive();
			}
			isWhole = death.counted() <= writes;
			if (goesOn) t.true(watch.isFine(), `after ${writes} writes`);
			await startAnew(plane, after);
			if (goesOn) t.true(watch.isFine(), `after ${writes} writes and a new start`);
			t.deepEqual(meaning(plane.tables), wanted, `after ${writes} writes`);
			t.deepEqual(meaning(await readTables(plane.maps)), wanted);
		}
		t.true(writes > 3);
		t.log(`${writes} writes`);
	});
}

/** A connection of the steady service, and one that is new at each look. */
function steady(t: ExecutionContext, name: string): {begin(): void; isFine(): boolean} {
	const forward = send(t, name);
	const syn = (from: string) =>
		forward(tcpFrame({toMac: LOOPBACK_MAC, fromMac: '02:00:00:00:00:99', from, to: '192.168.1.1:80', flags: 'S'}));
	/** The destination address of an IPv4 frame. */
	const home = (frame: Uint8Array): string => frame.subarray(30, 34).join('.');
	let client = 0;
	let kept = {from: '', home: ''};
	const fresh = () => `172.16.${++client >> 8}.${client & 255}:1024`;
	return {
		begin: () => {
			const from = fresh();
			kept = {from, home: home(syn(from).data)};
		},
		isFine: () => {
			const again = syn(kept.from);
			return again.retval === XDP.tx && home(again.data) === kept.home && syn(fresh()).retval === XDP.tx;
		},
	};
}
