/** The program on NICs: links are pinned, adopted, replaced, and let go of when their NIC is gone. */
import {execFileSync} from 'node:child_process';
import {BpfLink, BpfObject} from 'libbpf-ts';
import {KernelError} from '../../src/errors.js';
import {type DataPlane, unload} from '../../src/xdp/dataplane.js';
import {Pins} from '../../src/xdp/pins.js';
import {compile} from '../addon/fixture.js';
import {FakeLog} from '../fake/log.js';
import {packetTest} from '../packets/balancer.js';
import {mac} from '../packets/frame.js';
import {descriptors, freshName, LOOPBACK, open, removeLink, veth} from './plane.js';

/** What sits on a NIC according to a pin. */
function pinnedLink(name: string, ifindex: number, mode: 'native' | 'generic'): {id: number; programId: number} {
	const link = BpfLink.openPinned(new Pins(name).link(ifindex, mode));
	try {
		const {id, programId} = link.info();
		return {id, programId};
	} finally {
		link.close();
	}
}

/** Modes of all NICs. */
function modes(plane: DataPlane): object {
	return Object.fromEntries(plane.attached());
}

packetTest('native on a veth; the next run that loads its own program takes the same link over with it', async t => {
	const name = freshName(t);
	const nic = veth(t);
	const log = new FakeLog();
	const first = await open(t, {name, log});
	t.is(first.attach(nic.ifindex, nic.name), 'native');
	t.is(first.attach(nic.ifindex, nic.name), 'native');
	t.deepEqual(modes(first), {[nic.ifindex]: 'native'});
	t.deepEqual(log.take(), []);
	const before = pinnedLink(name, nic.ifindex, 'native');
	first.close();

	new Pins(name).breakSeal();
	const second = await open(t, {name});
	t.deepEqual(modes(second), {}, 'not before it is asked for');
	t.is(pinnedLink(name, nic.ifindex, 'native').programId, before.programId);
	t.is(second.attach(nic.ifindex, nic.name), 'native');
	const after = pinnedLink(name, nic.ifindex, 'native');
	t.is(after.id, before.id);
	t.not(after.programId, before.programId);
	second.discard();
	t.is(pinnedLink(name, nic.ifindex, 'native').id, before.id, 'an adopted link is not this run’s to take back');
});

packetTest('generic where there is no native XDP, which is said; the mode outlives the run', async t => {
	const name = freshName(t);
	const log = new FakeLog();
	const first = await open(t, {name, log});
	t.is(first.attach(LOOPBACK, 'lo'), 'generic');
	t.deepEqual(log.take(), ['warn no native XDP on this NIC: attached in generic mode, which is slower']);
	first.close();
	const second = await open(t, {name});
	t.is(second.attach(LOOPBACK, 'lo'), 'generic');
});

packetTest('generic where it is asked for, although the driver has native XDP', async t => {
	const nic = veth(t);
	const log = new FakeLog();
	const plane = await open(t, {log});
	t.is(plane.attach(nic.ifindex, nic.name, 'generic'), 'generic');
	t.deepEqual(log.take(), ['warn attached in generic mode, which is slower: this is no plain NIC']);
});

packetTest('out of all drivers: NICs change to generic mode, which outlives the run', async t => {
	const name = freshName(t);
	const [taken, own] = [veth(t), veth(t)];
	const first = await open(t, {name});
	first.attach(taken.ifindex, taken.name);
	first.close();

	const second = await open(t, {name});
	second.attach(taken.ifindex, taken.name);
	second.attach(own.ifindex, own.name);
	second.leaveDrivers();
	second.leaveDrivers();
	t.deepEqual(modes(second), {[taken.ifindex]: 'generic', [own.ifindex]: 'generic'});
	const before = pinnedLink(name, taken.ifindex, 'generic');
	t.deepEqual(
		new Pins(name).links().map(({mode}) => mode),
		['generic', 'generic'],
	);
	second.discard();
	t.deepEqual(
		new Pins(name).links().map(({ifindex}) => ifindex),
		[taken.ifindex],
		'what this run has put on it takes back',
	);

	const third = await open(t, {name});
	t.is(third.attach(taken.ifindex, taken.name), 'generic');
	t.is(pinnedLink(name, taken.ifindex, 'generic').id, before.id);
});

packetTest('a NIC with a program of somebody else is left alone, in whichever mode it has it', async t => {
	const stranger = BpfObject.open(compile('fixture'));
	t.teardown(() => stranger.close());
	stranger.load();
	const program = stranger.programs.get('count_and_pass');
	if (program === undefined) throw new Error('the fixture has no program count_and_pass');
	for (const mode of ['native', 'generic'] as const) {
		const nic = veth(t);
		const link = BpfLink.attachXdp(program, nic.ifindex, mode);
		t.teardown(() => link.close());
		const log = new FakeLog();
		const plane = await open(t, {log});
		const before = descriptors();
		t.throws(() => plane.attach(nic.ifindex, nic.name), {
			instanceOf: KernelError,
			message: new RegExp(`^attach program: ${nic.name}: E.*another XDP program.*ip link set ${nic.name} xdp off`),
		});
		t.is(descriptors(), before);
		t.is(link.info().programId, program.id);
		t.deepEqual(modes(plane), {});
		t.deepEqual(log.take(), []);
	}
});

packetTest('a NIC that does not exist is refused by name', async t => {
	const plane = await open(t);
	t.throws(() => plane.attach(987_654, 'eth9'), {instanceOf: KernelError, message: /^attach program: eth9: /});
});

packetTest('discard takes the program off the NICs that this run has put it on, at once', async t => {
	const nic = veth(t);
	const failing = await open(t);
	failing.attach(nic.ifindex, nic.name);
	failing.discard();
	t.is(BpfLink.attachedXdp(nic.ifindex), 0);
});

packetTest('unload takes the program off the NICs at once', async t => {
	const name = freshName(t);
	const nic = veth(t);
	const plane = await open(t, {name});
	plane.attach(nic.ifindex, nic.name);
	plane.close();
	t.not(BpfLink.attachedXdp(nic.ifindex), 0);
	unload(name);
	t.is(BpfLink.attachedXdp(nic.ifindex), 0);
});

packetTest('a NIC that goes away and comes back with its old index is attached anew', async t => {
	const name = freshName(t);
	const nic = veth(t);
	const plane = await open(t, {name});
	plane.attach(nic.ifindex, nic.name);
	const slot = {
		map: 'nics',
		index: 5,
		value: {ifindex: nic.ifindex, mac: mac('02:00:00:00:00:01'), mtu: 1500},
	} as const;
	plane.apply([slot]);
	const before = pinnedLink(name, nic.ifindex, 'native');
	removeLink(nic.name);
	create(nic);

	plane.forgetGone();
	t.deepEqual(modes(plane), {});
	t.deepEqual([...plane.tables.nics], [], 'its slot is written again with what comes next');
	t.is(plane.attach(nic.ifindex, nic.name), 'native');
	t.not(pinnedLink(name, nic.ifindex, 'native').id, before.id);
	plane.apply([slot]);
	t.is(plane.maps.nicPorts.get(5), nic.ifindex);
});

packetTest('a run that adopts drops the links of NICs that are gone', async t => {
	const name = freshName(t);
	const [gone, back, still] = [veth(t), veth(t), veth(t)];
	const first = await open(t, {name});
	for (const nic of [gone, back, still]) first.attach(nic.ifindex, nic.name);
	first.close();
	removeLink(gone.name);
	removeLink(back.name);
	create(back);

	const second = await open(t, {name});
	t.deepEqual(
		new Pins(name).links().map(({ifindex}) => ifindex),
		[still.ifindex],
	);
	t.is(second.attach(back.ifindex, back.name), 'native');
	removeLink(still.name);
	second.forgetGone();
	t.deepEqual(
		new Pins(name).links().map(({ifindex}) => ifindex),
		[back.ifindex],
	);
});

function create({name, ifindex}: {readonly name: string; readonly ifindex: number}): void {
	execFileSync('ip', ['link', 'add', name, 'index', `${ifindex}`, 'type', 'veth', 'peer', 'name', `${name}p`]);
}
