/** VRRP through random faults: real routers, state machines and packets, on a fake clock and fake segments. */
import test from 'ava';
import {faults, withFault} from './faults.js';
import {Simulation} from './simulation.js';

/** Simulations of the short round; `make fuzz-vrrp` has the long one. */
const ROUNDS = 40;
/** Within which each deliberate fault shows. */
const ROUNDS_MAX = 100;
const DISTURBANCES = 200;

test('whatever happens, one of some routers is master, and no two are for long', async t => {
	const first = Date.now() % 1_000_000;
	for (let seed = first; seed < first + ROUNDS; seed++) {
		const story = await new Simulation(seed).run(DISTURBANCES);
		if (story.violation !== null) for (const line of story.lines) t.log(line);
		t.is(story.violation, null, `seed ${seed}: play it again with \`make fuzz-vrrp SEED=${seed}\``);
		t.true(story.transitions > 0, `seed ${seed}`);
	}
});

for (const fault of faults) {
	test(`the simulation notices when ${fault.name}`, async t => {
		let noticed: string | null = null;
		await withFault(fault, async simulation => {
			const faulty: {Simulation: typeof Simulation} = await import(simulation.href);
			for (let seed = 1; seed <= ROUNDS_MAX && noticed === null; seed++) {
				const {violation} = await new faulty.Simulation(seed).run(DISTURBANCES);
				if (violation !== null) noticed = `seed ${seed}: ${violation}`;
			}
		});
		t.truthy(noticed, `not in ${ROUNDS_MAX} simulations`);
		t.log(noticed);
	});
}
