/** The block list in its maps. A million prefixes are read and written in slices, so that nothing else has to wait for long. */
import {BpfError} from 'libbpf-ts';
import {ExitCode, KernelError} from '../errors.js';
import type {Clock} from '../host/host.js';
import {addressBytes, FAMILIES, type Family, family, formatAddress} from '../net/address.js';
import type {BlockedPrefix} from './layout.gen.js';
import type {Maps} from './maps.js';
import type {BlockChanges} from './tables.js';

/** Prefixes at a time: a few milliseconds. */
const SLICE = 1024;
const PRESENT = 1;

export class BlockList {
	/** What the maps hold. */
	readonly prefixes: ReadonlySet<string>;
	readonly #held: Set<string>;
	readonly #counts: Record<Family, number>;
	readonly #maps: Maps['blocked'];
	readonly #clock: Clock;

	private constructor(maps: Maps['blocked'], clock: Clock) {
		this.#held = new Set();
		this.prefixes = this.#held;
		this.#counts = {4: 0, 6: 0};
		this.#maps = maps;
		this.#clock = clock;
	}

	/** Reads what an earlier run has left. */
	static async read({blocked}: Maps, clock: Clock): Promise<BlockList> {
		const list = new BlockList(blocked, clock);
		for (const of of FAMILIES) {
			let count = 0;
			for (const [key] of await blocked[of].read()) {
				list.#note(textOf(key));
				if (++count % SLICE === 0) await list.#pause();
			}
		}
		return list;
	}

	/** Whether there is nothing to look for. */
	isEmpty(of: Family): boolean {
		return this.#counts[of] === 0;
	}

	/**
	 * What is new comes before what goes, so that no prefix that another one replaces lets anybody in. Throws KernelError;
	 * `prefixes` then has what was done until then.
	 */
	async change({added, removed}: BlockChanges): Promise<void> {
		try {
			for (const slice of slices(added)) {
				this.#add(slice);
				await this.#pause();
			}
			for (const slice of slices(removed)) {
				this.#remove(slice);
				await this.#pause();
			}
		} catch (cause) {
			if (!(cause instanceof BpfError)) throw cause;
			const hint = `after ${this.#held.size} prefixes; are there so many, or is memory short`;
			throw new KernelError('fill block list', cause.object, cause.code, hint, {cause, exitCode: ExitCode.kernel});
		}
	}

	#add(prefixes: readonly string[]): void {
		for (const [of, ofFamily] of byFamily(prefixes)) {
			this.#maps[of].setMany(ofFamily.map(prefix => [keyOf(prefix), PRESENT]));
			for (const prefix of ofFamily) this.#note(prefix);
		}
	}

	#note(prefix: string): void {
		this.#held.add(prefix);
		this.#counts[family(prefix)]++;
	}

	#remove(prefixes: readonly string[]): void {
		for (const [of, ofFamily] of byFamily(prefixes)) {
			this.#maps[of].deleteMany(ofFamily.map(keyOf));
			for (const prefix of ofFamily) this.#held.delete(prefix);
			this.#counts[of] -= ofFamily.length;
		}
	}

	#pause(): Promise<void> {
		return new Promise(resolve => this.#clock.after(0, 'block list', resolve));
	}
}

function* slices(prefixes: readonly string[]): Generator<readonly string[]> {
	for (let at = 0; at < prefixes.length; at += SLICE) yield prefixes.slice(at, at + SLICE);
}

/** Those families that have any. */
function byFamily(prefixes: readonly string[]): Array<readonly [Family, readonly string[]]> {
	return FAMILIES.map(of => [of, prefixes.filter(prefix => family(prefix) === of)] as const).filter(
		([, ofFamily]) => ofFamily.length > 0,
	);
}

function keyOf(prefix: string): BlockedPrefix {
	const [address = '', length] = prefix.split('/');
	return {length: Number(length), addr: addressBytes(address)};
}

function textOf({length, addr}: BlockedPrefix): string {
	return `${formatAddress(addr)}/${length}`;
}
