/** A corner of `make interop`, which goes through all of it. */
import {allCases, type Case, castNames, nameOf, runMatrix} from '../interop/matrix.js';
import {differences} from '../interop/report.js';
import {test} from './lab-test.js';

const corner: readonly string[] = [
	'version 3, IPv4, multicast, preempt',
	'version 3, IPv6, unicast, nopreempt',
	'version 2, IPv4, unicast, AH, preempt_delay',
];

test('lbd and keepalived end as two keepalived would, after comparable times', async t => {
	t.timeout(120_000);
	const cases: readonly Case[] = allCases.filter(one => corner.includes(nameOf(one)));
	t.is(cases.length, corner.length);
	const results = await runMatrix(cases, 9);
	t.deepEqual(differences(results), []);
	for (const {played} of results) {
		for (const {outcomes} of Object.values(played)) {
			t.true(outcomes.length > 0);
			t.deepEqual(
				outcomes.filter(({masters}) => masters.length !== 1),
				[],
				'one master after each event',
			);
		}
		for (const cast of castNames) {
			const {keepalived, ours} = played[cast].lateness;
			t.true(
				keepalived.length > 0 && ours.length > 0 === (cast !== 'reference'),
				`adverts of everybody were seen: ${cast}`,
			);
		}
	}
});
