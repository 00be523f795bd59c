import {compile, newDraft, readStatement} from './compile.js';
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
	const meaning = new Report();
	const draft = newDraft(path);
	const parser = new Parser(report, statement => readStatement(statement, draft, meaning));
	readTokens(path, files, machine, report, token => parser.take(token));
	parser.finish();
	// A brace in the wrong place would make every line behind it wrong.
	if (report.failed) return {config: null, diagnostics: report.diagnostics()};
	const config = compile(draft, files, meaning);
	report.append(meaning);
	return {config, diagnostics: report.diagnostics()};
}
