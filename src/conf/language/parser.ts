import type {Report} from '../diagnostics.js';
import type {Place} from '../model.js';
import type {FlatToken} from './include.js';
import type {Word} from './lexer.js';

/** One keyword with what follows it on its line, and the block behind it if there is one. */
export interface Statement {
	readonly keyword: Word;
	readonly args: readonly Word[];
	readonly block: Block | null;
}

/** What stands between `{` and `}`. */
export interface Block {
	/** Where its `{` is. */
	readonly place: Place;
	readonly statements: readonly Statement[];
}

/** keepalived nests four deep (`virtual_server`, `real_server`, `HTTP_GET`, `url`). */
const DEPTH_MAX = 16;

interface OpenStatement {
	readonly keyword: Word;
	readonly args: Word[];
	block: OpenBlock | null;
}

interface OpenBlock {
	readonly place: Place;
	readonly statements: OpenStatement[];
}

/** Builds the tree of statements and blocks. Knows braces and line ends, no keywords. */
export class Parser {
	readonly #report: Report;
	readonly #take: (statement: Statement) => void;
	/** The blocks we are in, outermost first. */
	readonly #blocks: OpenBlock[] = [];
	/** The statement that they are in. */
	#outermost: OpenStatement | null = null;
	/** The statement that further words of this line belong to. */
	#line: OpenStatement | null = null;
	/** The statement that a `{` belongs to; it may stand on a later line. */
	#owner: OpenStatement | null = null;
	/** Depth within a block that belongs to nothing or is nested too deep, and is skipped. */
	#skipped = 0;

	/** `take` is called with each statement that is in no block, when it is whole, so that nobody has to keep the tree of a large file. */
	constructor(report: Report, take: (statement: Statement) => void) {
		this.#report = report;
		this.#take = take;
	}

	take(token: FlatToken): void {
		if (token.kind === 'open') this.#open(token.place);
		else if (token.kind === 'close') this.#close(token.place);
		else if (this.#skipped > 0) return;
		else if (token.kind === 'word') this.#word(token.word);
		else this.#line = null;
	}

	finish(): void {
		for (const {place} of this.#blocks.toReversed()) {
			this.#report.error('unclosed-brace', place, `'{' is never closed`, `add the missing '}'`);
		}
		this.#deliver();
	}

	#deliver(): void {
		if (this.#outermost !== null) this.#take(this.#outermost);
		this.#outermost = null;
	}

	#word(word: Word): void {
		if (this.#line !== null) {
			this.#line.args.push(word);
			return;
		}
		this.#line = {keyword: word, args: [], block: null};
		this.#owner = this.#line;
		const block = this.#blocks.at(-1);
		if (block !== undefined) {
			block.statements.push(this.#line);
			return;
		}
		this.#deliver();
		this.#outermost = this.#line;
	}

	#open(place: Place): void {
		if (this.#skipped > 0) {
			this.#skipped++;
			return;
		}
		const owner = this.#owner;
		if (owner === null || this.#blocks.length === DEPTH_MAX) {
			this.#skipped = 1;
			if (owner === null) this.#report.error('stray-brace', place, `'{' belongs to no keyword`, 'remove the block');
			else this.#report.error('nested-too-deep', place, `blocks are nested deeper than ${DEPTH_MAX}`);
			return;
		}
		owner.block = {place, statements: []};
		this.#blocks.push(owner.block);
		this.#line = null;
		this.#owner = null;
	}

	#close(place: Place): void {
		this.#line = null;
		this.#owner = null;
		if (this.#skipped > 0) this.#skipped--;
		else if (this.#blocks.length > 0) this.#blocks.pop();
		else this.#report.error('stray-brace', place, `'}' closes nothing`, 'remove it, or find the block it should close');
	}
}
