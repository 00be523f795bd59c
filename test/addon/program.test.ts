import {BpfLink, BpfProgram} from 'libbpf-ts';
import {compile, loaded, mountedBpffs, privileged, programOf, refusal} from './fixture.js';

const FIXTURE = compile('fixture');
const LOOPBACK = 1;
const XDP_PASS = 2;
const XDP_TX = 3;

privileged('a test run returns the verdict and the packet', t => {
	const data = new Uint8Array(64).fill(0xff);
	const result = programOf(loaded(t, FIXTURE), 'mark').testRun({data, ifindex: LOOPBACK});
	t.is(result.retval, XDP_TX);
	t.is(result.data.length, 64);
	t.deepEqual([...result.data.subarray(0, 2)], [LOOPBACK, 0xff]);
	t.is(data[0], 0xff, 'the input is left alone');
	t.true(result.durationNs >= 0);
});

privileged('a packet may grow', t => {
	const {retval, data} = programOf(loaded(t, FIXTURE), 'grow').testRun({data: new Uint8Array(64)});
	t.is(retval, XDP_PASS);
	t.is(data.length, 84);
});

privileged('a test run that cannot be is refused', t => {
	const grow = programOf(loaded(t, FIXTURE), 'grow');
	t.throws(() => grow.testRun({data: new Uint8Array(13)}), refusal('EINVAL', /^test run: grow/));
	t.throws(() => grow.testRun({data: new Uint8Array(64), outSize: 64}), refusal('ENOSPC', /^test run: grow/));
	t.throws(
		() => grow.testRun({data: new Uint8Array(64), ifindex: 0x7fff_fff0}),
		refusal('ENODEV', /no such interface/),
	);
	t.throws(() => grow.testRun({data: new Uint8Array(64), repeat: -1}), {instanceOf: RangeError});
	t.throws(() => grow.testRun({data: 'text' as unknown as Uint8Array}), {instanceOf: TypeError});
});

privileged('a live run sends what the program decides, and one that cannot be is refused', t => {
	const mark = programOf(loaded(t, FIXTURE), 'mark');
	t.notThrows(() => mark.liveRun({data: new Uint8Array(64), repeat: 100, ifindex: LOOPBACK, batchSize: 32}));
	t.throws(
		() => mark.liveRun({data: new Uint8Array(64), repeat: 1, batchSize: 257}),
		refusal('E2BIG', /^live run: mark/),
	);
});

privileged('a program outlives its object by a pin', t => {
	const bpffs = mountedBpffs(t);
	const path = `${bpffs}/mark`;
	const object = loaded(t, FIXTURE);
	programOf(object, 'mark').pin(path);
	const {id} = programOf(object, 'mark');
	object.close();
	const pinned = BpfProgram.openPinned(path);
	t.is(pinned.id, id);
	t.is(pinned.name, 'mark');
	t.is(pinned.testRun({data: new Uint8Array(64)}).retval, XDP_TX);
	pinned.close();
	t.throws(() => pinned.testRun({data: new Uint8Array(64)}), refusal('EBADF', /closed/));
	t.throws(() => BpfLink.openPinned(path), refusal('EMEDIUMTYPE', /not a link/));
	t.throws(() => BpfProgram.openPinned(`${bpffs}/none`), refusal('ENOENT', /nothing is pinned there/));
});
