import test from 'ava';
import {planVirtual, type VirtualInstance} from '../../src/plan/virtual.js';
import {Limits, VirtualFlag} from '../../src/xdp/layout.gen.js';
import {emptyTables, type Tables} from '../../src/xdp/tables.js';

function instance(vrid: number, ...addresses: readonly string[]): VirtualInstance {
	return {
		name: `instance ${vrid}`,
		router: {ifindex: 2, family: 4, vrid},
		addresses: addresses.map(address => ({address, ifindex: 2})),
		closed: false,
	};
}

function vridsByLease({leases}: Pick<Tables, 'leases'>): [number, number][] {
	return [...leases].map(([index, {vrid}]) => [index, vrid]);
}

test('a router keeps its lease, and one that comes gets none that another has had until now', t => {
	const first = planVirtual([instance(10), instance(20), instance(30)], emptyTables());
	t.deepEqual(vridsByLease(first), [
		[0, 10],
		[1, 20],
		[2, 30],
	]);
	const second = planVirtual([instance(5), instance(30), instance(20)], {...emptyTables(), ...first});
	t.deepEqual(vridsByLease(second), [
		[3, 5],
		[2, 30],
		[1, 20],
	]);
});

test('an address is known on every NIC; a link-local one, which others may have elsewhere, on its own', t => {
	const {virtualAddresses} = planVirtual(
		[{...instance(10, '192.168.1.1', 'fe80::100', '2001:db8::1'), closed: true}],
		emptyTables(),
	);
	t.deepEqual(
		[...virtualAddresses.values()].map(({key: {ifindex, family}, value}) => [family, ifindex, value.flags]),
		[
			[4, 0, VirtualFlag.VIRTUAL_CLOSED],
			[6, 2, VirtualFlag.VIRTUAL_CLOSED],
			[6, 0, VirtualFlag.VIRTUAL_CLOSED],
		],
	);
});

test('what does not fit is told by name', t => {
	const count = Limits.LIMIT_LEASES + 1;
	const routers = Array.from({length: count}, (_, n) => ({...instance(n), name: `instance ${n}`}));
	const full = planVirtual(routers, emptyTables());
	t.is(full.leases.size, Limits.LIMIT_LEASES);
	t.is(full.problems.length, 1);
	t.regex(full.problems[0] ?? '', /^instance 4096: no lease is left: /);

	const half = Array.from({length: Limits.LIMIT_VIRTUAL_ADDRESSES / 2}, (_, n) => `10.0.${n >> 8}.${n & 255}`);
	const other = half.map(address => address.replace('10.0.', '10.1.'));
	const large = planVirtual([instance(1, ...half), instance(2, ...other), instance(3, '10.2.0.1')], emptyTables());
	t.is(large.virtualAddresses.size, Limits.LIMIT_VIRTUAL_ADDRESSES);
	t.deepEqual(vridsByLease(large), [
		[0, 1],
		[1, 2],
	]);
	t.is(large.problems.length, 1);
});
