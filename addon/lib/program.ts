import {constants} from 'node:os';
import {check, checked} from './check.js';
import {BpfError} from './errors.js';
import {type NativeProgram, native} from './native.js';
import {checkedPin, checkPinning} from './pin.js';

/** BPF_PROG_TYPE_XDP of linux/bpf.h. */
const XDP = 6;

/** BPF_F_TEST_XDP_LIVE_FRAMES of linux/bpf.h. */
const LIVE_FRAMES = 2;

/** A program may add this much in front of a packet or behind it (XDP_PACKET_HEADROOM and tail room). */
const GROWTH_MAX = 512;

export interface TestRun {
	/** The packet, or the context of a program that has no packets. */
	readonly data: Uint8Array;
	/** How often to run it; each run gets the packet as the one before left it. 1 unless told. */
	readonly repeat?: number;
	/** Room for the packet as the program leaves it; 512 more than it had unless told. */
	readonly outSize?: number;
	/** XDP: the interface on which the packet seems to arrive, on queue 0; loopback unless told. */
	readonly ifindex?: number;
}

export interface LiveRun {
	/** Every run gets a frame with these bytes, or one that an earlier run has written to. */
	readonly data: Uint8Array;
	readonly repeat: number;
	/** XDP: the interface on which the frames seem to arrive; loopback unless told. */
	readonly ifindex?: number;
	/** Frames that are sent in one go, 1 to 256; 64, as a NIC's poll has them, unless told. */
	readonly batchSize?: number;
}

export interface TestResult {
	/** XDP_PASS and so on. */
	readonly retval: number;
	/** The packet as the program left it. */
	readonly data: Uint8Array;
	/** Average of one run. */
	readonly durationNs: number;
}

/**
 * A program: declared by an object that is not loaded yet, or verified and in the kernel, from `BpfObject.load()` or
 * `openPinned()`, open until `close()` of it or of its object. Refusals are BpfError.
 */
export class BpfProgram {
	readonly #program: NativeProgram;

	/** @internal Use `BpfObject.programs` or `openPinned`. */
	constructor(program: NativeProgram) {
		this.#program = program;
	}

	/** Opens the program pinned at a path of a bpffs. */
	static openPinned(path: string): BpfProgram {
		return new BpfProgram(checkedPin('program', path, native().openProgram(path)));
	}

	/** As in the object file; from a pin, the first 15 characters of it. */
	get name(): string {
		return this.#program.info().name;
	}
	/** enum bpf_prog_type of linux/bpf.h; 6 is XDP. */
	get type(): number {
		return this.#program.info().type;
	}
	/** The kernel's number of the program, 0 before it is loaded. */
	get id(): number {
		return this.#program.info().id;
	}
	/** The descriptor, for what wants a number, such as an entry of a program array; -1 when closed or not loaded. */
	get fd(): number {
		return this.#program.fd;
	}

	/** Before load: whether `load()` loads this program; it does unless told. */
	setAutoload(autoload: boolean): void {
		check('set autoload', this.name, this.#program.setAutoload(autoload), {hint: 'loaded already'});
	}

	/** @internal By `BpfObject.load()`: the program is in the kernel now, unless it was left out. */
	adopt(): void {
		check('program adopt', this.name, this.#program.adopt());
	}

	/** Runs the program on a packet, without a network (BPF_PROG_TEST_RUN). An XDP packet has at least 14 bytes. */
	testRun(run: TestRun): TestResult {
		if (run.ifindex !== undefined && this.type !== XDP)
			throw new BpfError('test run', this.name, constants.errno.EINVAL, {hint: 'ifindex is for XDP programs'});
		const out = new Uint8Array(run.outSize ?? run.data.length + GROWTH_MAX);
		const answer = this.#program.testRun(run.data, run.repeat ?? 1, out, run.ifindex ?? 0, 0, 0);
		const {retval, size, durationNs} = checked('test run', this.name, answer);
		return {retval, data: out.subarray(0, size), durationNs};
	}

	/** As `testRun`, but what the XDP program decides happens: redirected frames leave, passed ones reach the kernel. */
	liveRun(run: LiveRun): void {
		const {data, repeat, ifindex = 0, batchSize = 0} = run;
		checked(
			'live run',
			this.name,
			this.#program.testRun(data, repeat, new Uint8Array(0), ifindex, LIVE_FRAMES, batchSize),
		);
	}

	/** Keeps the program alive at a path of a bpffs after this process. */
	pin(path: string): void {
		checkPinning('program', path, this.#program.pin(path));
	}

	/** Later calls throw EBADF. Closing again is fine. */
	close(): void {
		this.#program.close();
	}
}
