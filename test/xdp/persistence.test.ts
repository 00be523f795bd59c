/** The sweep of persistence entries: which outlive their time. */
import type {ExecutionContext} from 'ava';
import type {BpfProgram} from 'libbpf-ts';
import {addressBytes, formatAddress} from '../../src/net/address.js';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {type Entry, visitEntries} from '../../src/xdp/flows.js';
import {type EntryContent, type EntryName, putEntry, sweepPersistence} from '../../src/xdp/persistence.js';
import {packetTest} from '../packets/balancer.js';
import {tcpFrame} from '../packets/frame.js';
import {backend, service} from '../services.js';
import {freshName, LOOPBACK_MAC, open, send, serve} from './plane.js';

const CLIENT_MAC = '02:00:00:00:00:99';
const [BACKEND, OTHER_BACKEND, BACKEND6] = [1, 2, 3];
const NETWORK_BITS = {4: 24, 6: 64} as const;
const SERVICES = [
	service('192.168.1.2', [backend('10.0.0.71'), backend('10.0.0.72')], {
		persistence: {timeoutS: 300, granularity: NETWORK_BITS[4]},
	}),
	service('2001:db8:1::1', [backend('fd00:10::47')], {persistence: {timeoutS: 300, granularity: NETWORK_BITS[6]}}),
];
const NETWORK = '172.16.9.0';
const NETWORK6 = '2001:db8:9::';

async function scene(
	t: ExecutionContext,
): Promise<{plane: DataPlane; connect(from: string, to: string, flags?: string): void}> {
	const name = freshName(t);
	const plane = await open(t, {name});
	serve(plane, SERVICES);
	const through = send(t, name);
	return {
		plane,
		connect: (from, to, flags = 'S') => {
			through(tcpFrame({toMac: LOOPBACK_MAC, fromMac: CLIENT_MAC, from, to, flags}));
		},
	};
}

/** The only entry of a client's network. */
function entryOf(plane: DataPlane, network: string): Entry {
	const found: Entry[] = [];
	visitEntries(plane.maps.persistence, plane.settings, plane.jiffies(), (_, read) => found.push(read()));
	const [entry, second] = found.filter(({client}) => formatAddress(client) === network);
	if (entry === undefined || second !== undefined) throw new Error(`not one entry of ${network}`);
	return entry;
}

/** The coarse tick that begins so many seconds from now. */
function tickIn(plane: DataPlane, seconds: number): number {
	const {hz, coarseShift} = plane.settings;
	return Number((plane.jiffies() + BigInt(seconds * hz)) >> BigInt(coarseShift));
}

function put(plane: DataPlane, entry: EntryName, content: EntryContent): void {
	if (!putEntry(plane.entryChangers, entry, content)) throw new Error('no room');
}

packetTest('an entry that ends goes on for 60 s while its client has connections', async t => {
	const {plane, connect} = await scene(t);
	connect('172.16.9.9:1024', '192.168.1.2:80');
	connect('[2001:db8:9::9]:1024', '[2001:db8:1::1]:80');
	const {hz, coarseShift} = plane.settings;
	const extension = Math.ceil((60 * hz) / 2 ** coarseShift);
	for (const network of [NETWORK, NETWORK6]) {
		const entry = entryOf(plane, network);
		const lastTick = tickIn(plane, 5);
		put(plane, entry, {...entry, lastTick});
		t.is(plane.sweepPersistence(), 2);
		t.like(entryOf(plane, network), {backend: entry.backend, lastTick: lastTick + extension}, 'just before its end');
		t.is(plane.sweepPersistence(), 2);
		t.is(entryOf(plane, network).lastTick, lastTick + extension, 'and not before that is over');
	}
});

packetTest('an entry whose time is over is gone, and goes on if its client has connections elsewhere only', async t => {
	const {plane, connect} = await scene(t);
	connect('172.16.9.9:1024', '192.168.1.2:80');
	connect('[2001:db8:9::9]:1024', '[2001:db8:1::1]:80');
	const entry = entryOf(plane, NETWORK);
	t.is(entry.backend, BACKEND);
	t.is(entryOf(plane, NETWORK6).backend, BACKEND6);
	const lastTick = tickIn(plane, 5);
	put(plane, entry, {backend: OTHER_BACKEND, lastTick});
	const stranger = {...entry, client: addressBytes('172.16.8.0')};
	put(plane, stranger, {backend: BACKEND, lastTick});
	t.is(plane.sweepPersistence(), 3);
	put(plane, stranger, {backend: BACKEND, lastTick: tickIn(plane, -1) - 1});
	t.is(plane.sweepPersistence(), 2);
	t.is(entryOf(plane, NETWORK).lastTick, lastTick);
});

packetTest('connections that are over keep no entry', async t => {
	const {plane, connect} = await scene(t);
	connect('172.16.9.9:1024', '192.168.1.2:80');
	connect('10.0.0.71:80', '172.16.9.9:1024', 'R');
	const entry = entryOf(plane, NETWORK);
	const lastTick = tickIn(plane, 5);
	put(plane, entry, {...entry, lastTick});
	t.is(plane.sweepPersistence(), 1);
	t.is(entryOf(plane, NETWORK).lastTick, lastTick);
});

packetTest('an entry that is renewed while it is looked at stays renewed', async t => {
	const {plane, connect} = await scene(t);
	connect('172.16.9.9:1024', '192.168.1.2:80');
	const entry = entryOf(plane, NETWORK);
	put(plane, entry, {...entry, lastTick: tickIn(plane, 5)});
	const changers = {
		...plane.entryChangers,
		4: {
			testRun(run: Parameters<BpfProgram['testRun']>[0]) {
				connect('172.16.9.9:1025', '192.168.1.2:80');
				return plane.entryChangers[4].testRun(run);
			},
		},
	};
	const {maps, tables, settings} = plane;
	sweepPersistence({maps, tables, settings, changers}, plane.jiffies());
	t.true(entryOf(plane, NETWORK).lastTick >= entry.lastTick, '300 s, not 65');
});
