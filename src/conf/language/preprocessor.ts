/**
 * What stands between the lines of the files and their words: definitions, conditions and sequences, as keepalived has
 * them. What a line becomes is handed on at once, as it may be the name of a file whose definitions hold from then on.
 */
import {quote, type Report} from '../diagnostics.js';
import type {Machine} from '../machine.js';
import type {Place} from '../model.js';
import {suggestion} from '../values.js';
import {isTooLong, reportLongLine} from './lines.js';
import {Predefined} from './predefined.js';
import {type Reference, References} from './references.js';
import {countingSequence, listSequence, type Round, type Sequence} from './sequence.js';
import {Text} from './text.js';

/** Lines and replacements that a few lines may multiply to; enough for 10,000 real servers from one definition. */
const STEPS_MAX = 200_000;
/** Definitions and sequences within one another. */
const DEPTH_MAX = 64;

/** What a `$NAME` stands for. */
interface Definition {
	readonly name: string;
	/** As written: what they refer to is looked up where they are used. */
	readonly lines: readonly [Text, ...(readonly Text[])];
}

/** A definition whose value may go on in the next line. */
interface Unfinished {
	/** null: it is in a condition that does not hold. */
	readonly name: string | null;
	readonly lines: Text[];
	/** What it stands for if there are none. */
	readonly empty: Text;
}

/** A line with what its references stand for. */
interface Replaced {
	readonly text: Text;
	/** The definition of several lines whose name was at its end, and where that was. */
	readonly block: {readonly definition: Definition; readonly use: Place} | null;
}

/** What makes a line something to look at. */
const MARKS = /[$@~]/;
const DEFINITION = /^\$([A-Za-z_]\w*)=/;
const CONDITION = /^@(\^?)([^ \t]*)/;
const SEQUENCE = /^~(SEQx|SEQ|LST)[ \t]*(\(?)/;
/** What may follow a name without braces. */
const NAME_END = /[ \t,)]|$/y;
const WITHOUT_COMMENT = /(?:"[^"]*"?|\\.|[^"#!])*/sy;

export class Preprocessor {
	readonly #report: Report;
	readonly #configId: string;
	readonly #predefined: Predefined;
	readonly #take: (line: Text) => void;
	readonly #definitions = new Map<string, Definition>();
	/** Those of several lines whose lines are being read, outermost first. */
	readonly #open: string[] = [];
	#unfinished: Unfinished | null = null;
	#steps = 0;
	#depth = 0;
	#stopped = false;

	/** `take` is called with every line that is left, and may come back with more lines before it returns. */
	constructor(machine: Machine, report: Report, take: (line: Text) => void) {
		this.#configId = machine.configId;
		this.#predefined = new Predefined(machine);
		this.#report = report;
		this.#take = take;
	}

	/** Reads the next line of a file. */
	line(line: Text): void {
		if (this.#unfinished !== null) this.#continue(this.#unfinished, line);
		else if (MARKS.test(line.text)) this.process(line);
		else this.#take(line);
	}

	/** A definition ends with its file. */
	endFile(): void {
		if (this.#unfinished !== null) this.#finish(this.#unfinished);
	}

	/** Reads a line, or the part of one, that may begin with a directive. */
	process(line: Text): void {
		const text = withoutComment(line).trim();
		if (text.text === '' || !this.#step(text)) return;
		this.#depth++;
		if (CONDITION.test(text.text)) this.#condition(text);
		else if (DEFINITION.test(text.text)) this.#define(text, true);
		else if (SEQUENCE.test(text.text)) this.#repeat(text);
		else this.#replaceIn(text);
		this.#depth--;
	}

	/** Reads nothing more. */
	stop(): void {
		this.#stopped = true;
	}

	/** `@ID rest`, `@^ID rest`. */
	#condition(line: Text): void {
		const [head = '', not, id] = CONDITION.exec(line.text) ?? [];
		const rest = line.slice(head.length).trim();
		if ((id === this.#configId) !== (not === '^')) this.process(rest);
		// The lines in which it goes on belong to it.
		else if (DEFINITION.test(rest.text)) this.#define(rest, false);
	}

	/** `$NAME=value`, or `$NAME=value \` which goes on. */
	#define(line: Text, holds: boolean): void {
		const [head = '', name = ''] = DEFINITION.exec(line.text) ?? [];
		const value = line.slice(head.length);
		this.#add({name: holds ? name : null, lines: [], empty: value.slice(0, 0)}, value.trim());
	}

	/** An empty line ends a definition; keepalived passes over lines of blanks and comments. */
	#continue(unfinished: Unfinished, line: Text): void {
		const text = withoutComment(line).trim();
		if (text.text !== '') this.#add(unfinished, text);
		else if (/^\r?$/.test(line.text)) this.#finish(unfinished);
	}

	#add(unfinished: Unfinished, text: Text): void {
		const more = text.text.endsWith('\\');
		const value = more ? text.slice(0, text.text.length - 1).trim() : text;
		if (value.text !== '') unfinished.lines.push(value);
		if (more) this.#unfinished = unfinished;
		else this.#finish(unfinished);
	}

	#finish({name, lines, empty}: Unfinished): void {
		this.#unfinished = null;
		const [first = empty, ...others] = lines;
		if (name !== null) this.#definitions.set(name, {name, lines: [first, ...others]});
	}

	/** `~SEQ(…) rest`, `~LST(…) rest`. */
	#repeat(line: Text): void {
		const place = line.placeAt(0);
		const [head = '', kind = '', parenthesis] = SEQUENCE.exec(line.text) ?? [];
		const end = line.text.indexOf(')', head.length);
		const sequence: Sequence =
			parenthesis === '' || end === -1
				? {why: 'has no parentheses'}
				: this.#sequence(kind, line.slice(head.length, end));
		if ('why' in sequence) {
			const usage = kind === 'LST' ? 'NAME, VALUE, …' : 'NAME, START, STEP, END';
			this.#report.error('bad-sequence', place, `~${kind} ${sequence.why}`, `write '~${kind}(${usage}) …'`);
			return;
		}
		const rest = line.slice(end + 1);
		for (const round of sequence.rounds) {
			if (!this.#step(line)) return;
			this.#set(round, place);
			this.process(rest);
		}
	}

	#sequence(kind: string, args: Text): Sequence {
		const {text} = this.#replaced(args);
		return kind === 'LST' ? listSequence(text) : countingSequence(text, kind === 'SEQx');
	}

	#set(round: Round, place: Place): void {
		for (const [name, value] of round) {
			this.#definitions.set(name, {name, lines: [typeof value === 'string' ? Text.at(place, value) : value]});
		}
	}

	#replaceIn(line: Text): void {
		const {text, block} = this.#replaced(line);
		if (isTooLong(text.text)) reportLongLine(text.placeAt(0), this.#report);
		else if (block !== null) this.#insert(text, block.definition, block.use);
		else if (text !== line && /^[@~]/.test(text.text)) this.process(text);
		else this.#take(text);
	}

	/** Reads the lines of a definition, the first behind what stands before its name. */
	#insert(before: Text, {name, lines}: Definition, use: Place): void {
		this.#open.push(name);
		for (const [index, line] of lines.entries()) {
			const value = line.through(name, use);
			this.process(index === 0 ? Text.join([before, value]) : value);
		}
		this.#open.pop();
	}

	/** Puts values in from left to right, and then what they refer to themselves. */
	#replaced(line: Text): Replaced {
		const references = new References(line);
		for (let reference = references.next(); reference !== null; reference = references.next()) {
			const use = references.rest.placeAt(reference.start);
			const definition = this.#find(references, reference, use);
			if (definition === null) {
				references.pass(reference);
				continue;
			}
			if (!this.#step(references.rest)) break;
			const {name, lines} = definition;
			const [value, ...more] = lines;
			if (more.length === 0) {
				references.replace(reference, name, value.through(name, use));
			} else if (reference.end === references.rest.text.length) {
				return {text: references.before(reference), block: {definition, use}};
			} else {
				const wayOut = 'nothing may follow its name in the line';
				this.#report.error('bad-definition', use, `$${name} stands for several lines`, wayOut);
				references.pass(reference);
			}
		}
		return {text: references.text(), block: null};
	}

	/** What a reference refers to; null, perhaps with a complaint, if it is to stay as it is. */
	#find(references: References, reference: Reference, place: Place): Definition | null {
		const {name, words, start, end, braces} = reference;
		const {text} = references.rest;
		const isQuoted = (): boolean => references.isQuoted(start);
		const own = words.length === 0 ? this.#definitions.get(name) : undefined;
		const definition = own ?? this.#predefinition(name, words, place, isQuoted);
		if (definition === null) {
			// Scripts have variables of their own.
			if (!isQuoted()) this.#reportUndefined(name, braces, place);
			return null;
		}
		if (!braces && !matchesAt(NAME_END, text, end)) {
			const said = quote(text.slice(start, end + 1));
			if (!isQuoted()) this.#report.warning('bad-definition', place, `${said} is left as it is`, `write '\${${name}}'`);
			return null;
		}
		if (!this.#open.includes(name) && !references.isInside(name)) return definition;
		this.#report.error('bad-definition', place, `$${name} stands for itself`, 'remove it from its definition');
		return null;
	}

	#predefinition(name: string, words: readonly string[], place: Place, isQuoted: () => boolean): Definition | null {
		const value = this.#predefined.value(name, words, place.file);
		if (value === undefined) return null;
		// A comment is not what was asked for.
		const text = isQuoted() ? value : value.replace(/[#!]/g, '\\$&');
		return {name, lines: [Text.at(place, text)]};
	}

	#reportUndefined(name: string, braces: boolean, place: Place): void {
		const wayOut = suggestion(name, this.#definitions.keys()) || `define it above with '$${name}=…', or quote it`;
		if (braces) this.#report.error('undefined', place, `\${${name}} is not defined`, wayOut);
		else this.#report.warning('undefined', place, `$${name} is not defined and stays as it is`, wayOut);
	}

	/** Whether there is still time for one thing more. */
	#step(line: Text): boolean {
		if (this.#stopped) return false;
		this.#steps++;
		if (this.#steps <= STEPS_MAX && this.#depth < DEPTH_MAX) return true;
		const text =
			this.#depth < DEPTH_MAX
				? `definitions and sequences make more than ${STEPS_MAX} lines`
				: `definitions and sequences are nested deeper than ${DEPTH_MAX}`;
		this.#report.error('expansion-limit', line.placeAt(0), text);
		this.stop();
		return false;
	}
}

function matchesAt(pattern: RegExp, text: string, at: number): boolean {
	pattern.lastIndex = at;
	return pattern.test(text);
}

function withoutComment(line: Text): Text {
	WITHOUT_COMMENT.lastIndex = 0;
	const end = WITHOUT_COMMENT.exec(line.text)?.[0].length ?? 0;
	return end === line.text.length ? line : line.slice(0, end);
}
