/** As many instances on one interface as there can be: ours against keepalived's, in both roles. */
import {crowd, crowdCells} from '../interop/crowd.js';
import {test} from './lab-test.js';

for (const cast of [
	{a: 'ours', b: 'keepalived'},
	{a: 'keepalived', b: 'ours'},
] as const) {
	test(`255 instances: ${cast.a} is master, ${cast.b} takes over from it`, async t => {
		t.timeout(120_000);
		const result = await crowd({cast, calmMs: 5_000});
		t.log(crowdCells(result).join(' | '));
		t.is(result.flaps, 0);
		// Three adverts and the skew of priority 100, and what a busy machine adds.
		t.true(result.failoverMs[1] < 3_609 + 1_500, `the last one after ${result.failoverMs[1]} ms`);
	});
}
