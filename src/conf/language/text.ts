import type {Place} from '../model.js';

/** Characters that were written in one go. */
interface Stretch {
	/** Offset of the first of them. */
	readonly start: number;
	/** Where that was written. */
	readonly written: Place;
	/** The definition that they come from, and where it was used; null: they stand in the file as they are here. */
	readonly through: {readonly name: string; readonly use: Place} | null;
}

const NO_BLANK = /[^ \t\v\f\r]/;
const BLANKS_AT_END = /[ \t\v\f\r]+$/;

/** A line of the configuration in which every character knows where it was written. */
export class Text {
	readonly text: string;
	readonly #stretches: readonly Stretch[];

	private constructor(text: string, stretches: readonly Stretch[]) {
		this.text = text;
		this.#stretches = stretches;
	}

	/** Text that stands in a file, from `place` on. */
	static at(place: Place, text: string): Text {
		return new Text(text, [{start: 0, written: place, through: null}]);
	}

	/** Of the character at an offset, or of the end. */
	placeAt(offset: number): Place {
		const {start, written, through} = this.#stretchAt(offset);
		const {file, line} = written;
		const column = written.column + offset - start;
		if (through === null) return {file, line, column};
		return {...through.use, definition: {name: through.name, file, line, column}};
	}

	slice(from: number, to: number = this.text.length): Text {
		return new Text(this.text.slice(from, to), this.#stretchesOf(from, to));
	}

	/** Without the blanks around it. */
	trim(): Text {
		const start = this.text.search(NO_BLANK);
		if (start === -1) return this.slice(0, 0);
		const end = this.text.length - (BLANKS_AT_END.exec(this.text)?.[0].length ?? 0);
		return start === 0 && end === this.text.length ? this : this.slice(start, end);
	}

	/** This text as what definition `name` stands for where it is used. */
	through(name: string, use: Place): Text {
		const {definition: _, ...at} = use;
		return new Text(
			this.text,
			this.#stretches.map(one => ({...one, through: {name: one.through?.name ?? name, use: at}})),
		);
	}

	/** One text after the other; of at least one. */
	static join(parts: readonly Text[]): Text {
		// Any number of parts may have no characters.
		const full = parts.filter(({text}) => text !== '');
		const [first = parts[0], ...others] = full;
		if (first === undefined) throw new RangeError('no texts to join');
		if (others.length === 0) return first;
		let behind = 0;
		const stretches = full.flatMap(part => {
			const start = behind;
			behind += part.text.length;
			return part.#stretches.map(one => ({...one, start: one.start + start}));
		});
		return new Text(full.map(({text}) => text).join(''), stretches);
	}

	/** Those of a slice, as it counts. */
	#stretchesOf(from: number, to: number): readonly Stretch[] {
		const first = this.#stretchAt(from);
		const behind = this.#stretches.filter(({start}) => from < start && start < to);
		const cut = {...first.written, column: first.written.column + from - first.start};
		return [{...first, start: 0, written: cut}, ...behind.map(one => ({...one, start: one.start - from}))];
	}

	#stretchAt(offset: number): Stretch {
		const [first, ...others] = this.#stretches;
		const found = others.length === 0 ? first : this.#stretches.findLast(({start}) => start <= offset);
		if (found === undefined) throw new RangeError(`no character at ${offset}`);
		return found;
	}
}
