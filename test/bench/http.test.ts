import test from 'ava';
import {ownTime, requestsPerSecond} from '../../bench/http.js';

const REPORT = `Running 1s test @ http://198.51.100.1:80/
  1 threads and 32 connections
  37816 requests in 1.00s, 6.1MB read
Requests/sec:  37816.40
Transfer/sec:      6.10MB
`;

test('what wrk measured', t => {
	t.is(requestsPerSecond(REPORT), 37_816.4);
});

test('a measurement in which requests failed is none', t => {
	for (const report of [
		'unable to connect to 198.51.100.1:80 Connection refused\n',
		REPORT.replace('37816.40', '0.00'),
		`  Socket errors: connect 0, read 3, write 0, timeout 0\n${REPORT}`,
		`  Non-2xx or 3xx responses: 7\n${REPORT}`,
	])
		t.throws(() => requestsPerSecond(report), {message: /requests have failed/}, report);
});

test("the balancer's own time is what a request takes longer than in the same round without it", t => {
	const samples = new Map<string, readonly number[]>();
	for (const use of ['keep-alive', 'one connection each']) {
		samples.set(`${use}: no balancer`, [100_000, 50_000]);
		samples.set(`${use}: sluice`, [80_000, 40_000]);
		samples.set(`${use}: nftables DNAT`, [50_000, 25_000]);
		samples.set(`${use}: HAProxy, TCP mode`, [25_000, 20_000]);
	}
	const own = ownTime(samples);
	const rounded = (name: string): number[] => (own.get(name) ?? []).map(time => Math.round(time * 10) / 10);
	t.deepEqual(rounded('keep-alive: sluice'), [2.5, 5]);
	t.deepEqual(rounded('keep-alive: nftables DNAT'), [10, 20]);
	t.deepEqual(rounded('one connection each: HAProxy, TCP mode'), [30, 30]);
	t.is(own.size, 6);
});
