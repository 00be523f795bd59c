import {LINE_BYTES_MAX} from './lines.js';
import {Text} from './text.js';

/** A `$NAME` or `${NAME WORD …}` in the rest of a line. */
export interface Reference {
	readonly start: number;
	readonly end: number;
	readonly name: string;
	readonly words: readonly string[];
	readonly braces: boolean;
}

/** A value that has been put in: it reaches to `tail` characters before the end of the line. */
interface Insertion {
	readonly name: string;
	readonly tail: number;
}

const REFERENCE = /\$(?:\{([A-Za-z_]\w*)((?:[ \t]+\w+)*)[ \t]*\}|([A-Za-z_]\w*))/y;

/**
 * The references of a line, which are replaced from left to right: what is done, and the rest, which begins with what was put
 * in and may still have some. So a value's own references are found, and the work does not grow with the line.
 */
export class References {
	rest: Text;
	readonly #done: Text[] = [];
	#length = 0;
	#quoted = false;
	/** Where in the rest to look on. */
	#from = 0;
	/** The values that the rest begins with, and where each ends. */
	#insertions: readonly Insertion[] = [];

	constructor(line: Text) {
		this.rest = line;
	}

	/** The next reference; null if there is none, or if what has become of the line is something else. */
	next(): Reference | null {
		const {text} = this.rest;
		if (this.#length + text.length > LINE_BYTES_MAX || (this.#length === 0 && this.#from === 0 && /^[@~]/.test(text)))
			return null;
		for (let at = text.indexOf('$', this.#from); at !== -1; at = text.indexOf('$', at + 1)) {
			const reference = referenceAt(text, at);
			if (reference === null) continue;
			this.#insertions = this.#insertions.filter(({tail}) => at < text.length - tail);
			return reference;
		}
		return null;
	}

	/** Leaves a reference as it is. */
	pass({start}: Reference): void {
		this.#from = start + 1;
	}

	replace({start, end}: Reference, name: string, value: Text): void {
		const {text} = this.rest;
		const before = this.rest.slice(0, start);
		this.#insertions = [...this.#insertions, {name, tail: text.length - end}];
		this.#quoted = this.isQuoted(start);
		this.#length += start;
		if (start > 0) this.#done.push(before);
		this.rest = Text.join([value, this.rest.slice(end)]);
		this.#from = 0;
	}

	/** Whether a place in the rest is behind an odd number of quotes. */
	isQuoted(at: number): boolean {
		return (this.rest.text.slice(0, at).split('"').length % 2 === 0) !== this.#quoted;
	}

	/** Whether the reference that was found last is in a value of `name`. */
	isInside(name: string): boolean {
		return this.#insertions.some(insertion => insertion.name === name);
	}

	/** The line up to a reference. */
	before({start}: Reference): Text {
		return Text.join([...this.#done, this.rest.slice(0, start)]);
	}

	text(): Text {
		return this.#done.length === 0 ? this.rest : Text.join([...this.#done, this.rest]);
	}
}

function referenceAt(text: string, at: number): Reference | null {
	REFERENCE.lastIndex = at;
	const match = REFERENCE.exec(text);
	if (match === null) return null;
	const [all, braced, words = '', bare = ''] = match;
	const name = braced ?? bare;
	return {start: at, end: at + all.length, name, words: words.split(/\s+/).slice(1), braces: braced !== undefined};
}
