/** What lbd-vrrp writes into the leases, and what becomes of them while daemons come and go. */
import {KernelError} from '../../src/errors.js';
import type {VirtualRouter} from '../../src/host/host.js';
import type {DataPlane} from '../../src/xdp/dataplane.js';
import {Verdict} from '../../src/xdp/layout.gen.js';
import {PinnedLeases} from '../../src/xdp/leases.js';
import {Pins} from '../../src/xdp/pins.js';
import {packetTest} from '../packets/balancer.js';
import {freshName, open} from './plane.js';

const EXTERNAL = {ifindex: 2, family: 4, vrid: 91} as const;
const INTERNAL = {ifindex: 3, family: 6, vrid: 255} as const;
const NONE = {sentNs: 0n, sentUntilNs: 0n, heardNs: 0n, heardUntilNs: 0n};

function lease(plane: DataPlane, index: number, router: VirtualRouter | null): void {
	plane.apply([{map: 'leases', index, value: router}]);
}

packetTest('a master renews its lease and ends it; routers without one are passed over', async t => {
	const name = freshName(t);
	const plane = await open(t, {name});
	lease(plane, 7, EXTERNAL);
	lease(plane, 4095, INTERNAL);
	const leases = new PinnedLeases();
	t.teardown(() => leases.close());
	leases.open(name);
	t.is(leases.heldUntilUs(EXTERNAL), null);
	leases.renew(EXTERNAL, 5_000_000, 8_000_000);
	leases.renew(INTERNAL, 6_000_000, 6_300_000);
	leases.renew({...EXTERNAL, vrid: 92}, 1, 2);
	t.deepEqual(plane.maps.leases.get(7), {
		...NONE,
		router: EXTERNAL,
		sentNs: 5_000_000_000n,
		sentUntilNs: 8_000_000_000n,
	});
	t.like(plane.maps.leases.get(4095), {sentNs: 6_000_000_000n, sentUntilNs: 6_300_000_000n});
	t.is([...(await plane.maps.leases.readUsed())].length, 2);
	t.is(leases.heldUntilUs(EXTERNAL), 8_000_000);
	leases.end(EXTERNAL);
	t.deepEqual(plane.maps.leases.get(7), {...NONE, router: EXTERNAL});
	t.is(leases.heldUntilUs(EXTERNAL), null);
});

packetTest('an entry that another router has got meanwhile is not written; a moved lease is found', async t => {
	const name = freshName(t);
	const plane = await open(t, {name});
	lease(plane, 0, EXTERNAL);
	const leases = new PinnedLeases();
	t.teardown(() => leases.close());
	leases.open(name);
	leases.renew(EXTERNAL, 1, 2);
	lease(plane, 0, INTERNAL);
	t.deepEqual(plane.maps.leases.get(0), {...NONE, router: INTERNAL}, 'what the router before wrote is gone');
	t.is(plane.maps.leaseOfRouter.get(EXTERNAL), undefined);
	t.is(plane.maps.leaseOfRouter.get(INTERNAL), 0);
	leases.renew(EXTERNAL, 3, 4);
	t.like(plane.maps.leases.get(0), NONE);
	lease(plane, 1, EXTERNAL);
	leases.renew(EXTERNAL, 3, 4);
	t.like(plane.maps.leases.get(1), {sentNs: 3000n, sentUntilNs: 4000n});
});

packetTest('the next daemon finds leases as they were', async t => {
	const name = freshName(t);
	const first = await open(t, {name});
	lease(first, 3, EXTERNAL);
	t.is(first.maps.settings.get(0)?.virtualVerdicts, first.settings.virtualVerdicts);
	t.true((first.settings.virtualVerdicts & (1n << BigInt(Verdict.V_PASS_ETHERTYPE))) !== 0n);
	const key = {addr: Uint8Array.from({length: 16}, (_, byte) => byte), ifindex: 0, family: 6};
	first.apply([{map: 'virtualAddresses', key, value: {lease: 3, flags: 0}}]);
	const leases = new PinnedLeases();
	t.teardown(() => leases.close());
	leases.open(name);
	leases.renew(EXTERNAL, 5, 6);
	first.close();
	const second = await open(t, {name});
	t.deepEqual([...second.tables.leases], [[3, EXTERNAL]]);
	t.deepEqual([...second.tables.virtualAddresses.values()], [{key, value: {lease: 3, flags: 0}}]);
	t.is(second.settings.virtualVerdicts, first.settings.virtualVerdicts);
	t.is(leases.heldUntilUs(EXTERNAL), 6);
	second.apply([{map: 'virtualAddresses', key, value: null}]);
	lease(second, 3, null);
	t.is(second.settings.virtualVerdicts, 0n);
	t.deepEqual([...(await second.maps.leases.readUsed())], []);
});

packetTest('without a data plane there are no leases, and nothing breaks', t => {
	const leases = new PinnedLeases();
	const name = freshName(t);
	const error = t.throws(() => leases.open(name), {instanceOf: KernelError});
	t.is(error?.message, `open leases: ${new Pins(name).map('leases')}: ENOENT`);
	leases.renew(EXTERNAL, 1, 2);
	leases.end(EXTERNAL);
	t.is(leases.heldUntilUs(EXTERNAL), null);
});
