import test from 'ava';
import {violations} from '../../scripts/check-deps.js';

const allows = test.macro({
	exec: (t, path: string, source: string) => t.deepEqual(violations(path, source), []),
	title: (_, path, source) => `allows ${path}: ${source}`,
});

const refuses = test.macro({
	exec: (t, path: string, source: string, message: RegExp) => {
		const found = violations(path, source);
		t.is(found.length, 1, found.join('\n'));
		t.regex(found[0] ?? '', message);
	},
	title: (_, path, source) => `refuses ${path}: ${source}`,
});

test(allows, 'conf/language/lexer.ts', `import {x} from '../diagnostics.js';`);
test(allows, 'conf/compile.ts', `import {x} from '../net/address.js';`);
test(allows, 'vrrp/machine.ts', `import type {X} from '../conf/model.js';`);
test(allows, 'vrrp/main.ts', `import {x} from '../host/real/clock.js';`);
test(allows, 'check/tcp.ts', `import {connect} from 'node:net';`);
test(allows, 'host/real/clock.ts', `setTimeout(fn, Date.now());`);
test(allows, 'bench/load.ts', `import {BpfProgram} from 'libbpf-ts';`);
test(allows, 'host/host.ts', `export interface Clock { wall(): Date }`);
test(allows, 'net/arp.ts', `/* no setTimeout here */ // nor Math.random()`);
test(allows, 'version.ts', `readFileSync(new URL('../../package.json', import.meta.url));`);

test(
	refuses,
	'net/arp.ts',
	`import {x} from '../conf/model.js';`,
	/^src\/net\/arp\.ts:1: imports conf\/model; net may/,
);
test(refuses, 'vrrp/machine.ts', `import {x} from '../conf/lexer.js';`, /imports conf\/lexer/);
test(refuses, 'vrrp/machine.ts', `import {x} from '../check/machine.js';`, /imports check\/machine/);
test(refuses, 'plan/diff.ts', `import {x} from '../xdp/dataplane.js';`, /imports xdp\/dataplane/);
test(refuses, 'plan/diff.ts', `const x = await import('../xdp/dataplane.js');`, /imports xdp\/dataplane/);
test(refuses, 'daemon.ts', `import {x} from './host/real/clock.js';`, /imports host\/real\/clock/);
test(
	refuses,
	'daemon.ts',
	`\n\nsetTimeout(fn, 1);`,
	/^src\/daemon\.ts:3: setTimeout is for host\/real, cli, main, bench only/,
);
test(refuses, 'check/runner.ts', `import * as timers from 'node:timers/promises';`, /timers come from/);
test(refuses, 'plan/turns.ts', `const x = Math.random();`, /must be repeatable/);
test(refuses, 'conf/files.ts', `const home = process.env.HOME;`, /come from the configuration/);
test(refuses, 'vrrp/instance.ts', `const now = new Date();`, /host clock/);
test(refuses, 'plan/diff.ts', `import {connect} from 'node:net';`, /talk to the network/);
test(refuses, 'vrrp/router.ts', `import {RawSocket} from 'libbpf-ts';`, /the kernel is behind these/);
test(refuses, 'novelty/thing.ts', `export const x = 1;`, /no row in the import law/);
