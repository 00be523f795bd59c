/**
 * `node main.js MINUTES SEED [EPISODE]`: soaks for so long, and says what came of it; exits with 1, and keeps the logs, when
 * something was wrong. With EPISODE, only that one is played.
 */
import {fileURLToPath} from 'node:url';
import {obstacle} from '../../lab/prerequisites.js';
import {type Episode, episodes} from './plan.js';
import {summary} from './report.js';
import {soak} from './soak.js';

const HELD = 1000;
const DOWNLOADS_MS = [6, 6, 12, 12, 24, 24, 48, 48].map(seconds => seconds * 1000);

function only(number: number, all: Iterable<Episode>): Episode[] {
	for (const episode of all) if (episode.number === number) return [episode];
	return [];
}

const reason = obstacle();
if (reason !== null) {
	console.error(`soak: ${reason}`);
	process.exit(1);
}
const [minutes = 10, seed = 1, episode] = process.argv.slice(2).map(Number);
const keepIn = fileURLToPath(new URL(`../../soak-${seed}`, import.meta.url));
console.log(`SOAK_SEED=${seed}, ${minutes} minutes`);
const report = await soak({
	episodes: episode === undefined ? episodes(seed) : only(episode, episodes(seed)),
	durationMs: minutes * 60_000,
	size: {held: HELD, downloadsMs: DOWNLOADS_MS},
	tell: line => console.log(line),
	keepIn,
});
const {text, faults} = summary(report);
console.log(`\n${text}`);
if (faults.length > 0) {
	console.log(`\nWRONG (SOAK_SEED=${seed}; logs of both balancers and the story are in ${keepIn}):`);
	for (const fault of faults) console.log(`  ${fault}`);
	process.exitCode = 1;
}
