import test from 'ava';
import {assignSlots, rolesBehind} from '../../src/plan/nics.js';
import {RouterRole} from '../../src/xdp/layout.gen.js';

const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
const mtu = 1500;

test('a NIC stands in the slot of its index, or in one of the next three', t => {
	const nics = [3, 259, 515].map(ifindex => ({ifindex, mac, mtu}));
	t.deepEqual([...assignSlots(nics, new Map(), 256).keys()], [3, 4, 5]);
});

test('a NIC keeps its slot when others come', t => {
	const actual = new Map([[4, {ifindex: 259, mac, mtu}]]);
	const slots = assignSlots(
		[3, 4, 259].map(ifindex => ({ifindex, mac, mtu})),
		actual,
		256,
	);
	t.deepEqual(
		[...slots].map(([slot, nic]) => [nic.ifindex, slot]),
		[
			[259, 4],
			[3, 3],
			[4, 5],
		],
	);
});

test('a fifth NIC of the same slot is left out', t => {
	const nics = [3, 259, 515, 771, 1027].map(ifindex => ({ifindex, mac, mtu}));
	t.is(assignSlots(nics, new Map(), 256).size, 4);
});

test('an MTU is what the kernel says, as far as a packet can be large', t => {
	const identities = [0, 1280, 65_535, 65_536].map((size, ifindex) => ({ifindex, mac, mtu: size}));
	t.deepEqual(
		[...assignSlots(identities, new Map(), 256).values()].map(nic => nic.mtu),
		[65_535, 1280, 65_535, 65_535],
	);
});

test('the roles behind a NIC stand at the last two bytes of the MAC addresses', t => {
	const nics = new Map([
		[3, {ifindex: 3, mac, mtu}],
		[4, {ifindex: 4, mac, mtu}],
	]);
	const router = (family: number, vrid: number, isMaster: boolean) => ({
		nic: 3,
		mac: Uint8Array.of(0, 0, 0x5e, 0, family, vrid),
		isMaster,
	});
	const behind = rolesBehind(nics, [router(1, 91, true), router(2, 255, false), {...router(1, 1, true), nic: 7}]);
	t.deepEqual([...behind.keys()], [3]);
	const roles = [...(behind.get(3)?.roles ?? [])].flatMap((role, index) => (role === 0 ? [] : [[index, role]]));
	t.deepEqual(roles, [
		[91, RouterRole.ROUTER_MASTER],
		[256 + 255, RouterRole.ROUTER_BACKUP],
	]);
});
