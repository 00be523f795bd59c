/** An episode of the soak, always the same; `make soak` goes on for longer. */
import {fileURLToPath} from 'node:url';
import type {Episode} from '../soak/plan.js';
import {summary} from '../soak/report.js';
import {soak} from '../soak/soak.js';
import {test} from './lab-test.js';

/** While its master is dead, a failed check deals clients anew that its master knows elsewhere, and a reload is taken back. */
const EPISODE: Episode = {
	number: 1,
	steps: [
		{atMs: 0, action: {kind: 'edit', edit: 'weights', forMs: 3000}},
		{atMs: 1500, action: {kind: 'fail-check', server: 'web1', forMs: 5000}},
		{atMs: 2000, action: {kind: 'kill', node: 'lb1', part: 'everything', forMs: 4000}},
	],
};

test('an episode of everything at once: all is well again, and nothing was lost that need not be', async t => {
	const report = await soak({
		episodes: [EPISODE],
		durationMs: Number.POSITIVE_INFINITY,
		size: {held: 100, downloadsMs: [3000, 3000]},
		tell: line => t.log(line),
		keepIn: fileURLToPath(new URL('../../soak', import.meta.url)),
	});
	t.is(report.episodes.length, 1);
	t.deepEqual(summary(report).faults, []);
});
