/** An episode of the soak, always the same; `make soak` goes on for longer. */
import {fileURLToPath} from 'node:url';
import {episodes} from '../soak/plan.js';
import {summary} from '../soak/report.js';
import {soak} from '../soak/soak.js';
import {test} from './lab-test.js';

/** It begins with the end of a master, a failed check and a reload at once. */
const SEED = 127;

test('an episode of everything at once: all is well again, and nothing was lost that need not be', async t => {
	const report = await soak({
		episodes: [episodes(SEED).next().value],
		durationMs: Number.POSITIVE_INFINITY,
		size: {held: 100, downloadsMs: [3000, 3000]},
		tell: line => t.log(line),
		keepIn: fileURLToPath(new URL(`../../soak-${SEED}`, import.meta.url)),
	});
	t.is(report.episodes.length, 1);
	t.deepEqual(summary(report).faults, []);
});
