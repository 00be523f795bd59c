/** What scripts, FIFO readers and a mail server are told in the laboratory. */
import type {ChildProcess} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {Lab} from '../../lab/lab.js';
import {launch} from '../../lab/namespace.js';
import {waitFor} from '../../lab/wait.js';

const MAIL_SINK = fileURLToPath(new URL('./mail-sink.js', import.meta.url));
export const MAIL_PORT = 2525;

/** What was heard, as lines in the order in which they came. */
export interface Heard {
	/** Arguments, joined by `|`. */
	readonly scripts: readonly string[];
	readonly fifo: readonly string[];
	readonly mails: readonly string[];
}

/** A directory with the scripts, which write down what they are told. */
export class Ears {
	readonly directory = mkdtempSync(join(tmpdir(), 'notify-'));
	readonly tell = join(this.directory, 'tell');
	readonly read = join(this.directory, 'read');

	constructor() {
		const line = `printf '%s|' "$@" | tr '\\n' ' '; echo`;
		writeFileSync(this.tell, `#!/bin/sh\nline=$(${line})\necho "$line" >>${this.directory}/scripts\n`, {mode: 0o755});
		writeFileSync(
			this.read,
			`#!/bin/sh
echo "$#|$1|$2" >>${this.directory}/scripts
while read -r line; do echo "$line" >>${this.directory}/fifo; done <"$3"
`,
			{mode: 0o755},
		);
	}

	lines(file: 'scripts' | 'fifo' | 'mails'): string[] {
		const path = join(this.directory, file);
		const text = existsSync(path) ? readFileSync(path, 'utf8').trimEnd() : '';
		// Who writes the first line has made the file a moment before.
		return text === '' ? [] : text.split('\n');
	}

	heard(): Heard {
		return {scripts: this.lines('scripts'), fifo: this.lines('fifo'), mails: this.lines('mails')};
	}

	/** A mail server on the first balancer; resolves when it listens. The caller ends it. */
	async takeMail(lab: Lab): Promise<ChildProcess> {
		const argv = [process.execPath, MAIL_SINK, String(MAIL_PORT), join(this.directory, 'mails')];
		const server = launch(lab.lb1.namespace, argv, join(lab.directory, 'mail.log'));
		await listening(lab);
		return server;
	}

	remove(): void {
		rmSync(this.directory, {recursive: true});
	}
}

/** Waits until the line, or one like it, was heard that often. */
export async function hears(
	lab: Lab,
	ears: Ears,
	file: 'scripts' | 'fifo' | 'mails',
	line: string | RegExp,
	times: number,
): Promise<void> {
	const fits = (heard: string) => (typeof line === 'string' ? heard === line : line.test(heard));
	const look = () => ears.lines(file).filter(fits).length >= times;
	const seen = () => `${ears.lines(file).join('\n')}\n${lab.lb1.log()}`;
	await waitFor(`${file}: ${line}, ${times} times`, look, {seen});
}

/** Somebody takes mail on the first balancer. */
export async function listening(lab: Lab): Promise<void> {
	const look = async () => (await lab.run('lb1', 'ss', '-Hltn', `sport = :${MAIL_PORT}`)) !== '';
	await waitFor('the mail server listens', look);
}

/** Lines about one subject, in order: only that is promised. `of` finds the subject. */
export function bySubject(lines: readonly string[], of: RegExp): Record<string, string[]> {
	const subjects: Record<string, string[]> = {};
	for (const line of lines) {
		const subject = of.exec(line)?.[1] ?? '';
		subjects[subject] = [...(subjects[subject] ?? []), line];
	}
	return subjects;
}
