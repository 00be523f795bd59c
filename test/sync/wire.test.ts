/** The datagrams of sharing: what is written is read, and everything else is refused by name. */
import test from 'ava';
import {viewOf} from '../../src/net/bytes.js';
import {
	type BackendName,
	capacity,
	DATAGRAM_MAX,
	decodeBackend,
	decodeEnd,
	decodeHello,
	decodeNic,
	decodeTurn,
	encodeBackend,
	encodeEnd,
	encodeHello,
	encodeNic,
	encodeTurn,
	HEADER_BYTES,
	Kind,
	type Message,
	RECORD_BYTES,
	Seal,
	TAG_BYTES,
} from '../../src/sync/wire.js';
import {seeded} from '../fake/lan.js';
import {retagged} from './segment.js';

const seal = new Seal('a key of the test', 7);
const MESSAGE = {
	kind: Kind.flows,
	node: 0x0a00000a,
	epoch: 1_795_000_000_000,
	sequence: 42,
	names: 3,
	count: 2,
} as const;

function datagram(change: Partial<Omit<Message, 'records'>> = {}, by = seal): Uint8Array {
	const buffer = new Uint8Array(DATAGRAM_MAX).fill(0xab);
	return by.close(buffer, {...MESSAGE, ...change}).slice();
}

test('header and records come out as they went in', t => {
	const opened = seal.open(datagram());
	if (!opened.ok) return t.fail(opened.reason);
	const {records, ...header} = opened.value;
	t.deepEqual(header, MESSAGE);
	t.deepEqual(records, new Uint8Array(64).fill(0xab));
});

test('why a datagram is refused', t => {
	const good = datagram();
	const reasonOf = (bytes: Uint8Array): string => {
		const opened = seal.open(bytes);
		return opened.ok ? 'none' : opened.reason;
	};
	const patched = (at: number, byte: number): Uint8Array => good.with(at, byte);
	t.is(reasonOf(good), 'none');
	t.is(reasonOf(new Uint8Array()), 'short');
	t.is(reasonOf(good.subarray(0, HEADER_BYTES + TAG_BYTES - 1)), 'short');
	t.is(reasonOf(patched(0, 0)), 'not-ours');
	t.is(reasonOf(patched(4, 2)), 'version');
	t.is(reasonOf(patched(6, 8)), 'group');
	t.is(reasonOf(patched(40, 0)), 'authentication');
	t.is(reasonOf(patched(good.length - 1, (good.at(-1) ?? 0) ^ 1)), 'authentication');
	t.is(reasonOf(good.subarray(0, good.length - 1)), 'authentication');
	t.is(reasonOf(datagram({}, new Seal(null, 7))), 'authentication');
	t.is(reasonOf(datagram({}, new Seal('a key of the test', 8))), 'group');
	const anybody = new Seal(null, 7);
	t.true(anybody.open(datagram({}, anybody)).ok, 'without a key the tag is a checksum');
});

test('who knows the key is not believed everything either', t => {
	const reasonOf = (bytes: Uint8Array): string => {
		const opened = seal.open(retagged(bytes, 'a key of the test'));
		return opened.ok ? 'none' : opened.reason;
	};
	t.is(reasonOf(datagram()), 'none');
	t.is(reasonOf(datagram().with(5, 0)), 'kind');
	t.is(reasonOf(datagram().with(5, 10)), 'kind');
	t.is(reasonOf(datagram().with(5, 255)), 'kind');
	t.is(reasonOf(datagram().with(28, 3)), 'length');
	t.is(reasonOf(datagram().with(29, 255)), 'length');
	t.is(reasonOf(datagram().with(5, Kind.flows6)), 'length');
});

test('every kind fills a datagram and no more', t => {
	for (const kind of Object.values(Kind)) {
		const count = capacity(kind, DATAGRAM_MAX);
		t.true(count >= 16 && count * RECORD_BYTES[kind] + HEADER_BYTES + TAG_BYTES <= DATAGRAM_MAX);
		t.true(datagram({kind, count}).length <= DATAGRAM_MAX);
	}
	t.true(capacity(Kind.flows, DATAGRAM_MAX) <= 64, 'one run of take_flows takes all');
});

test('names, turns, hellos and ends come out as they went in', t => {
	const view = (kind: Kind): DataView => viewOf(new Uint8Array(RECORD_BYTES[kind]));
	const address = Uint8Array.from({length: 16}, (_, n) => n);
	const service = {address, port: 443, protocol: 6, family: 6} as const;
	const backend: BackendName = {id: 65_535, service, address: address.toReversed(), port: 8443};
	const [a, b, c, d, e] = [Kind.backends, Kind.services, Kind.nics, Kind.hello, Kind.end].map(view) as [
		DataView,
		DataView,
		DataView,
		DataView,
		DataView,
	];
	encodeBackend(backend, a);
	t.deepEqual(decodeBackend(a), backend);
	encodeTurn({service, ticket: 2n ** 63n}, b);
	t.deepEqual(decodeTurn(b), {service, ticket: 2n ** 63n});
	encodeNic({index: 255, name: 'enp130s0f1np1.1'}, c);
	t.deepEqual(decodeNic(c), {index: 255, name: 'enp130s0f1np1.1'});
	encodeHello({want: 9, inSync: true}, d);
	t.deepEqual(decodeHello(d), {want: 9, inSync: true});
	encodeEnd({node: 1, want: 2, flows: 1_000_000}, e);
	t.deepEqual(decodeEnd(e), {node: 1, want: 2, flows: 1_000_000});
});

test('SEED=1: random bytes and random changes are refused, and nothing is thrown', t => {
	const random = seeded(1);
	for (let n = 0; n < 20_000; n++) {
		const bytes =
			n % 2 === 0 ? datagram() : Uint8Array.from({length: Math.floor(random() * 200)}, () => random() * 256);
		if (bytes.length > 0) {
			const at = Math.floor(random() * bytes.length);
			bytes[at] = (bytes[at] ?? 0) ^ (1 + Math.floor(random() * 255));
		}
		t.false(seal.open(bytes).ok);
	}
});
