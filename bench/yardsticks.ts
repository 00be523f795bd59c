/** The programs to compare with (yardsticks.bpf.c). */
import {BpfObject, type BpfProgram, possibleCpus} from 'libbpf-ts';
import {part} from '../src/bench/traffic.js';

const OBJECT = 'build/bench/yardsticks.bpf.o';
const INDEX = new Uint8Array(4);

export class Yardsticks {
	readonly macSwap: BpfProgram;
	readonly coldLine: BpfProgram;
	readonly coldLineAwaited: BpfProgram;
	readonly sink: BpfProgram;
	readonly #object: BpfObject;

	/** `lines`: how many lines there are to look at, a power of two. */
	constructor(lines: number) {
		this.#object = BpfObject.open(OBJECT);
		part(this.#object.maps, 'lines').setMaxEntries(lines);
		this.#object.load();
		this.macSwap = part(this.#object.programs, 'mac_swap');
		this.coldLine = part(this.#object.programs, 'cold_line');
		this.coldLineAwaited = part(this.#object.programs, 'cold_line_awaited');
		this.sink = part(this.#object.programs, 'sink');
		const search = new DataView(new ArrayBuffer(16));
		search.setBigUint64(0, BigInt(lines - 1), true);
		part(this.#object.maps, 'searches').update(INDEX, new Uint8Array(search.buffer));
	}

	/** Frames that `sink` has seen, on all CPUs. */
	delivered(): number {
		const counts = part(this.#object.maps, 'delivered').lookup(INDEX);
		if (counts === undefined) throw new Error('the sink does not count');
		const view = new DataView(counts.buffer, counts.byteOffset, counts.byteLength);
		return Array.from({length: possibleCpus()}, (_, cpu) => Number(view.getBigUint64(8 * cpu, true))).reduce(
			(sum, count) => sum + count,
			0,
		);
	}

	close(): void {
		this.#object.close();
	}
}
