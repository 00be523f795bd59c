import {posix} from 'node:path';
import type {Machine} from '../machine.js';

/** keepalived's largest random number. */
const RANDOM_MAX = 32_767;

/** The definitions that every configuration has: `${_PWD}`, `${_RANDOM 1 6}`. */
export class Predefined {
	readonly #machine: Machine;
	#state: number;

	constructor(machine: Machine) {
		this.#machine = machine;
		this.#state = hash(machine.configId);
	}

	/** What `name` stands for in a file, or undefined if it is not predefined. `words`: what follows it in the braces. */
	value(name: string, words: readonly string[], file: string): string | undefined {
		switch (name) {
			case '_PWD':
				return posix.resolve(this.#machine.directory, posix.dirname(file));
			case '_INSTANCE':
				return this.#machine.configId;
			case '_RANDOM':
				return String(this.#random(Number(words[0] ?? 0), Number(words[1] ?? RANDOM_MAX)));
			case '_ENV':
				return this.#machine.variable(words[0] ?? '');
			case '_HASH':
				return '#';
			case '_BANG':
				return '!';
			default:
				return undefined;
		}
	}

	/**
	 * xorshift32, begun with the ID of the machine: a reload, or a check before it, must find the numbers of the start, and
	 * another machine different ones.
	 */
	#random(min: number, max: number): number {
		this.#state ^= this.#state << 13;
		this.#state ^= this.#state >>> 17;
		this.#state ^= this.#state << 5;
		const size = Math.min(Math.max(max - min, 0), RANDOM_MAX) + 1;
		return min + ((this.#state >>> 0) % size);
	}
}

/** FNV-1a; not 0, where xorshift would stay. */
function hash(text: string): number {
	let sum = 0x811c_9dc5;
	for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x0100_0193);
	return sum === 0 ? 1 : sum;
}
