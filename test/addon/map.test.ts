import {RawMap, unpin} from 'libbpf-ts';
import {
	areCollected,
	compile,
	loaded,
	mapOf,
	mountedBpffs,
	privileged,
	programOf,
	refusal,
	u32Bytes,
	u64Bytes,
} from './fixture.js';

const FIXTURE = compile('fixture');

/** 0, 1, 2, … as keys, ten times that as values. */
function entries(count: number): [keys: Uint8Array, values: Uint8Array] {
	const numbers = Array.from({length: count}, (_, index) => index);
	return [u32Bytes(...numbers), u64Bytes(...numbers.map(number => BigInt(number) * 10n))];
}

privileged('an entry is written, read, and removed once', t => {
	const numbers = mapOf(loaded(t, FIXTURE), 'numbers');
	t.is(numbers.lookup(u32Bytes(5)), undefined);
	numbers.update(u32Bytes(5), u64Bytes(50n));
	t.deepEqual(numbers.lookup(u32Bytes(5)), u64Bytes(50n));
	const into = new Uint8Array(8);
	t.true(numbers.lookupInto(u32Bytes(5), into));
	t.deepEqual(into, u64Bytes(50n));
	t.true(numbers.delete(u32Bytes(5)));
	t.false(numbers.delete(u32Bytes(5)));
	t.false(numbers.lookupInto(u32Bytes(5), into));
});

privileged('a buffer of the wrong length never reaches the kernel', t => {
	const numbers = mapOf(loaded(t, FIXTURE), 'numbers');
	const [key, value, short] = [u32Bytes(1), u64Bytes(1n), new Uint8Array(3)];
	const wrong = {instanceOf: RangeError, message: /has 3 bytes, not/};
	t.throws(() => numbers.lookup(short), wrong);
	t.throws(() => numbers.lookupInto(key, short), wrong);
	t.throws(() => numbers.update(short, value), wrong);
	t.throws(() => numbers.update(key, short), wrong);
	t.throws(() => numbers.delete(short), wrong);
	t.throws(() => numbers.nextKey(short), wrong);
	t.throws(() => numbers.updateBatch(short, value, 1), wrong);
	t.throws(() => numbers.updateBatch(key, value, 2), {instanceOf: RangeError, message: /keys has 4 bytes, not 8/});
	t.throws(() => numbers.lookup(new Uint16Array(2) as unknown as Uint8Array), {instanceOf: TypeError});
});

privileged('an update can demand that the entry is new, or that it exists', t => {
	const numbers = mapOf(loaded(t, FIXTURE), 'numbers');
	const exists = refusal('EEXIST', /^map update: numbers: EEXIST \(the entry exists\)$/);
	const missing = refusal('ENOENT', /^map update: numbers: ENOENT \(no such entry\)$/);
	t.throws(() => numbers.update(u32Bytes(1), u64Bytes(1n), 'exist'), missing);
	numbers.update(u32Bytes(1), u64Bytes(1n), 'noexist');
	t.throws(() => numbers.update(u32Bytes(1), u64Bytes(2n), 'noexist'), exists);
});

privileged('keys can be walked', t => {
	const numbers = mapOf(loaded(t, FIXTURE), 'numbers');
	t.is(numbers.nextKey(), undefined);
	numbers.updateBatch(...entries(3), 3);
	const walked: number[] = [];
	for (let key = numbers.nextKey(); key !== undefined; key = numbers.nextKey(key)) walked.push(key[0] ?? -1);
	t.deepEqual(walked.sort(), [0, 1, 2]);
});

privileged('more entries than a batch has are written and dumped', async t => {
	const numbers = mapOf(loaded(t, FIXTURE), 'numbers');
	numbers.updateBatch(...entries(3000), 3000);
	for (const batch of [undefined, 1, 100, 1024]) {
		const {keys, values, count} = await numbers.dump(batch === undefined ? {} : {batch});
		t.is(count, 3000);
		const [keyWords, valueWords] = [new Uint32Array(keys.buffer), new BigUint64Array(values.buffer)];
		t.is(new Set(keyWords).size, 3000);
		t.true(keyWords.every((key, index) => valueWords[index] === BigInt(key) * 10n));
	}
});

privileged('many entries are deleted, and what is not there is no error', async t => {
	const numbers = mapOf(loaded(t, FIXTURE), 'numbers');
	const [keys, values] = entries(3000);
	numbers.updateBatch(keys, values, 3000);
	for (const gone of [0, 7, 8, 1024, 2998]) numbers.delete(u32Bytes(gone));
	numbers.deleteBatch(keys.subarray(0, 4 * 2999), 2999);
	const left = await numbers.dump();
	t.deepEqual([left.count, left.keys], [1, u32Bytes(2999)]);
	numbers.deleteBatch(keys, 3000);
	numbers.deleteBatch(new Uint8Array(0), 0);
	t.is((await numbers.dump()).count, 0);
	t.throws(() => numbers.deleteBatch(keys, 3001), {instanceOf: RangeError});
});

privileged('a batch that does not fit says how far it came', t => {
	const numbers = mapOf(loaded(t, FIXTURE), 'numbers');
	const full = refusal(
		'E2BIG',
		/^map update batch: numbers: E2BIG \(room for 5000 entries, after 5000 of 5100 entries\)$/,
	);
	t.throws(() => numbers.updateBatch(...entries(5100), 5100), full);
	t.throws(() => numbers.update(u32Bytes(9999), u64Bytes(0n)), refusal('E2BIG', /room for 5000 entries/));
});

privileged('a batch size outside of 1-1024 is refused', async t => {
	const numbers = mapOf(loaded(t, FIXTURE), 'numbers');
	for (const batch of [0, -1, 1.5, 1025, Number.NaN])
		await t.throwsAsync(numbers.dump({batch}), {instanceOf: RangeError, message: /is outside 1-1024/});
});

privileged('an empty map has an empty dump', async t => {
	t.deepEqual(await mapOf(loaded(t, FIXTURE), 'numbers').dump(), {
		keys: new Uint8Array(),
		values: new Uint8Array(),
		count: 0,
	});
});

privileged('a map type without batches is written and dumped all the same', async t => {
	const ports = mapOf(loaded(t, FIXTURE), 'ports');
	ports.updateBatch(u32Bytes(7, 8), u32Bytes(1, 1), 2);
	const {keys, values, count} = await ports.dump();
	t.is(count, 2);
	t.deepEqual([...new Uint32Array(keys.buffer)].sort(), [7, 8]);
	t.deepEqual(values, u32Bytes(1, 1));
	ports.deleteBatch(u32Bytes(7, 9, 8), 3);
	t.is((await ports.dump()).count, 0);
});

privileged('a per-CPU map transfers the values of all CPUs', async t => {
	const perCpu = mapOf(loaded(t, FIXTURE), 'per_cpu');
	t.is(perCpu.valueSize, 4);
	t.is(perCpu.transferSize % 8, 0);
	t.is(perCpu.lookup(u32Bytes(0))?.length, perCpu.transferSize);
	t.is((await perCpu.dump()).values.length, 2 * perCpu.transferSize);
});

privileged('what a map type cannot do is said', t => {
	const object = loaded(t, FIXTURE);
	const [mapped, numbers, perCpu] = [mapOf(object, 'mapped'), mapOf(object, 'numbers'), mapOf(object, 'per_cpu')];
	t.throws(
		() => mapped.delete(u32Bytes(0)),
		refusal('EINVAL', /^map delete: mapped: EINVAL \(not with a map of type array\)$/),
	);
	t.throws(() => numbers.mmap(), refusal('ENOTSUPP', /not with a map of type hash, only with arrays .*MMAPABLE/));
	t.throws(() => perCpu.mmap(), refusal('ENOTSUPP', /type perCpuArray/));
	t.throws(() => mapped.update(u32Bytes(8), new Uint8Array(16)), refusal('E2BIG', /room for 8 entries/));
});

privileged('a map that is closed during a dump is dumped to the end', async t => {
	const numbers = mapOf(loaded(t, FIXTURE), 'numbers');
	numbers.updateBatch(...entries(3000), 3000);
	const dump = numbers.dump();
	numbers.close();
	numbers.close();
	t.is((await dump).count, 3000);
	await t.throwsAsync(numbers.dump(), refusal('EBADF', /closed/));
	t.throws(() => numbers.mmap(), refusal('EBADF', /closed/));
});

privileged('mapped memory shows what programs count', t => {
	const object = loaded(t, FIXTURE);
	const memory = mapOf(object, 'mapped').mmap();
	t.is(memory.size, 8 * 16);
	programOf(object, 'count_and_pass').testRun({data: new Uint8Array(64), repeat: 3});
	programOf(object, 'count_and_drop').testRun({data: new Uint8Array(64), repeat: 40});
	t.is(memory.u64(0), 3n);
	t.is(memory.u32(16), 40);
	t.deepEqual(memory.sumU64(0, 16, 8, 2), BigUint64Array.of(43n, 0n));
	t.deepEqual(memory.sumU64(16, 0, 1, 1), BigUint64Array.of(40n));
	t.deepEqual(memory.sumU64(0, 16, 0, 1), BigUint64Array.of(0n));
	const into = new Uint8Array(17);
	memory.copy(0, into);
	t.deepEqual([into[0], into[16]], [3, 40]);
	memory.close();
});

privileged('mapped memory cannot be read outside of its bounds, or after close', t => {
	const memory = mapOf(loaded(t, FIXTURE), 'mapped').mmap();
	const outside = {instanceOf: RangeError};
	for (const offset of [-8, 4, 0.5, 128, 2 ** 52, Number.NaN, Number.POSITIVE_INFINITY])
		t.throws(() => memory.u64(offset), outside, `u64 at ${offset}`);
	t.throws(() => memory.u32(126), outside);
	t.throws(() => memory.copy(120, new Uint8Array(9)), outside);
	t.throws(() => memory.copy(0, new Uint8Array(129)), outside);
	t.throws(() => memory.sumU64(0, 16, 9, 1), outside);
	t.throws(() => memory.sumU64(8, 16, 8, 2), outside);
	t.throws(() => memory.sumU64(0, 16, 1, 17), outside);
	t.throws(() => memory.sumU64(0, 12, 2, 1), outside);
	t.throws(() => memory.sumU64(0, 2 ** 52, 2 ** 32 - 1, 1), outside);
	t.throws(() => memory.sumU64(0, 0, 1, 2 ** 32 - 1), outside);
	memory.close();
	memory.close();
	t.throws(() => memory.u64(0), refusal('EBADF', /^map memory read: mapped/));
	t.throws(() => memory.size, refusal('EBADF', /closed/));
});

privileged('mapped memory is written where that was asked for, a word at a time', t => {
	const map = mapOf(loaded(t, FIXTURE), 'mapped');
	const memory = map.mmap({writable: true});
	memory.setU64(16, 2n ** 64n - 1n);
	t.deepEqual(map.lookup(u32Bytes(1))?.subarray(0, 8), u64Bytes(2n ** 64n - 1n));
	t.is(memory.u64(16), 2n ** 64n - 1n);
	for (const offset of [-8, 4, 128, 2 ** 52]) t.throws(() => memory.setU64(offset, 1n), {instanceOf: RangeError});
	for (const value of [-1n, 2n ** 64n]) t.throws(() => memory.setU64(0, value), {message: /from 0 to 2\^64 - 1/});
	t.throws(() => map.mmap().setU64(0, 1n), {message: 'the mapping is read-only'});
	t.is(memory.u64(0), 0n);
	memory.close();
	t.throws(() => memory.setU64(0, 1n), refusal('EBADF', /^map memory read: mapped/));
});

privileged('a map outlives its object by a pin', t => {
	const bpffs = mountedBpffs(t);
	const path = `${bpffs}/numbers`;
	const object = loaded(t, FIXTURE);
	mapOf(object, 'numbers').update(u32Bytes(1), u64Bytes(10n));
	mapOf(object, 'numbers').pin(path);
	object.close();
	const pinned = RawMap.openPinned(path);
	t.deepEqual(pinned.lookup(u32Bytes(1)), u64Bytes(10n));
	t.is(pinned.name, 'numbers');
	t.is(pinned.maxEntries, 5000);
	t.throws(() => pinned.setMaxEntries(1), refusal('EBUSY', /loaded already/));
	pinned.close();
	t.true(unpin(path));
	t.false(unpin(path));
	t.throws(
		() => RawMap.openPinned(path),
		refusal('ENOENT', /^open pinned map: .*: ENOENT \(nothing is pinned there\)$/),
	);
});

privileged('what stands in the way of a pin is said', t => {
	const bpffs = mountedBpffs(t);
	const object = loaded(t, FIXTURE);
	const path = `${bpffs}/taken`;
	programOf(object, 'mark').pin(path);
	t.throws(() => mapOf(object, 'numbers').pin(path), refusal('EEXIST', /something is pinned there/));
	t.throws(() => mapOf(object, 'numbers').pin('/tmp/libbpf-ts-pin'), refusal('EPERM', /not in a bpffs/));
	t.throws(() => mapOf(object, 'numbers').pin(`${bpffs}/no/where`), refusal('ENOENT', /^pin map/));
	t.throws(() => RawMap.openPinned(path), refusal('EMEDIUMTYPE', /what is pinned there is not a map/));
});

privileged('a forgotten map closes itself', async t => {
	const path = mountedBpffs(t);
	mapOf(loaded(t, FIXTURE), 'numbers').pin(`${path}/numbers`);
	t.true(await areCollected(() => RawMap.openPinned(`${path}/numbers`)));
});
