/**
 * `node simulate.js HOURS SEED`: simulations one after the other until so many hours have passed in them, with a line of
 * progress now and then; ends with exit code 1, the seed and what happened at the first one whose rules are violated.
 */
import {Simulation} from './simulation.js';

const DISTURBANCES = 200;
const EVERY_MS = 10_000;

const [hoursWanted = 1, firstSeed = 1] = process.argv.slice(2).map(Number);
const sum = {hours: 0, simulations: 0, disturbances: 0, adverts: 0, transitions: 0};
let toldMs = 0;

function tell(): void {
	const cpuS = process.cpuUsage().user / 1e6;
	const counts = Object.entries(sum).map(([name, count]) => `${Math.floor(count).toLocaleString('en')} ${name}`);
	console.log(`${counts.join(', ')}; ${cpuS.toFixed(0)} s of CPU, ${(sum.hours / cpuS).toFixed(0)} hours in each`);
}

for (let seed = firstSeed; sum.hours < hoursWanted; seed++) {
	const story = await new Simulation(seed).run(DISTURBANCES);
	if (story.violation !== null) {
		console.log(`${story.lines.join('\n')}\n\nSEED=${seed}: ${story.violation}`);
		process.exit(1);
	}
	sum.hours += story.virtualHours;
	sum.simulations++;
	sum.disturbances += story.disturbances;
	sum.adverts += story.adverts;
	sum.transitions += story.transitions;
	if (performance.now() - toldMs < EVERY_MS) continue;
	toldMs = performance.now();
	tell();
}
tell();
