/** The traffic of benches, as the kernel makes it: packets that a host would send, and the verdicts that they claim. */
import {Load} from '../../src/bench/load.js';
import {FIRST_CLIENT, SERVICE, SERVICE6} from '../../src/bench/plane.js';
import {LOOPBACK} from '../../src/bench/program-time.js';
import {ANSWER, type Flows, type Path, REQUEST, SYN, Traffic} from '../../src/bench/traffic.js';
import {realClock} from '../../src/host/real/clock.js';
import {FAMILIES} from '../../src/net/address.js';
import {packetTest} from './balancer.js';
import {destinationOf, sourceOf, withChecksums} from './frame.js';

const FLOWS: Flows = {count: 256, firstClient: FIRST_CLIENT};
const SERVICES = {4: SERVICE, 6: SERVICE6} as const;
const BACKENDS = {4: '172.16.0.1:8080', 6: '[2001:db8:5::1]:8080'} as const;

for (const family of FAMILIES) {
	const path: Path = {fromMac: LOOPBACK.client.mac, toMac: LOOPBACK.external.mac, service: SERVICES[family]};

	packetTest(`every packet of IPv${family} traffic is of another flow, and right`, t => {
		const traffic = new Traffic(family);
		t.teardown(() => traffic.close());
		for (const [step, clientOf] of [
			[SYN, sourceOf],
			[REQUEST, sourceOf],
			[{...ANSWER, backend: BACKENDS[family]}, destinationOf],
		] as const) {
			traffic.choose(FLOWS, path, [step]);
			const frames = Array.from({length: FLOWS.count}, () =>
				traffic.packet(traffic.nothing, LOOPBACK.external.ifindex),
			);
			t.deepEqual(frames, frames.map(withChecksums));
			t.is(new Set(frames.map(frame => clientOf(frame))).size, FLOWS.count);
		}
	});

	packetTest(`a load of IPv${family} meets the verdicts that it measures, and says so when it does not`, async t => {
		const load = await Load.open(LOOPBACK, {clock: realClock, family, connections: FLOWS.count});
		t.teardown(() => load.close());
		const one = {...FLOWS, count: 1};
		t.throws(() => load.timeEstablished(one), {message: /packets met V_FORWARD/});
		load.establish(FLOWS);
		t.notThrows(() => load.timeEstablished(one));
		t.notThrows(() => load.timeEstablished(FLOWS));
		t.notThrows(() => load.timeReply(one));
		if (family === 4) for (const part of ['first', 'later'] as const) t.notThrows(() => load.timeFragment(one, part));
		t.notThrows(() => load.timeBusy(FLOWS, [REQUEST, ANSWER], 'V_REPLY', 0.5));
	});
}
