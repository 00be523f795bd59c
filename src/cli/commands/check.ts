import {type Diagnostic, exitCodeOf, formatDiagnostic} from '../../conf/diagnostics.js';
import type {Report} from '../session.js';
import {printable} from '../style.js';

/** `lbctl check FILE`: every complaint about it, and the exit code that `lbd -t` would give. */
export function check(file: string, diagnostics: readonly Diagnostic[]): Report {
	const exitCode = exitCodeOf(diagnostics);
	return {
		json: {file, ok: exitCode === 0, diagnostics},
		text: () =>
			[...diagnostics.map(formatDiagnostic), `${file}: ${verdict(diagnostics)}`]
				.map(line => `${printable(line)}\n`)
				.join(''),
		exitCode,
	};
}

function verdict(diagnostics: readonly Diagnostic[]): string {
	const errors = diagnostics.filter(({severity}) => severity === 'error').length;
	const warnings = diagnostics.filter(({severity}) => severity === 'warning').length;
	const said = `${plural(errors, 'error')}, ${plural(warnings, 'warning')}`;
	return errors === 0 ? `can be used (${said})` : `cannot be used (${said})`;
}

function plural(count: number, noun: string): string {
	return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
