/** What a balancer notes of its flows for its peer, and what becomes of flows that a peer tells of. */
import {addressBytes, type Family, formatAddress} from '../../src/net/address.js';
import {viewOf} from '../../src/net/bytes.js';
import type {Entry} from '../../src/xdp/flows.js';
import {BackendState, CopyFlag, FlowState, SettingFlag, shareHead} from '../../src/xdp/layout.gen.js';
import {deleteEntry, putEntry} from '../../src/xdp/persistence.js';
import type {SharingPlane} from '../../src/xdp/sharing.js';
import {type Balancer, balancer, FLOW_BUCKETS, packetTest} from './balancer.js';
import {Connection, client, SERVER_ISN} from './connection.js';

const JOB = [
	{at: '192.168.1.1:80', backends: ['10.0.0.71:80', '10.0.0.72:80'], persistenceS: 7200},
	{at: '[2001:db8::1]:80', backends: ['[fd00:10::47]:80', '[fd00:10::48]:80']},
	{at: '192.168.1.1:53', protocol: 'udp', backends: ['10.0.0.71:53', '10.0.0.72:53']},
	{at: '192.168.1.2:80', backends: ['10.0.0.73:80'], forwarding: {method: 'dr'}},
] as const;
const VIPS = {4: '192.168.1.1:80', 6: '[2001:db8::1]:80'} as const;
const RECORD = {4: 32, 6: 56} as const;
/** Where in a record the age is; backend, state and flags follow. */
const AGE_AT = {4: 16, 6: 40} as const;
const ALL_SLOTS = 4 * FLOW_BUCKETS;

/** One that notes what its peers are to know. */
function sharing(b: Balancer): SharingPlane {
	b.changeSettings(({flags}) => ({flags: flags | SettingFlag.SETTING_SHARING}));
	return b.sharing();
}

/** Collects records. */
function collect(of: Family, from: (emit: (words: Uint32Array, at: number) => void) => void): Uint8Array[] {
	const records: Uint8Array[] = [];
	from((words, at) => records.push(new Uint8Array(words.slice(at, at + RECORD[of] / 4).buffer)));
	return records;
}

function news(plane: SharingPlane, of: Family = 4): Uint8Array[] {
	return collect(of, emit => plane.drainNews(of, emit));
}

function round(plane: SharingPlane, everything: boolean, of: Family = 4): Uint8Array[] {
	return collect(of, emit => plane.scanFlows(of, 0, {everything, slots: ALL_SLOTS}, emit));
}

function stateOf(record: Uint8Array, of: Family = 4): number {
	return record[AGE_AT[of] + 6] ?? 0;
}

/** A copy with other fields. */
function changed(
	record: Uint8Array,
	fields: {ageMs?: number; backend?: number; state?: number; flags?: number},
	of: Family = 4,
): Uint8Array {
	const copy = record.slice();
	const view = viewOf(copy);
	const at = AGE_AT[of];
	if (fields.ageMs !== undefined) view.setUint32(at, fields.ageMs, true);
	if (fields.backend !== undefined) view.setUint16(at + 4, fields.backend, true);
	if (fields.state !== undefined) view.setUint8(at + 6, fields.state);
	if (fields.flags !== undefined) view.setUint8(at + 7, fields.flags);
	return copy;
}

function take(plane: SharingPlane, records: readonly Uint8Array[], of: Family = 4) {
	return plane.takeFlows(of, Buffer.concat(records), records.length);
}

const [NONE, TAKEN, KNOWN, REFUSED, STRANGE] = [
	{taken: 0, known: 0, refused: 0, strange: 0},
	{taken: 1},
	{known: 1},
	{refused: 1},
	{strange: 1},
].map((fates, n) => (n === 0 ? fates : {taken: 0, known: 0, refused: 0, strange: 0, ...fates}));

/** The first CPU's ring is as if so many more had been written into it. */
function moveHead(b: Balancer, entries: number): void {
	const heads = b.maps.shareHeads[4];
	heads.setU64(0, heads.u64(0) + BigInt(entries));
}

/** A flow's opening becomes news of the second CPU and its end news of the first, whichever noted them. */
function moveNews(b: Balancer): void {
	const [heads, ring] = [b.maps.shareHeads[4], b.maps.all().get('shared_flows')];
	const cpus = heads.size / shareHead.size;
	const index = (cpu: number, n: bigint) =>
		new Uint8Array(Uint32Array.of(cpu * b.maps.sharedPerCpu + Number(n)).buffer);
	const entries: Uint8Array[] = [];
	for (let cpu = 0; cpu < cpus; cpu++) {
		for (let n = 0n; n < heads.u64(cpu * shareHead.size); n++)
			entries.push(ring?.lookup(index(cpu, n)) ?? new Uint8Array());
		heads.setU64(cpu * shareHead.size, cpu < 2 ? 1n : 0n);
	}
	const [second, first] = entries.toSorted((x, y) => stateOf(y) - stateOf(x));
	if (first !== undefined && second !== undefined) {
		ring?.update(index(0, 0n), second);
		ring?.update(index(1, 0n), first);
	}
}

/** Does something after the next first look at the heads and before the second one. */
function betweenLooks(b: Balancer, what: () => void): void {
	const heads = b.maps.shareHeads[4];
	const copy = heads.copy.bind(heads);
	heads.copy = (offset, into) => {
		copy(offset, into);
		heads.copy = copy;
		what();
	};
}

/** A client's persistence entry. */
function entryOf(b: Balancer, address: string): Entry | undefined {
	return b.entries().find(({client}) => formatAddress(client) === address);
}

packetTest('a TCP flow is noted when it is established and when it is over, and in no state between', t => {
	const b = balancer(t, JOB);
	const plane = sharing(b);
	const connection = new Connection(b, '10.1.0.1:1024', VIPS[4]);
	connection.fromClient('S');
	connection.fromServer('SA', {seq: SERVER_ISN});
	t.deepEqual(news(plane), []);
	connection.fromClient('A', {ack: SERVER_ISN + 1});
	const opened = news(plane);
	t.deepEqual(
		opened.map(record => [stateOf(record), record[AGE_AT[4] + 7]]),
		[[FlowState.FLOW_ESTABLISHED, CopyFlag.COPY_OPENED]],
	);
	connection.fromClient('A', {ack: SERVER_ISN + 1});
	connection.fromServer('FA');
	t.deepEqual(news(plane), []);
	connection.fromClient('FA', {ack: SERVER_ISN + 1});
	const ended = news(plane);
	t.deepEqual(
		ended.map(record => [stateOf(record), record[AGE_AT[4] + 7]]),
		[[FlowState.FLOW_TIME_WAIT, 0]],
	);
	t.deepEqual(ended[0]?.subarray(0, 16), opened[0]?.subarray(0, 16), 'the same key');
});

packetTest('a connection that is refused, and anything while nobody shares, is not noted', t => {
	const b = balancer(t, JOB);
	const plane = sharing(b);
	const refused = new Connection(b, '10.1.0.1:1024', VIPS[4]);
	refused.fromClient('S');
	refused.fromServer('RA');
	t.deepEqual(news(plane), []);
	b.changeSettings(({flags}) => ({flags: flags & ~SettingFlag.SETTING_SHARING}));
	new Connection(b, '10.1.0.2:1024', VIPS[4]).establish();
	t.deepEqual(news(plane), []);
});

packetTest('UDP is noted when it is answered, a one-sided flow when its client acknowledges', t => {
	const b = balancer(t, JOB);
	const plane = sharing(b);
	const datagrams = new Connection(b, '10.1.0.1:1024', '192.168.1.1:53', 'udp');
	datagrams.fromClient();
	t.deepEqual(news(plane), []);
	datagrams.fromServer();
	t.deepEqual(
		news(plane).map(record => stateOf(record)),
		[FlowState.FLOW_UDP_BOTH_WAYS],
	);
	const direct = new Connection(b, '10.1.0.1:1024', '192.168.1.2:80');
	b.send(direct.request('S'));
	b.send(direct.request('A', {ack: 1}));
	t.deepEqual(
		news(plane).map(record => stateOf(record)),
		[FlowState.FLOW_ONE_SIDED_ESTABLISHED],
	);
	b.send(direct.request('FA', {ack: 1}));
	t.deepEqual(
		news(plane).map(record => stateOf(record)),
		[FlowState.FLOW_ONE_SIDED_CLOSE_WAIT],
	);
});

for (const of of [4, 6] as const) {
	packetTest(`IPv${of}: a flow goes on at the peer, both ways, and then is the peer's to tell of`, t => {
		const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
		const [from, to] = [sharing(a), sharing(b)];
		const name = of === 4 ? '10.1.0.1:1024' : '[2001:db8:a::1]:1024';
		// The second of both backends: the peer, asked for the first time, would deal the first.
		new Connection(a, client(1, of), VIPS[of]).establish();
		const before = new Connection(a, name, VIPS[of]).establish();
		const records = news(from, of).slice(1);
		t.like(take(to, records, of), {...TAKEN});

		t.deepEqual(round(to, false, of), [], 'a copy is not told of');
		t.is(round(to, true, of).length, 1);
		const after = new Connection(b, name, VIPS[of]);
		after.backend = before.backend;
		after.assertReplied(t, after.answer('A'));
		after.assertForwarded(t, after.request('A', {ack: SERVER_ISN + 1}));
		t.is(after.backend, before.backend);
		b.changeFlows(slot => ({...slot, word: slot.word - 2n}), of);
		after.assertForwarded(t, after.request('A', {ack: SERVER_ISN + 1}));
		t.is(round(to, false, of).length, 1, 'now it is ours');
		t.deepEqual(news(to, of), [], 'which is no news');
		t.is(b.maps.ticket(of === 4 ? 1 : 2), 0n, 'and took no turn');
	});
}

packetTest('the end of a flow ends its copy; of a flow that is not there it makes none', t => {
	const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
	const [from, to] = [sharing(a), sharing(b)];
	const connection = new Connection(a, '10.1.0.1:1024', VIPS[4]).establish();
	const [opened = new Uint8Array()] = news(from);
	connection.fromServer('R');
	const [reset = new Uint8Array()] = news(from);
	t.is(stateOf(reset), FlowState.FLOW_CLOSED);
	t.deepEqual(take(to, [reset]), {...NONE, ...KNOWN});
	t.deepEqual(b.flows(), []);
	t.like(take(to, [opened, reset]), {taken: 2});
	t.deepEqual(
		round(to, true).map(record => stateOf(record)),
		[FlowState.FLOW_CLOSED],
	);
});

packetTest('who missed the end of a flow hears of it when everything is told', t => {
	const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
	const [from, to] = [sharing(a), sharing(b)];
	const connection = new Connection(a, '10.1.0.1:1024', VIPS[4]).establish();
	t.like(take(to, news(from)), {taken: 1});
	connection.fromServer('R');
	t.is(news(from).length, 1, 'which is lost');
	t.deepEqual(round(from, false), []);
	t.like(take(to, round(from, true)), {taken: 1});
	t.deepEqual(round(to, false), []);
	t.deepEqual(
		round(to, true).map(record => stateOf(record)),
		[FlowState.FLOW_CLOSED],
	);
});

packetTest('what opens on one CPU and ends on another before both are read is told in that order', t => {
	const b = balancer(t, JOB);
	const plane = sharing(b);
	const connection = new Connection(b, '10.1.0.1:1024', VIPS[4]).establish();
	connection.fromServer('R');
	moveNews(b);
	t.deepEqual(
		news(plane).map(record => stateOf(record)),
		[FlowState.FLOW_ESTABLISHED, FlowState.FLOW_CLOSED],
	);
	t.deepEqual(news(plane), []);
});

packetTest('a flow that ends while its rings are looked at is told of after what opened, and each end once', t => {
	const b = balancer(t, JOB);
	const early = new Connection(b, '10.1.0.1:1024', VIPS[4]);
	const late = new Connection(b, '10.1.0.2:1024', VIPS[4]);
	const plane = sharing(b);
	early.establish();
	betweenLooks(b, () => {
		early.fromServer('R');
		late.establish();
	});
	const states = () => news(plane).map(record => [record[3], stateOf(record)]);
	t.deepEqual(states().toSorted(), [
		[1, FlowState.FLOW_ESTABLISHED],
		[2, FlowState.FLOW_ESTABLISHED],
	]);
	t.deepEqual(states(), [
		[2, FlowState.FLOW_ESTABLISHED],
		[1, FlowState.FLOW_CLOSED],
	]);
	t.deepEqual(states(), []);
});

packetTest('a SYN in a flow of which only a peer has told begins it anew, as its client is remembered', t => {
	const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
	const [from, to] = [sharing(a), sharing(b)];
	const before = new Connection(a, '10.1.0.1:1024', VIPS[4]).establish();
	take(to, news(from));
	const other = [...b.tables.backends].find(
		([id, {service}]) => service === 1 && id !== entryOf(b, '10.1.0.1')?.backend,
	);
	const [backend = 0] = other ?? [];
	const client = addressBytes('10.1.0.1');
	const {lastTick = 0} = entryOf(b, '10.1.0.1') ?? {};
	putEntry(b.entryChangers, {family: 4, client, service: 1}, {backend, lastTick});
	const again = new Connection(b, '10.1.0.1:1024', VIPS[4]).establish();
	t.not(again.backend, before.backend, 'its end was missed, and the client has another server since');
	again.fromClient('S');
	again.assertForwarded(t, again.request('A', {ack: SERVER_ISN + 1}));
	t.not(again.backend, before.backend, 'of a flow of our own, a SYN says nothing');
});

packetTest('of two that know a flow, the one that heard of it last is right', t => {
	const b = balancer(t, JOB);
	const plane = sharing(b);
	const own = new Connection(b, '10.1.0.1:1024', VIPS[4]).establish();
	const [record = new Uint8Array()] = news(plane);
	const ended = changed(record, {state: FlowState.FLOW_TIME_WAIT, flags: 0});
	t.like(take(plane, [changed(record, {ageMs: 0, flags: 0})]), {...KNOWN}, 'as fresh as ours');
	t.like(take(plane, [changed(ended, {ageMs: 60_000})]), {...KNOWN}, 'older');
	t.like(take(plane, [changed(ended, {ageMs: 0, backend: 2})]), {...KNOWN}, 'the end of another connection');
	own.assertForwarded(t, own.request('A', {ack: SERVER_ISN + 1}));
	b.changeFlows(slot => ({...slot, word: slot.word - 10n}));
	t.like(take(plane, [changed(ended, {ageMs: 2000})]), {...TAKEN}, 'ours was idle for ten seconds');
	t.deepEqual(round(plane, false), []);
});

packetTest('a flow that moved to the peer and ended there in the same second is over here, too', t => {
	const b = balancer(t, JOB);
	const plane = sharing(b);
	new Connection(b, '10.1.0.1:1024', VIPS[4]).establish();
	const [record = new Uint8Array()] = news(plane);
	const ended = changed(record, {state: FlowState.FLOW_TIME_WAIT, flags: 0, ageMs: 0});
	t.like(take(plane, [ended]), {...TAKEN});
	t.deepEqual(round(plane, false), []);
});

packetTest('a flow that the peer has dealt anew goes there, were it a second after our last packet', t => {
	const b = balancer(t, JOB);
	const plane = sharing(b);
	const [one, two] = ['10.1.0.1:1024', '10.1.0.2:1024'].map(at => new Connection(b, at, VIPS[4]).establish());
	const [record = new Uint8Array(), other = new Uint8Array()] = news(plane);
	b.changeFlows(slot => ({...slot, word: slot.word - 1n}));
	const backend = viewOf(other).getUint16(AGE_AT[4] + 4, true);
	t.like(take(plane, [changed(record, {ageMs: 0, flags: 0, backend})]), {...TAKEN});
	one?.fromClient('A', {ack: SERVER_ISN + 1});
	t.is(one?.backend, two?.backend);
});

packetTest('two masters, each with a connection of the same client, keep what they have and echo nothing', t => {
	const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
	const [one, two] = [sharing(a), sharing(b)];
	new Connection(b, '10.1.0.9:1024', VIPS[4]).establish();
	const ours = new Connection(a, '10.1.0.1:1024', VIPS[4]).establish();
	const theirs = new Connection(b, '10.1.0.1:1024', VIPS[4]).establish();
	t.not(ours.backend, theirs.backend);
	for (let n = 0; n < 3; n++) {
		const [fromOne, fromTwo] = [round(one, false), round(two, false)];
		t.deepEqual([fromOne.length, fromTwo.length], [1, 2]);
		t.like(take(one, fromTwo), n === 0 ? {taken: 1, known: 1} : {known: 1});
		t.like(take(two, fromOne), {...NONE, ...KNOWN});
	}
	for (const connection of [ours, theirs]) {
		const before = connection.backend;
		connection.assertForwarded(t, connection.request('A', {ack: SERVER_ISN + 1}));
		t.is(connection.backend, before);
	}
	t.deepEqual([news(one).length, news(two).length], [1, 2], 'of their own alone');
});

packetTest('what does not fit our services and backends is refused by name', t => {
	const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
	const [from, to] = [sharing(a), sharing(b)];
	new Connection(a, '10.1.0.1:1024', VIPS[4]).establish();
	const [record = new Uint8Array()] = news(from);
	const wrong: Record<string, Uint8Array> = {
		'a backend that is not there': changed(record, {backend: 4000}),
		nobody: changed(record, {backend: 0}),
		'outside of the map': changed(record, {backend: 65_535}),
		'the backend of another service': changed(record, {backend: 7}),
		'a half-open flow': changed(record, {state: FlowState.FLOW_SYN_ACK}),
		'a slot that is being written': changed(record, {state: FlowState.FLOW_BUSY}),
		'no state': changed(record, {state: 255}),
		'another protocol': Uint8Array.from(record, (byte, n) => (n === 12 ? 17 : byte)),
		'bits behind the protocol': Uint8Array.from(record, (byte, n) => (n === 13 ? 1 : byte)),
		'another address': Uint8Array.from(record, (byte, n) => (n === 4 ? 9 : byte)),
	};
	for (const [what, bytes] of Object.entries(wrong)) t.deepEqual(take(to, [bytes]), {...NONE, ...STRANGE}, what);
	t.deepEqual(b.flows(), []);
	t.like(to.takeFlows(4, record.subarray(0, 20), 64), {taken: 0, strange: 64}, 'a frame that is too short');
	t.like(to.takeFlows(4, record, 0), {taken: 0, strange: 0});
});

packetTest('a copy takes the place of what a new connection may, and of no live TCP flow', t => {
	const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
	const [from, to] = [sharing(a), sharing(b)];
	new Connection(a, '10.1.0.1:1024', VIPS[4]).establish();
	const [record = new Uint8Array()] = news(from);
	new Connection(b, '10.1.0.2:1024', VIPS[4]).establish();
	const [live] = b.flows();
	if (live === undefined) throw new Error('no flow');
	b.fillFlows([live, live, live, live]);
	t.deepEqual(take(to, [record]), {...NONE, ...REFUSED});
	const halfOpen = (live.word & ~(15n << 48n)) | (BigInt(FlowState.FLOW_SYN_RECV) << 48n);
	b.fillFlows([live, live, live, {...live, word: halfOpen}]);
	t.deepEqual(take(to, [record]), {...NONE, ...TAKEN});
});

packetTest(
	'a flow that opens restarts the persistence of its client at the peer; an entry crosses alone as well',
	async t => {
		const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
		const [from, to] = [sharing(a), sharing(b)];
		new Connection(a, client(1), VIPS[4]).establish();
		const before = new Connection(a, '10.1.0.1:1024', VIPS[4]).establish();
		const records = news(from);
		t.like(
			take(
				to,
				records.map(record => changed(record, {flags: 0})),
			),
			{taken: 2},
		);
		t.is(entryOf(b, '10.1.0.1'), undefined, 'a flow that is only repeated says nothing of its client');
		take(to, records);
		t.is(entryOf(b, '10.1.0.1')?.backend, entryOf(a, '10.1.0.1')?.backend);

		deleteEntry(b.entryChangers, {family: 4, client: addressBytes('10.1.0.1'), service: 1});
		const clients = from.clients(4);
		t.is(clients.length, 2 * 12);
		const {taken, known} = to.takeClients(4, clients, 2);
		t.is(taken + known, 2);
		t.true((entryOf(b, '10.1.0.1')?.leftJiffies ?? 0) > 7190 * 250);
		t.deepEqual(to.takeClients(4, from.clients(4), 2), {...NONE, known: 2}, 'told again, it does not grow');
		const next = new Connection(b, '10.1.0.1:2000', VIPS[4]);
		next.fromClient('S');
		t.is(next.backend, before.backend, 'the client stays where it was');
	},
);

packetTest('what a peer tells late of a client does not undo what the client has been given since', t => {
	const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
	const [from, to] = [sharing(a), sharing(b)];
	new Connection(a, '10.1.0.1:1024', VIPS[4]).establish();
	const [record = new Uint8Array()] = news(from);
	const id = {family: 4, client: addressBytes('10.1.0.1'), service: 1} as const;
	const backend = entryOf(a, '10.1.0.1')?.backend ?? 0;
	const other = backend === 1 ? 2 : 1;
	new Connection(b, '10.1.0.1:2000', VIPS[4]).establish();
	const {lastTick = 0} = entryOf(b, '10.1.0.1') ?? {};
	putEntry(b.entryChangers, id, {backend: other, lastTick});
	take(to, [changed(record, {ageMs: 60_000})]);
	t.is(entryOf(b, '10.1.0.1')?.backend, other, 'the peer was frozen for a minute');
	take(to, [changed(record, {ageMs: 8_000_000})]);
	t.is(entryOf(b, '10.1.0.1')?.backend, other, 'or for longer than anybody is remembered');
	putEntry(b.entryChangers, id, {backend: other, lastTick: lastTick + 3600});
	take(to, [changed(record, {ageMs: 0})]);
	t.is(entryOf(b, '10.1.0.1')?.backend, backend, 'an entry from before the time was shortened gives way');
	t.true((entryOf(b, '10.1.0.1')?.lastTick ?? 0) < lastTick + 3600);
});

packetTest('persistence entries: no longer than our service has it, none of strangers', t => {
	const b = balancer(t, JOB);
	const plane = sharing(b);
	const record = (backend: number, leftMs: number): Uint8Array => {
		const bytes = Uint8Array.of(10, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0);
		viewOf(bytes).setUint32(4, leftMs, true);
		viewOf(bytes).setUint16(8, backend, true);
		return bytes;
	};
	t.deepEqual(plane.takeClients(4, record(4000, 1000), 1), {...NONE, ...STRANGE});
	t.deepEqual(plane.takeClients(4, record(7, 1000), 1), {...NONE, ...STRANGE}, 'a service without persistence');
	t.deepEqual(plane.takeClients(4, record(1, 0xffff_ffff), 1), {...NONE, ...TAKEN});
	const {coarseShift = 0} = b.maps.settings.get(0) ?? {};
	t.true((entryOf(b, '10.1.0.7')?.leftJiffies ?? Number.NaN) <= 7200 * 250 + 2 ** coarseShift);
	t.deepEqual(plane.takeClients(4, record(2, 1000), 1), {...NONE, ...KNOWN}, 'ours lasts longer');
	t.is(entryOf(b, '10.1.0.7')?.backend, 1);
});

packetTest(
	'what is noted while nobody reads is told by the next reader, and what was overwritten meanwhile is counted',
	t => {
		const b = balancer(t, JOB);
		const first = sharing(b);
		new Connection(b, '10.1.0.1:1024', VIPS[4]).establish();
		t.is(news(first).length, 1);
		for (let n = 2; n < 5; n++) new Connection(b, `10.1.0.${n}:1024`, VIPS[4]).establish();
		t.is(news(b.sharing()).length, 3, 'each once, and none that was told before');
		moveHead(b, b.maps.sharedPerCpu + 3);
		t.is(
			b.sharing().drainNews(4, () => {}),
			4,
			'three, and the oldest of a ring that is being written',
		);
	},
);

packetTest('what was overwritten before it was read is counted', t => {
	const b = balancer(t, JOB);
	const plane = sharing(b);
	const opened = b.maps.sharedPerCpu + 100;
	const connection = new Connection(b, '10.1.0.1:1024', '192.168.1.1:53', 'udp');
	connection.fromClient();
	const answer = connection.answer();
	const [halfOpen] = b.flows();
	if (halfOpen === undefined) throw new Error('no flow');
	for (let n = 0; n < 5; n++) {
		b.changeFlows(() => halfOpen);
		b.send(answer, 'internal');
	}
	const records: number[] = [];
	t.is(
		plane.drainNews(4, (_words, at) => records.push(at)),
		0,
	);
	t.is(records.length, 5);
	moveHead(b, opened);
	let emitted = 0;
	t.is(
		plane.drainNews(4, () => emitted++),
		101,
	);
	t.is(emitted, opened - 101);
	t.is(
		plane.drainNews(4, () => emitted++),
		0,
	);
});

packetTest('drained and kept backends keep their flows at the peer as well', t => {
	const [a, b] = [balancer(t, JOB), balancer(t, JOB)];
	const [from, to] = [sharing(a), sharing(b)];
	const before = new Connection(a, '10.1.0.1:1024', VIPS[4]).establish();
	b.setState('10.0.0.71', BackendState.BACKEND_DRAIN);
	t.like(take(to, news(from)), {...TAKEN});
	const after = new Connection(b, '10.1.0.1:1024', VIPS[4]);
	after.assertForwarded(t, after.request('A', {ack: SERVER_ISN + 1}));
	t.is(after.backend, before.backend);
});
