import test from 'ava';
import {BpfMap, type MapLayout, MapType, u16, u32, u64} from 'libbpf-ts';
import {Colour, type Everything, everything, maps, slot} from './fixture.gen.js';
import {compile, loaded, mapOf, privileged, refusal, u32Bytes} from './fixture.js';

const FIXTURE = compile('fixture');

const THING: Everything = {
	mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
	beHalf: 0x1234,
	numbers: [1, 2, 0xffff_ffff],
	colour: Colour.GREEN,
	bits: [
		[1n, 2n],
		[3n, 2n ** 64n - 1n],
	],
	slots: [
		{word: 7n, delta: -1},
		{word: 8n, delta: 32767},
	],
	temperature: -40,
	tiny: -128,
	endpoint: {addr: 0x0a00_0001, port: 80, proto: 6},
	beLong: 2n ** 63n,
};

function bytesOf(value: Everything): Uint8Array {
	const bytes = new Uint8Array(everything.size).fill(0xee);
	everything.encode(value, new DataView(bytes.buffer));
	return bytes;
}

test('a value has the bytes that C would give it', t => {
	const bytes = bytesOf(THING);
	t.deepEqual([...bytes.subarray(0, 8)], [2, 0, 0, 0, 0, 1, 0x12, 0x34]);
	t.deepEqual([...bytes.subarray(16, 24)], [0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0], 'last of numbers, colour');
	t.deepEqual(
		[...bytes.subarray(56, 72)],
		[7, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0],
		'slot, its pad zero',
	);
	t.deepEqual([...bytes.subarray(92, 104)], [0x80, 0, 0, 0, 10, 0, 0, 1, 0, 80, 6, 0], 'tiny, pad1, endpoint');
});

test('decode is the inverse of encode, wherever the view begins', t => {
	const shifted = new Uint8Array(everything.size + 3);
	shifted.set(bytesOf(THING), 3);
	t.deepEqual(everything.decode(new DataView(shifted.buffer, 3)), THING);
});

test('a value that does not fit is refused by the name of its member', t => {
	const refuse = (change: Partial<Everything>, message: RegExp): void => {
		t.throws(() => bytesOf({...THING, ...change}), {instanceOf: RangeError, message});
	};
	refuse({beHalf: 65_536}, /^everything\.be_half: 65536 is not an integer from 0 to 65535$/);
	refuse({beHalf: 1.5}, /^everything\.be_half: 1\.5 /);
	refuse({temperature: Number.NaN}, /^everything\.temperature: NaN /);
	refuse({tiny: -129}, /^everything\.tiny: -129 is not an integer from -128 to 127$/);
	refuse({beLong: -1n}, /^everything\.be_long: -1 is not a bigint/);
	refuse({beLong: 2n ** 64n}, /^everything\.be_long/);
	refuse({mac: new Uint8Array(5)}, /^everything\.mac: 5 bytes instead of 6$/);
	refuse({numbers: [1, 2]}, /^everything\.numbers: 2 elements instead of 3$/);
	refuse({numbers: [1, 2, -3]}, /^everything\.numbers: -3 is not/);
	refuse({bits: [[1n, 2n], [3n]]}, /^everything\.bits: 1 elements instead of 2$/);
	refuse(
		{
			slots: [
				{word: 1n, delta: 40_000},
				{word: 1n, delta: 1},
			],
		},
		/^slot\.delta: 40000/,
	);
	refuse({endpoint: {addr: -1, port: 1, proto: 1}}, /^endpoint_key\.addr: -1/);
});

privileged('a typed map gets, sets and deletes values', t => {
	const things = BpfMap.of(mapOf(loaded(t, FIXTURE), 'things'), maps.things);
	t.is(things.name, 'things');
	t.is(things.get(THING.endpoint), undefined);
	things.set(THING.endpoint, THING);
	t.deepEqual(things.get({addr: 0x0a00_0001, port: 80, proto: 6}), THING);
	t.true(things.has(THING.endpoint, THING));
	t.false(things.has(THING.endpoint, {...THING, beHalf: 0x1235}));
	t.throws(() => things.set(THING.endpoint, THING, 'noexist'), refusal('EEXIST', /^map update: things/));
	t.true(things.delete(THING.endpoint));
	t.false(things.delete(THING.endpoint));
});

privileged('many entries are written and read at once', async t => {
	const numbers = BpfMap.of(mapOf(loaded(t, FIXTURE), 'numbers'), maps.numbers);
	const entries = Array.from({length: 2500}, (_, index): [number, bigint] => [index, BigInt(index) ** 2n]);
	numbers.setMany(entries);
	const read = await numbers.entries();
	t.deepEqual(
		read.sort(([a], [b]) => a - b),
		entries,
	);
	numbers.setMany([]);
});

privileged('of an array, those entries are read whose value has a bit set, wherever it is', async t => {
	const counters = BpfMap.of(mapOf(loaded(t, FIXTURE), 'mapped'), maps.mapped);
	t.deepEqual([...(await counters.readUsed())], []);
	const last = counters.raw.maxEntries - 1;
	const size = counters.raw.valueSize;
	for (const [index, byte] of [
		[0, 0],
		[3, size - 1],
		[4, 0],
		[last, size - 1],
	] as const) {
		const value = new Uint8Array(size);
		value[byte] = 1;
		counters.raw.update(u32Bytes(index), value);
	}
	const used = [...(await counters.readUsed())];
	t.deepEqual(
		used.map(([index]) => index),
		[0, 3, 4, last],
	);
	for (const [index, value] of used) t.deepEqual(value, counters.get(index));
});

privileged('when one of many cannot be encoded, none is written', async t => {
	const numbers = BpfMap.of(mapOf(loaded(t, FIXTURE), 'numbers'), maps.numbers);
	t.throws(
		() =>
			numbers.setMany([
				[1, 1n],
				[2, -1n],
			]),
		{instanceOf: RangeError},
	);
	t.deepEqual(await numbers.entries(), []);
});

privileged('a map that is not what the layout says is refused by name', t => {
	const object = loaded(t, FIXTURE);
	const [numbers, mapped, perCpu] = [mapOf(object, 'numbers'), mapOf(object, 'mapped'), mapOf(object, 'per_cpu')];
	const refuse = <K, V>(change: Partial<MapLayout<K, V>>, message: RegExp): void => {
		const layout = {...maps.numbers, ...change} as MapLayout<K, V>;
		t.throws(() => BpfMap.of(numbers, layout), refusal('EINVAL', message));
	};
	refuse({key: u16}, /^map layout: numbers: EINVAL \(has 4 bytes where key u16 has 2\)$/);
	refuse({value: slot}, /^map layout: numbers: EINVAL \(has 8 bytes where value slot has 16\)$/);
	refuse({type: MapType.array}, /^map layout: numbers: EINVAL \(is of type hash, not array\)$/);
	refuse({flags: 1 << 10}, /^map layout: numbers: EINVAL \(has flags 0, lacks some of 1024\)$/);
	t.notThrows(() => BpfMap.of(mapped, maps.mapped));
	t.throws(() => BpfMap.of(perCpu, maps.perCpu), refusal('EINVAL', /bytes where value u32 has 4/));
	t.notThrows(() => new BpfMap(numbers, u32, u64));
});
