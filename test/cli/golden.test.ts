/**
 * What lbctl prints, as transcripts in test/cli/golden: `$ lbctl …`, its output, `! ` before lines of stderr, and its
 * exit code. `UPDATE_GOLDEN=1` writes them anew; read the difference before you believe it.
 */
import {readFileSync, writeFileSync} from 'node:fs';
import test from 'ava';
import {scene} from './scene.js';

const WITH_DAEMON = [
	'status',
	'services',
	'services 192.168.1.1:80',
	'services 192.168.1.1:81',
	'backends',
	'flows',
	'flows --client 198.51.100.3',
	'flows --limit 1',
	'persistence',
	'vrrp',
	'drops',
	'maps',
	'maps dump services',
	'maps dump nothing',
	'reload',
	'bench',
	'--json bench',
	'backends --json',
	'--json flows --limit 1',
	'--json drops',
];
const WITHOUT_DAEMON = ['status', 'services', 'backends', 'flows --limit 1', 'drops', 'vrrp', 'reload', 'unload'];

function transcript(command: string, {code, out, err}: {code: number; out: string; err: string}): string {
	const complaints = err.replace(/^(?=.)/gm, '! ');
	return `$ lbctl ${command}\n${out}${complaints}exit ${code}\n\n`;
}

const golden = test.macro(async (t, file: string, commands: readonly string[], daemon: object | null) => {
	const {lbctl} = await scene(t, {daemon});
	let found = '';
	for (const command of commands) found += transcript(command, await lbctl(...command.split(' ')));
	const path = new URL(`../../../test/cli/golden/${file}`, import.meta.url);
	if (process.env.UPDATE_GOLDEN !== undefined) writeFileSync(path, found);
	t.is(found, readFileSync(path, 'utf8'));
});

test('with a daemon', golden, 'with-daemon.txt', WITH_DAEMON, {});
test('without a daemon', golden, 'without-daemon.txt', WITHOUT_DAEMON, null);
