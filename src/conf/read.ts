import {compile} from './compile.js';
import {type Diagnostic, Report} from './diagnostics.js';
import type {Files} from './files.js';
import {readTokens} from './language/include.js';
import {Parser} from './language/parser.js';
import {type Machine, noMachine} from './machine.js';
import type {Config} from './model.js';

export type {FileReason, Files} from './files.js';

/** What a configuration file means, and all there is to say about it. `config` is null if there is an error. */
export function readConfig(
	path: string,
	files: Files,
	machine: Machine = noMachine,
): {readonly config: Config | null; readonly diagnostics: readonly Diagnostic[]} {
	const report = new Report();
	const parser = new Parser(report);
	readTokens(path, files, machine, report, token => parser.take(token));
	const statements = parser.finish();
	// A brace in the wrong place would make every line behind it wrong.
	const config = report.failed ? null : compile(path, statements, files, report);
	return {config, diagnostics: report.diagnostics()};
}
