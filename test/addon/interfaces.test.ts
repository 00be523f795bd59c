import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {compile, privileged} from './fixture.js';

const SCENARIOS = fileURLToPath(new URL('interfaces.js', import.meta.url));
const FIXTURE = compile('fixture');

/** Interfaces come and go in a network namespace that ends with its process; see interfaces.ts. */
for (const [scenario, title] of [
	['attach', 'a link attaches, is replaced, detached, and refuses a second one'],
	['pin', 'a pinned link goes on without its process'],
	['down', 'sockets survive their interface going down and up'],
] as const)
	privileged(title, async t => {
		const argv = ['--net', '--mount', process.execPath, SCENARIOS, scenario, FIXTURE];
		const {stdout} = await promisify(execFile)('unshare', argv);
		t.is(stdout, 'done\n');
	});
