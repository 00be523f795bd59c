import {createHash} from 'node:crypto';
import {readdirSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

const PROGRAMS = fileURLToPath(new URL('../..', import.meta.url));

/**
 * What tells one build of these programs from another: all their files, and the Node that runs them. Must be asked for when
 * a program starts, since an upgrade replaces the files of running ones.
 */
export function build(): string {
	const hash = createHash('sha256').update(process.version);
	const files = readdirSync(PROGRAMS, {recursive: true, encoding: 'utf8'}).filter(file => file.endsWith('.js'));
	for (const file of files.sort()) hash.update(file).update(readFileSync(`${PROGRAMS}/${file}`));
	return hash.digest('hex').slice(0, 16);
}
