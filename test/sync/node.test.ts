/** Balancers that share: what one knows the others know soon, whatever the link loses. */
import test from 'ava';
import type {SyncNode} from '../../src/sync/node.js';
import {Outbox} from '../../src/sync/outbox.js';
import {encodeHello, Kind, Seal} from '../../src/sync/wire.js';
import {seeded} from '../fake/lan.js';
import {FakePlane, KEY, retagged, Segment} from './segment.js';

/** Two that are in sync. */
async function pair() {
	const segment = new Segment();
	const [a, b] = [new FakePlane(1, 3), new FakePlane(11, 4)];
	const [one, two] = [segment.join(1, a), segment.join(2, b)];
	await segment.pass(1500);
	return {segment, a, b, one, two};
}

test('a flow that opens is at the peer in some milliseconds, under its numbers', async t => {
	const {segment, a, b, one, two} = await pair();
	t.is(one.status().state, 'in-sync');
	t.is(two.status().state, 'in-sync');
	a.open(7, 2);
	a.open(8, 3, 6);
	await segment.pass(30);
	t.is(b.backendOf(7), 12);
	t.is(b.nicOf(7), 4);
	t.is(b.backendOf(8, 6), 13);
	t.like(two.status(), {fates: {taken: 2, strange: 0}, refusals: {}});
});

test('the turn goes on at the peer, and never back', async t => {
	const {segment, a, b} = await pair();
	a.tickets.set(1, 1000n);
	await segment.pass(100);
	t.is(b.tickets.get(1), 1000n);
	b.tickets.set(1, 1200n);
	await segment.pass(100);
	t.is(a.tickets.get(1), 1200n);
	t.is(b.tickets.get(1), 1200n);
});

test('one who joins is told everything: flows, persistence and turn', async t => {
	const segment = new Segment();
	const [a, b] = [new FakePlane(1, 3), new FakePlane(11, 4)];
	for (let n = 0; n < 20_000; n++) a.open(n, 1 + (n % 3));
	for (let n = 0; n < 1000; n++) a.told.set(n, 1 + (n % 3));
	a.tickets.set(1, 20_000n);
	segment.join(1, a);
	await segment.pass(5000);
	const two = segment.join(2, b);
	await segment.pass(50);
	t.is(two.status().state, 'joining');
	await segment.pass(1500);
	t.is(two.status().state, 'in-sync');
	t.is(b.flows[4].size, 20_000);
	t.true([...b.flows[4].keys()].every(n => b.backendOf(Number(n)) === 11 + (Number(n) % 3)));
	t.is(b.told.size, 1000);
	t.is(b.told.get(4), 12);
	t.is(b.tickets.get(1), 20_000n);
});

test('who is alone waits three seconds for somebody, and is in sync when somebody comes', async t => {
	const segment = new Segment();
	const one = segment.join(1, new FakePlane(1, 3));
	await segment.pass(2900);
	t.is(one.status().state, 'joining');
	await segment.pass(300);
	t.is(one.status().state, 'alone');
	segment.join(2, new FakePlane(11, 4));
	await segment.pass(3000);
	t.is(one.status().state, 'in-sync');
	t.like(one.status().peers, [{address: '2.0.0.0', inSync: true, lost: 0}]);
});

test('what a bad link loses is told again: in the end the peer knows all', async t => {
	const {segment, a, b, two} = await pair();
	segment.loss = 0.3;
	for (let n = 0; n < 3000; n++) {
		a.open(n, 1);
		if (n % 100 === 0) await segment.pass(10);
	}
	await segment.pass(40_000);
	t.true((two.status().peers[0]?.lost ?? 0) > 10);
	segment.loss = 0;
	await segment.pass(50_000);
	t.is(b.flows[4].size, 3000);
	t.is(two.status().state, 'in-sync');
});

test('what was overwritten before it was read is counted, and told by a round at once', async t => {
	const {segment, a, b, one} = await pair();
	await segment.pass(1000);
	a.open(7, 1);
	a.overwrite(1);
	await segment.pass(100);
	t.is(one.status().overwritten, 1);
	t.is(b.backendOf(7), 11);
	a.close(7);
	a.overwrite(1);
	await segment.pass(100);
	t.is(b.backendOf(7), undefined, 'and so is what has ended');
});

test('who was away while connections ended hears of that when it is back', async t => {
	const {segment, a, b} = await pair();
	a.open(7, 1);
	a.open(8, 1);
	await segment.pass(100);
	segment.cut = true;
	a.close(7);
	await segment.pass(4000);
	segment.cut = false;
	await segment.pass(4500);
	t.deepEqual([b.backendOf(7), b.backendOf(8)], [undefined, 11]);
});

test('a link that was cut and is back: both tell each other everything', async t => {
	const {segment, a, b} = await pair();
	segment.cut = true;
	a.open(7, 1);
	b.open(8, 12);
	await segment.pass(4000);
	segment.cut = false;
	await segment.pass(4500);
	t.is(b.backendOf(7), 11);
	t.is(a.backendOf(8), 2);
});

test('a reload that gives other numbers changes what the peer’s numbers mean', async t => {
	const {segment, a, b, two} = await pair();
	b.first = 21;
	await segment.pass(1200);
	a.open(7, 2);
	await segment.pass(30);
	t.is(b.backendOf(7), 22);
	a.first = 5;
	await segment.pass(1200);
	a.open(9, 6);
	await segment.pass(30);
	t.is(b.backendOf(9), 22);
	a.open(10, 2);
	await segment.pass(30);
	t.is(b.backendOf(10), undefined, 'the old number means nobody now');
	t.is(two.status().fates.strange, 1);
});

test('datagrams that were heard before are not believed, nor those of an earlier life', async t => {
	const {segment, a, b, one, two} = await pair();
	a.open(7, 2);
	await segment.pass(50);
	const old = segment.sent.filter(({node}) => node === 1).map(({bytes}) => bytes);
	b.flows[4].clear();
	for (const bytes of old) two.receive(bytes, 1);
	t.is(b.flows[4].size, 0);
	t.is(two.status().refusals.replayed, old.length);

	segment.leave(one);
	segment.join(1, new FakePlane(1, 3));
	await segment.pass(1500);
	const before = two.status().refusals.replayed ?? 0;
	for (const bytes of old) two.receive(bytes, 1);
	t.is(b.flows[4].size, 0);
	t.is(two.status().refusals.replayed, before + old.length);
});

test('another key is another world', async t => {
	const segment = new Segment();
	const [a, b] = [new FakePlane(1, 3), new FakePlane(11, 4)];
	segment.join(1, a, {key: 'one key'});
	const two = segment.join(2, b, {key: 'another key'});
	a.open(7, 2);
	await segment.pass(5000);
	t.is(b.flows[4].size, 0);
	t.is(two.status().state, 'alone');
	t.true((two.status().refusals.authentication ?? 0) > 3);
	const said = segment.log.lines.filter(line => line.startsWith('warn') && line.includes('its key is another one'));
	t.is(said.length, 2, 'each has said so once');
});

test('who is no peer of the configuration is told nothing and not believed', async t => {
	const segment = new Segment();
	const [a, b] = [new FakePlane(1, 3), new FakePlane(11, 4)];
	segment.join(1, a);
	const two = segment.join(2, b, {senders: new Set([3])});
	a.open(7, 2);
	b.open(8, 12);
	await segment.pass(5000);
	t.is(b.backendOf(7), undefined);
	t.like(two.status(), {state: 'alone', peers: []});
	t.true((two.status().refusals.sender ?? 0) > 3);
});

test('who hears nobody says nothing but who it is', async t => {
	const segment = new Segment();
	const a = new FakePlane(1, 3);
	const one = segment.join(1, a);
	for (let n = 0; n < 1000; n++) {
		a.open(n, 1);
		await segment.pass(10);
	}
	t.is(segment.sent.length, 10, 'a hello a second');
	t.like(one.status(), {state: 'alone', overwritten: 0});
	const b = new FakePlane(11, 4);
	segment.join(2, b);
	await segment.pass(3000);
	t.is(b.flows[4].size, 1000, 'and everything to one who comes');
});

test('what was noted before lbd-sync began waits until somebody is there', async t => {
	const segment = new Segment();
	const [a, b] = [new FakePlane(1, 3), new FakePlane(11, 4)];
	segment.join(2, b);
	a.open(7, 2);
	a.flows[4].delete('7');
	a.open(8, 2);
	a.overwrite(5);
	a.open(9, 2);
	const one = segment.join(1, a);
	await segment.pass(1500);
	t.is(b.backendOf(9), 12);
	t.is(b.backendOf(8), 12, 'by a round, as its news was overwritten');
	t.is(one.status().overwritten, 5);
});

test('a crowd of strangers takes no more room than a few', async t => {
	const {segment, two} = await pair();
	const crowd = Array.from({length: 30}, (_, n) => segment.join(100 + n, new FakePlane(1, 3)));
	await segment.pass(2000);
	t.is(two.status().peers.length, 8);
	t.true((two.status().refusals.strangers ?? 0) > 0);
	for (const one of crowd) one.stop();
});

test('SEED=1: no datagram, however it was changed on its way, does harm', async t => {
	const {segment, a, b, two} = await pair();
	for (let n = 0; n < 100; n++) a.open(n, 2);
	a.told.set(1, 1);
	await segment.pass(3000);
	const random = seeded(1);
	const below = (limit: number): number => Math.floor(random() * limit);
	for (let n = 0; n < 20_000; n++) {
		const bytes = (segment.sent[below(segment.sent.length)]?.bytes ?? new Uint8Array()).slice();
		for (let change = below(4); change >= 0; change--) bytes[below(bytes.length)] = below(256);
		two.receive(bytes.subarray(0, random() < 0.2 ? below(bytes.length) : bytes.length), 1);
	}
	t.is(b.flows[4].size, 100);
	t.true(Object.values(two.status().refusals).reduce((sum: number, count) => sum + (count ?? 0), 0) >= 19_000);
	a.open(777, 2);
	await segment.pass(1500);
	t.is(b.backendOf(777), 12, 'and it goes on');
});

test('SEED=1: what one who has the key makes up takes no room without bound, and stops nobody', async t => {
	const {segment, a, two} = await pair();
	for (let n = 0; n < 100; n++) a.open(n, 2);
	await segment.pass(3000);
	const random = seeded(1);
	const below = (limit: number): number => Math.floor(random() * limit);
	for (let n = 0; n < 20_000; n++) {
		const bytes = (segment.sent[below(segment.sent.length)]?.bytes ?? new Uint8Array()).slice();
		for (let change = below(6); change >= 0; change--) bytes[4 + below(bytes.length - 4)] = below(256);
		two.receive(retagged(bytes, KEY), 1);
	}
	await segment.pass(5000);
	t.true(two.status().peers.length <= 8);
	t.is(two.status().state, 'in-sync');
});

/** What a link may do to datagrams, with what comes of it for two that open connections, restart and are cut off. */
async function ordeal(seed: number) {
	const segment = new Segment(seed);
	const random = seeded(seed);
	const planes = [new FakePlane(1, 3), new FakePlane(11, 4)] as const;
	const nodes = [segment.join(1, planes[0]), segment.join(2, planes[1])];
	Object.assign(segment, {loss: random() * 0.3, duplication: random() * 0.3, jitterUs: random() * 60_000});
	for (let n = 0; n < 1500; n++) {
		const side = random() < 0.7 ? 0 : 1;
		planes[side].open(2 * n + side, planes[side].first + Math.floor(random() * 3), random() < 0.2 ? 6 : 4);
		if (random() < 0.002) planes[side].overwrite(3);
		if (random() < 0.002) segment.cut = !segment.cut;
		if (random() < 0.002) {
			segment.leave(nodes[side] as SyncNode);
			nodes[side] = segment.join(side + 1, planes[side]);
		}
		await segment.pass(10);
	}
	Object.assign(segment, {loss: 0, jitterUs: 0, cut: false});
	await segment.pass(60_000);
	return {planes, nodes};
}

for (const seed of [1, 2, 3, 4]) {
	test(`SEED=${seed}: whatever a link loses, doubles and turns round, in the end both know all`, async t => {
		const {planes, nodes} = await ordeal(seed);
		const [a, b] = planes;
		for (const of of [4, 6] as const) {
			t.deepEqual([...a.flows[of].keys()].toSorted(), [...b.flows[of].keys()].toSorted());
			for (const key of a.flows[of].keys())
				t.is((b.backendOf(Number(key), of) ?? 0) - 10, a.backendOf(Number(key), of) ?? 0);
		}
		t.deepEqual(
			nodes.map(node => node.status().state),
			['in-sync', 'in-sync'],
		);
	});
}

test('datagrams that come in another order, and twice, count once and as none lost', async t => {
	const {segment, a, b, two} = await pair();
	Object.assign(segment, {duplication: 0.5, jitterUs: 40_000});
	for (let n = 0; n < 300; n++) {
		a.open(n, 2);
		await segment.pass(10);
	}
	await segment.pass(100);
	t.is(b.flows[4].size, 300);
	t.like(two.status(), {peers: [{lost: 0}]});
	t.true((two.status().fates.taken ?? 0) < 400, 'a round on the way may tell of them once more');
	t.true((two.status().refusals.replayed ?? 0) > 100);
});

test('clocks that differ are no matter; one that was set back delays its balancer by a minute', async t => {
	const segment = new Segment();
	const [a, b] = [new FakePlane(1, 3), new FakePlane(11, 4)];
	const one = segment.join(1, a, {wallMs: 3_600_000});
	const two = segment.join(2, b, {wallMs: -86_400_000});
	await segment.pass(1500);
	a.open(7, 2);
	b.open(8, 12);
	await segment.pass(50);
	t.deepEqual([b.backendOf(7), a.backendOf(8)], [12, 2]);
	segment.leave(one);
	segment.join(1, a);
	a.open(9, 2);
	await segment.pass(30_000);
	t.is(b.backendOf(9), undefined);
	t.true((two.status().refusals.replayed ?? 0) > 20);
	await segment.pass(35_000);
	t.is(b.backendOf(9), 12);
});

test('a balancer of another version of sharing is not believed, and that is said once a minute', async t => {
	const {segment, a, b, two} = await pair();
	a.open(7, 2);
	await segment.pass(50);
	b.flows[4].clear();
	const others = segment.sent
		.filter(({node}) => node === 1)
		.map(({bytes}) =>
			retagged(
				Uint8Array.from(bytes, (byte, n) => (n === 4 ? byte + 1 : byte)),
				KEY,
			),
		);
	for (const bytes of others) two.receive(bytes, 1);
	t.is(b.flows[4].size, 0);
	t.is(two.status().refusals.version, others.length);
	t.is(segment.log.lines.filter(line => line.includes('its version of sharing')).length, 1);
});

test('a peer that serves other backends tells of its own, which are passed over and counted', async t => {
	const segment = new Segment();
	const [a, b] = [new FakePlane(1, 3), new FakePlane(11, 4)];
	b.backends = 1;
	segment.join(1, a);
	const two = segment.join(2, b);
	for (let n = 0; n < 9; n++) a.open(n, 1 + (n % 3));
	await segment.pass(1500);
	t.deepEqual([...b.flows[4].keys()], ['0', '3', '6']);
	const {state, fates} = two.status();
	t.is(state, 'in-sync');
	t.true((fates.taken ?? 0) >= 3);
	t.is(fates.strange, 2 * (fates.taken ?? 0));
});

test('who asks for everything without end is given it every two seconds', async t => {
	const {segment, a} = await pair();
	for (let n = 0; n < 10_000; n++) a.open(n, 1);
	await segment.pass(3000);
	const before = segment.sent.length;
	const outbox = new Outbox({
		seal: new Seal(KEY, 0),
		node: 3,
		epoch: 1,
		datagramMax: 1472,
		send: bytes => {
			segment.inject(3, bytes.slice());
			return true;
		},
	});
	for (let want = 1; want <= 1000; want++) {
		outbox.record(Kind.hello, view => encodeHello({want, inSync: false}, view));
		outbox.flush();
		await segment.pass(10);
	}
	const records =
		segment.sent.slice(before).filter(({node, bytes}) => node === 1 && bytes[5] === Kind.flows).length * 44;
	t.true(records >= 40_000, `${records} records`);
	t.true(records <= 8 * 10_000, `${records} records`);
});
