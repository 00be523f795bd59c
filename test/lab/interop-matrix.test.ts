/** A corner of `make interop`, which goes through all of it. */
import {allCases, type Case, castNames, nameOf, runMatrix} from '../interop/matrix.js';
import type {Program} from '../interop/node.js';
import {differences, report} from '../interop/report.js';
import {test} from './lab-test.js';

const corner: readonly string[] = [
	'version 3, IPv4, multicast, preempt',
	'version 3, IPv4, multicast, ailments',
	'version 3, IPv6, unicast, nopreempt',
	'version 2, IPv4, unicast, AH, preempt_delay',
];

test('lbd and keepalived end as two keepalived would, after comparable times', async t => {
	t.timeout(120_000);
	const cases: readonly Case[] = allCases.filter(one => corner.includes(nameOf(one)));
	t.is(cases.length, corner.length);
	const results = await runMatrix(cases, cases.length * castNames.length);
	t.log(report(results).join('\n\n'));
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
	}
	for (const cast of castNames) {
		const adverts = (program: Program) => results.flatMap(({played}) => played[cast].lateness[program]).length;
		t.true(adverts('keepalived') > 0 && adverts('ours') > 0 === (cast !== 'reference'), `adverts were seen: ${cast}`);
	}
});
