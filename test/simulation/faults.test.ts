/** What the simulation of VRRP routers is worth: it notices each of many faults that are put into them on purpose. */
import test from 'ava';
import type {Simulation} from '../vrrp/simulation.js';
import {faults, withFault} from './faults.js';

/** Within which each deliberate fault shows. */
const ROUNDS_MAX = 100;
const DISTURBANCES = 200;

for (const fault of faults) {
	test.serial(`the simulation notices when ${fault.name}`, async t => {
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
