import type {Place} from './model.js';

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

	/** This text with what definition `name` says in the place of its use. */
	replace(from: number, to: number, value: Text, name: string): Text {
		const {definition: _, ...use} = this.placeAt(from);
		const before = from === 0 ? [] : this.#stretchesOf(0, from);
		const inserted = value.#stretches.map(({start, written, through}) => {
			return {start: start + from, written, through: {name: through?.name ?? name, use}};
		});
		const behind = from + value.text.length;
		const after = this.#stretchesOf(to, this.text.length).map(one => ({...one, start: one.start + behind}));
		const text = this.text.slice(0, from) + value.text + this.text.slice(to);
		// Without those that have no characters, which could be any number.
		const stretches = [...before, ...inserted, ...after].filter(({start}, index, all) => {
			return start < (all[index + 1]?.start ?? text.length);
		});
		return new Text(text, stretches.length > 0 ? stretches : after);
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
