import {writeFileSync} from 'node:fs';
import test from 'ava';
import {BpfError, BpfObject, MapType} from 'libbpf-ts';
import {compile, loaded, mapOf, privileged, programOf, refusal, scratch, u32Bytes, u64Bytes} from './fixture.js';

const FIXTURE = compile('fixture');
const REFUSED = compile('refused');

test('an object file tells its maps and programs before it is loaded', t => {
	const object = BpfObject.open(FIXTURE);
	const {name, id, type, keySize, valueSize, maxEntries, flags, fd} = mapOf(object, 'mapped');
	t.deepEqual(
		{name, id, type, keySize, valueSize, maxEntries, flags, fd},
		{name: 'mapped', id: 0, type: MapType.array, keySize: 4, valueSize: 16, maxEntries: 8, flags: 1 << 10, fd: -1},
	);
	t.is(programOf(object, 'mark').type, 6);
	t.false(object.maps.has('nonsense'));
	object.close();
});

test('a missing file is named', t => {
	t.throws(() => BpfObject.open('/nonexistent.o'), refusal('ENOENT', /^object open: \/nonexistent\.o: ENOENT \(.*\)$/));
});

test('a file that is no object is named', t => {
	const path = scratch('text.o');
	writeFileSync(path, 'not an object');
	t.throws(() => BpfObject.open(path), refusal('LIBBPF_FORMAT', /not a proper ELF object/));
});

test('what is not a path is a TypeError', t => {
	t.throws(() => BpfObject.open('a\0b'), {instanceOf: TypeError, message: /NUL/});
	t.throws(() => BpfObject.open(7 as unknown as string), {instanceOf: TypeError});
});

test('using a map or program of an object that is not loaded is refused', async t => {
	const object = BpfObject.open(FIXTURE);
	const numbers = mapOf(object, 'numbers');
	t.throws(
		() => numbers.lookup(u32Bytes(1)),
		refusal('EBADF', /^map lookup: numbers: EBADF \(closed or not loaded\)$/),
	);
	await t.throwsAsync(numbers.dump(), refusal('EBADF', /^map dump: numbers/));
	t.throws(() => programOf(object, 'mark').testRun({data: new Uint8Array(64)}), refusal('EBADF', /^test run: mark/));
});

privileged('load gives maps and programs their numbers and descriptors', t => {
	const object = loaded(t, FIXTURE);
	for (const part of [mapOf(object, 'numbers'), programOf(object, 'mark')]) {
		t.true(part.id > 0);
		t.true(part.fd > 2);
	}
});

privileged('a program that the verifier refuses: the complaint in the message, the whole log beside it', t => {
	const error = t.throws(() => BpfObject.open(REFUSED).load(), {instanceOf: BpfError});
	t.is(error.code, 'EACCES');
	t.regex(error.message, /^object load: .*refused\.bpf\.o: EACCES \(program unbounded: .*outside of the packet\)$/);
	t.notRegex(error.message, /processed \d+ insns/);
	t.regex(error.verifierLog ?? '', /invalid access to packet[\s\S]*processed 2 insns/);
});

privileged('an object is loaded once', t => {
	const object = loaded(t, FIXTURE);
	t.throws(() => object.load(), refusal('EINVAL', /attempted twice/));
});

privileged('a map can be sized before load, not after', t => {
	const object = BpfObject.open(FIXTURE);
	t.teardown(() => object.close());
	const numbers = mapOf(object, 'numbers');
	numbers.setMaxEntries(7);
	object.load();
	t.is(numbers.maxEntries, 7);
	t.throws(
		() => numbers.setMaxEntries(8),
		refusal('EBUSY', /^map set max entries: numbers: EBUSY \(loaded already\)$/),
	);
	t.throws(() => numbers.setMaxEntries(-1), {instanceOf: RangeError});
});

privileged('a program can be left out', t => {
	const object = BpfObject.open(REFUSED);
	t.teardown(() => object.close());
	const unbounded = programOf(object, 'unbounded');
	unbounded.setAutoload(false);
	object.load();
	t.is(unbounded.fd, -1);
	t.throws(() => unbounded.setAutoload(true), refusal('EBUSY', /loaded already/));
});

privileged('a second object can share a map of the first', t => {
	const first = loaded(t, FIXTURE);
	const second = BpfObject.open(FIXTURE);
	t.teardown(() => second.close());
	mapOf(second, 'numbers').reuse(mapOf(first, 'numbers'));
	second.load();
	mapOf(first, 'numbers').update(u32Bytes(1), u64Bytes(11n));
	t.deepEqual(mapOf(second, 'numbers').lookup(u32Bytes(1)), u64Bytes(11n));
	t.is(mapOf(second, 'numbers').id, mapOf(first, 'numbers').id);
});

privileged('a map of another shape, or a closed one, cannot be shared', t => {
	const first = loaded(t, FIXTURE);
	const numbers = mapOf(BpfObject.open(FIXTURE), 'numbers');
	t.throws(
		() => numbers.reuse(mapOf(first, 'mapped')),
		refusal('EINVAL', /numbers: EINVAL \(is hash of 4-byte keys and 8-byte values, flags 0, not array of .*\)/),
	);
	const closed = mapOf(first, 'numbers');
	closed.close();
	t.throws(() => numbers.reuse(closed), refusal('EBADF', /^map reuse: numbers/));
});

privileged('closing an object closes its maps and programs, and may be repeated', t => {
	const object = loaded(t, FIXTURE);
	const [numbers, mark] = [mapOf(object, 'numbers'), programOf(object, 'mark')];
	object.close();
	object.close();
	t.throws(() => numbers.lookup(u32Bytes(1)), refusal('EBADF', /closed/));
	t.throws(() => mark.testRun({data: new Uint8Array(64)}), refusal('EBADF', /closed/));
	t.throws(() => object.load(), refusal('EBADF', /closed/));
});
