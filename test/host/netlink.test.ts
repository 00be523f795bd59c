import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {privileged} from '../addon/fixture.js';

const SCENARIOS = fileURLToPath(new URL('netlink-scenarios.js', import.meta.url));

/** rtnetlink of the running kernel, in a network namespace that ends with its process; see netlink-scenarios.ts. */
for (const [scenario, title] of [
	['addresses', 'IPv6 addresses come and go at once, and are read back'],
	['duplicates', 'an address that the kernel has not proven unique is not usable until it has'],
	['forwarding', 'a link says whether it forwards IPv6, and when that changes'],
	['routes', 'IPv6 routes are asked for, and their changes told'],
	['holdings', 'routes and rules of both families come, are found again by their maker, and go'],
	['promotion', 'promote_secondaries of a link is read and set'],
	['macvlans', 'a macvlan is made, set up and removed'],
	['neighbours', 'IPv6 neighbours are told of, and solicited on request'],
] as const)
	privileged(title, async t => {
		const argv = ['--net', process.execPath, SCENARIOS, scenario];
		const {stdout} = await promisify(execFile)('unshare', argv);
		t.is(stdout, 'done\n');
	});
