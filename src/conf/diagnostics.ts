import {ExitCode} from '../errors.js';
import type {Place} from './model.js';

export type Severity = 'error' | 'warning' | 'info';

/** What each kind of complaint means for the exit code when it is the first error of a run. */
const exitCodes = {
	'file-missing': ExitCode.noConfiguration,
	'file-unreadable': ExitCode.permission,
	'file-not-regular': ExitCode.noConfiguration,
	'file-too-large': ExitCode.noConfiguration,
	'include-missing': ExitCode.badSyntax,
	'include-unreadable': ExitCode.badSyntax,
	'include-cycle': ExitCode.badSyntax,
	'include-limit': ExitCode.badSyntax,
	'list-unreadable': ExitCode.badValue,
	'key-unreadable': ExitCode.badValue,
	'line-too-long': ExitCode.badSyntax,
	'not-text': ExitCode.badSyntax,
	undefined: ExitCode.badSyntax,
	'bad-definition': ExitCode.badSyntax,
	'bad-sequence': ExitCode.badSyntax,
	'expansion-limit': ExitCode.badSyntax,
	'unterminated-quote': ExitCode.badSyntax,
	'unclosed-brace': ExitCode.badSyntax,
	'stray-brace': ExitCode.badSyntax,
	'nested-too-deep': ExitCode.badSyntax,
	'block-expected': ExitCode.badSyntax,
	'block-unexpected': ExitCode.badSyntax,
	'unknown-keyword': ExitCode.unknownKeyword,
	'not-supported': ExitCode.badValue,
	'no-effect': ExitCode.badValue,
	'missing-argument': ExitCode.badValue,
	'extra-argument': ExitCode.badValue,
	'bad-value': ExitCode.badValue,
	adjusted: ExitCode.badValue,
	missing: ExitCode.badValue,
	duplicate: ExitCode.badValue,
	contradiction: ExitCode.badValue,
	'too-many': ExitCode.badValue,
	insecure: ExitCode.badValue,
} as const satisfies Record<string, ExitCode>;

/** Stable identifier for scripts. */
export type DiagnosticCode = keyof typeof exitCodes;

/** One complaint about a configuration. Printed as `FILE:LINE:COL: severity: text (way out)`. */
export interface Diagnostic {
	readonly severity: Severity;
	/** Stable identifier for scripts, such as `unknown-keyword`. */
	readonly code: DiagnosticCode;
	readonly place: Place;
	readonly text: string;
	/** What to do about it, or '' where the text says it. */
	readonly wayOut: string;
}

/** Complaints kept of one severity; a file that earns more is not being read by anyone any more. */
const KEPT_MAX = 1000;

/** Collects the complaints of one run. */
export class Report {
	readonly #found: Diagnostic[] = [];
	readonly #counts: Record<Severity, number> = {error: 0, warning: 0, info: 0};
	readonly #withoutEffect = new Map<string, {readonly place: Place; readonly words: Set<string>}>();

	/** Whether there has been an error. */
	get failed(): boolean {
		return this.#counts.error > 0;
	}

	error(code: DiagnosticCode, place: Place, text: string, wayOut = ''): void {
		this.#add({severity: 'error', code, place, text, wayOut});
	}

	warning(code: DiagnosticCode, place: Place, text: string, wayOut = ''): void {
		this.#add({severity: 'warning', code, place, text, wayOut});
	}

	/** Notes a keyword that is accepted but does nothing: all with the same reason become one warning, at the first. */
	withoutEffect(place: Place, keyword: string, because: string): void {
		const note = this.#withoutEffect.get(because) ?? {place, words: new Set()};
		note.words.add(keyword);
		this.#withoutEffect.set(because, note);
	}

	/** All complaints of another report, behind those that are here. */
	append(other: Report): void {
		for (const diagnostic of other.#found) this.#add(diagnostic);
		for (const [because, {place, words}] of other.#withoutEffect) {
			for (const word of words) this.withoutEffect(place, word, because);
		}
	}

	/** Everything found, in the order of the text; files in the order in which they were first complained of. */
	diagnostics(): readonly Diagnostic[] {
		const all = [...this.#found, ...Array.from(this.#withoutEffect, noEffect)];
		const files = new Map([...new Set(all.map(({place}) => place.file))].map((file, order) => [file, order]));
		const order = (file: string): number => files.get(file) ?? 0;
		return all.sort(
			({place: a}, {place: b}) => order(a.file) - order(b.file) || a.line - b.line || a.column - b.column,
		);
	}

	#add(diagnostic: Diagnostic): void {
		const count = ++this.#counts[diagnostic.severity];
		if (count <= KEPT_MAX) this.#found.push(diagnostic);
		if (count === KEPT_MAX) this.#found.push(lastKept(diagnostic));
	}
}

function noEffect([because, {place, words}]: [string, {place: Place; words: ReadonlySet<string>}]): Diagnostic {
	const verb = words.size === 1 ? 'has' : 'have';
	const text = `${[...words].join(', ')} ${verb} no effect here: ${because}`;
	return {severity: 'warning', code: 'no-effect', place, text, wayOut: ''};
}

function lastKept({severity, place}: Diagnostic): Diagnostic {
	return {severity, code: 'too-many', place, text: `no more than ${KEPT_MAX} ${severity}s are shown`, wayOut: ''};
}

/** `FILE:LINE:COL: severity: text, in $NAME at FILE:LINE:COL (way out)` */
export function formatDiagnostic({severity, place, text, wayOut}: Diagnostic): string {
	const {definition} = place;
	const source = definition === undefined ? '' : `, in $${definition.name} at ${formatPlace(definition)}`;
	return `${formatPlace(place)}: ${severity}: ${text}${source}${wayOut === '' ? '' : ` (${wayOut})`}`;
}

/** `FILE:LINE:COL` */
export function formatPlace({file, line, column}: Place): string {
	return `${file}:${line}:${column}`;
}

/** What a program that stops because of these should exit with: the first error decides. `strict`: warnings are errors. */
export function exitCodeOf(diagnostics: readonly Diagnostic[], strict = false): ExitCode {
	const first = diagnostics.find(({severity}) => severity === 'error' || (strict && severity === 'warning'));
	return first === undefined ? ExitCode.ok : exitCodes[first.code];
}

/** The configuration is refused; every reason has a place. Without errors, warnings count as such. */
export class ConfError extends Error {
	override readonly name = 'ConfError';
	readonly code = 'conf';
	readonly diagnostics: readonly Diagnostic[];
	readonly exitCode: ExitCode;
	constructor(diagnostics: readonly Diagnostic[], exitCode: ExitCode) {
		const errors = diagnostics.filter(({severity}) => severity === 'error').length;
		const warnings = diagnostics.filter(({severity}) => severity === 'warning').length;
		const [count, noun] = errors > 0 ? [errors, 'error'] : [warnings, 'warning'];
		super(`${count} ${noun}${count === 1 ? '' : 's'} in the configuration`);
		this.diagnostics = diagnostics;
		this.exitCode = exitCode;
	}
}

/** Longest excerpt of the configuration that a complaint repeats. */
const EXCERPT_MAX = 60;

/** A word of the configuration, fit to be shown on a terminal: quoted, cut, and what cannot be seen escaped. */
export function quote(word: string): string {
	const cut = word.length > EXCERPT_MAX ? `${word.slice(0, EXCERPT_MAX)}…` : word;
	return `'${cut.replace(/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, escapeCharacter)}'`;
}

function escapeCharacter(character: string): string {
	return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
