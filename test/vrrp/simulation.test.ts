/** VRRP through random faults: real routers, state machines and packets, on a fake clock and fake segments. */
import test from 'ava';
import {Simulation} from './simulation.js';

/** Each a simulation of its own, from the seed after the last one's; `make fuzz` wants more. */
const ROUNDS = Number(process.env.ROUNDS ?? 40);
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const DISTURBANCES = 200;
/** Simulations in a test: a title is a place to begin again, and not every one needs one. */
const TOGETHER = 20;

for (let first = SEED; first < SEED + ROUNDS; first += TOGETHER) {
	test(`whatever happens, one of some routers is master, and no two are for long: SEED=${first}`, async t => {
		let hours = 0;
		for (let seed = first; seed < Math.min(first + TOGETHER, SEED + ROUNDS); seed++) {
			const story = await new Simulation(seed).run(DISTURBANCES);
			hours += story.virtualHours;
			if (story.violation !== null) for (const line of story.lines) t.log(line);
			t.is(story.violation, null, `seed ${seed}`);
			t.true(story.transitions > 0, `seed ${seed}`);
		}
		t.log(`${hours.toFixed(1)} hours`);
	});
}
