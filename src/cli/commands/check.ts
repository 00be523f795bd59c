import {type Diagnostic, exitCodeOf, formatDiagnostic, type Severity} from '../../conf/diagnostics.js';
import type {Place} from '../../conf/model.js';
import {ExitCode} from '../../errors.js';
import type {Report} from '../session.js';
import {paint, printable, type Style, type Tone} from '../style.js';

/** What there is to say about a file. */
export interface Findings {
	readonly diagnostics: readonly Diagnostic[];
	/** How a place looks in its file. */
	excerpt(place: Place): readonly string[];
}

const tones: Readonly<Record<Severity, Tone>> = {error: 'bad', warning: 'warning', info: 'faint'};

/** `lbctl check FILE`: every complaint about it, and the exit code that `lbd -t` would give. `strict`: warnings are errors. */
export function check(file: string, {diagnostics, excerpt}: Findings, strict: boolean): Report {
	const exitCode = exitCodeOf(diagnostics, strict);
	const show = (style: Style, diagnostic: Diagnostic): string[] => {
		const line = paint(
			style,
			style.terminal === true ? tones[diagnostic.severity] : null,
			printable(formatDiagnostic(diagnostic)),
		);
		return style.terminal === true ? [line, ...excerpt(diagnostic.place)] : [line];
	};
	return {
		json: {file, ok: exitCode === ExitCode.ok, diagnostics},
		text: style =>
			[...diagnostics.flatMap(one => show(style, one)), printable(`${file}: ${verdict(diagnostics, exitCode, strict)}`)]
				.map(line => `${line}\n`)
				.join(''),
		exitCode,
	};
}

function verdict(diagnostics: readonly Diagnostic[], exitCode: ExitCode, strict: boolean): string {
	const errors = diagnostics.filter(({severity}) => severity === 'error').length;
	const warnings = diagnostics.filter(({severity}) => severity === 'warning').length;
	const said = `${plural(errors, 'error')}, ${plural(warnings, 'warning')}${strict ? ', which count as errors' : ''}`;
	return exitCode === ExitCode.ok ? `can be used (${said})` : `cannot be used (${said})`;
}

function plural(count: number, noun: string): string {
	return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
