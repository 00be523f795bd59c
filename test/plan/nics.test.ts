import test from 'ava';
import {assignSlots} from '../../src/plan/nics.js';

const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);

test('a NIC stands in the slot of its index, or in one of the next three', t => {
	const nics = [3, 259, 515].map(ifindex => ({ifindex, mac, mtu: 1500}));
	t.deepEqual([...assignSlots(nics, new Map(), 256).keys()], [3, 4, 5]);
});

test('a NIC keeps its slot when others come', t => {
	const actual = new Map([[4, {ifindex: 259, mac, mtu: 1500}]]);
	const slots = assignSlots(
		[3, 4, 259].map(ifindex => ({ifindex, mac, mtu: 1500})),
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
	const nics = [3, 259, 515, 771, 1027].map(ifindex => ({ifindex, mac, mtu: 1500}));
	t.is(assignSlots(nics, new Map(), 256).size, 4);
});
