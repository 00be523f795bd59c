/** VRRP through random faults: real routers, state machines and packets, on a fake clock and fake segments. */
import test from 'ava';
import {Simulation} from './simulation.js';

/** Simulations of the short round; `make fuzz-vrrp` has the long one. */
const ROUNDS = 10;
const DISTURBANCES = 200;

test('whatever happens, one of some routers is master, and no two are for long', async t => {
	for (let seed = 1; seed <= ROUNDS; seed++) {
		const story = await new Simulation(seed).run(DISTURBANCES);
		if (story.violation !== null) for (const line of story.lines) t.log(line);
		t.is(story.violation, null, `seed ${seed}: play it again with \`make fuzz-vrrp SEED=${seed}\``);
		t.true(story.transitions > 0, `seed ${seed}`);
	}
});
