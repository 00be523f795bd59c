/** A round of the soak, from a seed that is always the same; `make soak` goes on for longer. */
import {fileURLToPath} from 'node:url';
import {episodes} from '../soak/plan.js';
import {summary} from '../soak/report.js';
import {soak} from '../soak/soak.js';
import {test} from './lab-test.js';

const SEED = 1;
const BEGIN_MS = 10_000;

test('a killed balancer and what else comes at the same time: all is well again, and nothing was lost that need not be', async t => {
	const report = await soak({
		episodes: episodes(SEED),
		durationMs: BEGIN_MS,
		size: {held: 200, downloadsMs: [4000, 8000]},
		tell: line => t.log(line),
		keepIn: fileURLToPath(new URL(`../../soak-${SEED}`, import.meta.url)),
	});
	t.true(report.episodes.length > 0);
	t.deepEqual(summary(report).faults, []);
});
