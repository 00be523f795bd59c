/** VRRP through random faults: real routers, state machines and packets, on a fake clock and fake segments. */
import test from 'ava';
import {Simulation} from './simulation.js';

/** Simulations of the short round; `make fuzz-vrrp` has the long one. The last has found something once. */
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1_002_805];
const DISTURBANCES = 200;

test('whatever happens, one of some routers is master, and no two are for long', async t => {
	for (const seed of SEEDS) {
		const story = await new Simulation(seed).run(DISTURBANCES);
		if (story.violation !== null) for (const line of story.lines) t.log(line);
		t.is(story.violation, null, `seed ${seed}: play it again with \`make fuzz-vrrp SEED=${seed}\``);
		t.true(story.transitions > 0, `seed ${seed}`);
	}
});
