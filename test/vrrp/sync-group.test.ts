import test from 'ava';
import type {MachineState, Role} from '../../src/vrrp/machine.js';
import {decideGroup} from '../../src/vrrp/sync-group.js';

function member(role: Role, flags: Partial<MachineState> = {}): MachineState {
	return {
		role,
		healthy: true,
		ready: false,
		hurried: false,
		served: false,
		lingers: false,
		released: false,
		masterAdvertUs: 1_000_000,
		preemptDelay: 'idle',
		owed: null,
		answer: 'ready',
		...flags,
	};
}

const decides = test.macro(
	(t, members: readonly MachineState[], role: 'master' | 'backup' | 'fault' | null, hurried = false) => {
		t.deepEqual(decideGroup(members), role === null ? null : {kind: 'follow', role, hurried});
	},
);

test('masters stay', decides, [member('master'), member('master')], null);
test('backups stay', decides, [member('backup'), member('backup')], null);
test('one ready backup waits for the other', decides, [member('backup', {ready: true}), member('backup')], null);
test(
	'all ready backups become master',
	decides,
	[member('backup', {ready: true}), member('backup', {ready: true})],
	'master',
);
test('one that leaves takes the other along', decides, [member('backup'), member('master')], 'backup');
test(
	'one that leaves to return takes the other along',
	decides,
	[member('master'), member('backup', {hurried: true})],
	'backup',
	true,
);
test('one fault is a fault of all', decides, [member('fault', {healthy: false}), member('master')], 'fault');
test('a fault of all stays', decides, [member('fault', {healthy: false}), member('fault')], null);
test('recovered members go on together', decides, [member('fault'), member('fault')], 'backup');
test('nothing is decided before all have started', decides, [member('init'), member('fault', {healthy: false})], null);
test('nothing is decided while stopping', decides, [member('stopped'), member('master')], null);
test('a group of none is settled', decides, [], null);
