import test from 'ava';
import {formatAddress} from '../../src/net/address.js';
import {decodeIp} from '../../src/net/ip.js';
import {ANY_TTL, decodeAdvert, encodeAdvert, type Unicast} from '../../src/net/vrrp-packet.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLan, ipv4, seeded} from '../fake/lan.js';
import {Balancer, group, instance, instance6, internal, kernelEvents, owners, virtualAddress} from './segment.js';

const GROUP = '224.0.0.18';

/** Routers on one segment with the given priorities; `a` has the lowest address. */
async function segment(priorities: readonly number[], changes: Parameters<typeof instance>[0] = {}) {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const balancers = priorities.map((_, index) => new Balancer('abc'[index] ?? '', 10 + index, clock, {eth0: lan}));
	for (const [index, balancer] of balancers.entries()) {
		await balancer.configure([instance({...changes, priority: priorities[index] ?? 0})]);
	}
	const [a, b, c = b] = balancers;
	if (a === undefined || b === undefined || c === undefined) throw new Error('two or three routers');
	return {clock, lan, balancers, a, b, c};
}

/** A master and a backup of the reference job with its two segments. */
async function pair() {
	const clock = new FakeClock();
	const outside = new FakeLan(clock);
	const inside = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: outside, eth1: inside});
	const b = new Balancer('b', 11, clock, {eth0: outside, eth1: inside});
	await a.configure([instance({priority: 200}), internal({priority: 200})], [group]);
	await b.configure([instance(), internal()], [group]);
	return {clock, outside, inside, a, b};
}

test('the highest priority of three becomes master after its wait, not before', async t => {
	const {clock, balancers} = await segment([200, 150, 100]);
	clock.advance(milliseconds(3218));
	t.deepEqual(owners(balancers), []);
	clock.advance(milliseconds(1));
	t.deepEqual(owners(balancers), ['a']);
	clock.advance(seconds(60));
	t.deepEqual(owners(balancers), ['a']);
});

test('crash: the next in rank takes over within three intervals and its skew; the first takes back on return', async t => {
	const {clock, lan, balancers, a} = await segment([200, 150, 100]);
	clock.advance(seconds(10));
	a.station.kill();
	clock.advance(seconds(3) + milliseconds(415));
	t.deepEqual(owners(balancers), ['b']);
	const back = new Balancer('a', 10, clock, {eth0: lan});
	back.netlink.give(2, '192.168.1.1', 24);
	await back.configure([instance({priority: 200})]);
	t.false(back.owns('192.168.1.1'), 'an address left behind by the crash is removed');
	clock.advance(seconds(4));
	t.deepEqual(owners([back, ...balancers.slice(1)]), ['a']);
});

test('orderly stop: the successor has waited for the skew time, and had the addresses before they went', async t => {
	const {clock, balancers, a, b} = await segment([200, 150, 100]);
	clock.advance(seconds(10));
	const stopped = a.router.stop();
	await kernelEvents();
	t.deepEqual(a.roles(), ['stopped']);
	t.deepEqual(owners(balancers), ['a']);
	clock.advance(milliseconds(413));
	t.deepEqual(owners(balancers), ['a']);
	clock.advance(milliseconds(2));
	t.deepEqual(owners(balancers), ['a', 'b']);
	t.deepEqual(b.roles(), ['master']);
	clock.advance(milliseconds(101));
	await stopped;
	t.deepEqual(owners(balancers), ['b']);
	t.true(b.log.lines.includes('info (external) Backup received priority 0 advertisement'));
	t.true(a.log.lines.includes('info (external) sent 0 priority'));
});

test('orderly stop of a master that is alone: it has waited for whoever there might be', async t => {
	const {clock, balancers, a, b} = await segment([200, 150]);
	clock.advance(seconds(10));
	b.station.kill();
	const stopped = a.router.stop();
	await kernelEvents();
	clock.advance(milliseconds(1246));
	t.deepEqual(owners(balancers), ['a'], 'a backup of priority 1 waits for 996 ms, and may be late');
	clock.advance(milliseconds(1));
	await stopped;
	t.deepEqual(owners(balancers), []);
});

test('who takes over from a master that is there has announced its addresses before it advertises', async t => {
	const {clock, lan, balancers, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.station.kill();
	clock.advance(seconds(10));
	const back = new Balancer('a', 10, clock, {eth0: lan});
	const sent: string[] = [];
	lan.onSent = (what, station) => {
		if (station === 'a') sent.push(`${what}, ${back.owns('192.168.1.1') ? 'has' : 'has not'} the address`);
	};
	await back.configure([instance({priority: 200})]);
	clock.advance(milliseconds(3219));
	t.deepEqual(sent.slice(0, 6), [...Array(5).fill('frame, has the address'), 'advert, has the address']);
	t.deepEqual(owners([back, ...balancers.slice(1)]), ['a', 'b']);
	clock.advance(milliseconds(100));
	t.deepEqual(owners([back, ...balancers.slice(1)]), ['a']);
});

// Releases

test('released: the next in rank takes over, and keeps it until it is lost', async t => {
	const {clock, balancers, a, b, c} = await segment([200, 150, 100]);
	clock.advance(seconds(10));
	const released = a.router.release('external');
	t.deepEqual(a.roles(), ['backup']);
	clock.advance(milliseconds(415));
	t.deepEqual(owners(balancers), ['a', 'b']);
	clock.advance(milliseconds(101));
	t.deepEqual(await released, ['external']);
	t.deepEqual(owners(balancers), ['b']);
	clock.advance(seconds(600));
	t.deepEqual(owners(balancers), ['b']);
	t.like(a.router.status().instances[0], {role: 'backup', cause: 'released', released: true, lingers: false});
	b.station.kill();
	clock.advance(seconds(4));
	t.deepEqual(owners([a, c]), ['a'], 'before c, which ranks below');
	t.false(a.router.status().instances[0]?.released);
});

test('released and reclaimed: it preempts as before', async t => {
	const {clock, balancers, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	void a.router.release('external');
	clock.advance(seconds(60));
	t.deepEqual(owners(balancers), ['b']);
	t.deepEqual(a.router.reclaim('external'), ['external']);
	clock.advance(seconds(4));
	t.deepEqual(owners(balancers), ['a']);
	t.false(a.router.status().instances[0]?.released);
});

test('released while nobody else is there: the addresses are never gone', async t => {
	const {clock, balancers, a, b} = await segment([200, 100]);
	clock.advance(seconds(10));
	b.station.kill();
	const released = a.router.release('external');
	for (let ms = 0; ms < 2000; ms += 10) {
		clock.advance(milliseconds(10));
		t.deepEqual(owners(balancers), ['a']);
	}
	await released;
	t.like(a.router.status().instances[0], {role: 'master', released: false});
});

test('released: a group goes as one, by its name or that of a member', async t => {
	for (const name of ['VRRP1', 'internal']) {
		const {clock, a, b} = await pair();
		clock.advance(seconds(10));
		const released = a.router.release(name);
		t.deepEqual(a.roles(), ['backup', 'backup']);
		clock.advance(seconds(1));
		t.deepEqual(await released, ['external', 'internal']);
		clock.advance(seconds(600));
		t.deepEqual([a.roles(), b.roles()].flat(), ['backup', 'backup', 'master', 'master']);
	}
});

test('released: a group that nobody takes over from is master again as one', async t => {
	const {clock, a, b} = await pair();
	clock.advance(seconds(10));
	b.station.kill();
	void a.router.release('VRRP1');
	clock.advance(seconds(1.3));
	t.deepEqual(a.roles(), ['master', 'master']);
	t.true(a.owns('192.168.1.1'));
	t.true(a.owns('10.0.0.100'));
});

test('nothing is released of a name that is not there', async t => {
	const {a} = await segment([200, 100]);
	t.deepEqual(await a.router.release('nobody'), []);
	t.deepEqual(a.router.reclaim('nobody'), []);
});

test('partition: one master on each side, the better one after it heals, and it announces itself', async t => {
	const {clock, lan, balancers, a, c} = await segment([200, 150, 100]);
	clock.advance(seconds(10));
	lan.partition(['a', 'b'], ['c']);
	clock.advance(seconds(10));
	t.deepEqual(owners(balancers), ['a', 'c']);
	const framesBefore = lan.frames.length;
	lan.heal();
	clock.advance(seconds(2));
	t.deepEqual(owners(balancers), ['a']);
	t.deepEqual(new Set(lan.frames.slice(framesBefore).map(frame => frame.station)), new Set(['a']));
	t.true(
		c.log.lines.includes('info (external) Master received advert from 192.168.1.10 with higher priority 200, ours 100'),
	);
	t.true(
		a.log.lines.includes(
			'info (external) Received advert from 192.168.1.12 with lower priority 100, ours 200, forcing new election',
		),
	);
	t.deepEqual(
		a.rivals,
		[{instance: 'external', priority: 200}],
		'told once, though c advertises once more as it yields',
	);
});

test('a master that has hung for long answers the one that took over, and not each advert that has waited', async t => {
	const {clock, lan, balancers, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.station.stall();
	clock.advance(seconds(300));
	const before = lan.adverts.length;
	a.station.wake();
	t.is(lan.adverts.length - before, 1, 'at once');
	clock.advance(seconds(1));
	t.deepEqual(owners(balancers), ['a']);
	t.true(lan.adverts.length - before < 10);
});

test('equal priorities: both may begin, the higher address stays', async t => {
	const {clock, balancers} = await segment([100, 100]);
	clock.advance(seconds(3) + milliseconds(610));
	t.deepEqual(
		balancers.map(balancer => balancer.roles()[0]),
		['backup', 'master'],
	);
	clock.advance(seconds(60));
	t.deepEqual(owners(balancers), ['b']);
});

test('a returning better router waits for the others to fall silent with nopreempt', async t => {
	const {clock, lan, balancers, a} = await segment([200, 100], {preempt: false});
	clock.advance(seconds(10));
	a.station.kill();
	clock.advance(seconds(10));
	const back = new Balancer('a', 10, clock, {eth0: lan});
	await back.configure([instance({priority: 200, preempt: false})]);
	clock.advance(seconds(60));
	t.deepEqual(owners([back, ...balancers.slice(1)]), ['b']);
	t.deepEqual(back.router.status().instances[0]?.master, {address: '192.168.1.11', priority: 100});
});

test('preempt_delay puts the return off', async t => {
	const {clock, lan, balancers, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.station.kill();
	clock.advance(seconds(10));
	const back = new Balancer('a', 10, clock, {eth0: lan});
	await back.configure([instance({priority: 200, preemptDelayUs: seconds(30)})]);
	clock.advance(seconds(29));
	t.deepEqual(owners([back, ...balancers.slice(1)]), ['b']);
	clock.advance(seconds(6));
	t.deepEqual(owners([back, ...balancers.slice(1)]), ['a']);
});

test('two lost adverts in a row change nothing', async t => {
	const {clock, lan, balancers} = await segment([200, 100]);
	clock.advance(seconds(10));
	lan.loss = 1;
	clock.advance(seconds(2));
	lan.loss = 0;
	clock.advance(seconds(2));
	t.deepEqual(owners(balancers), ['a']);
	lan.loss = 0.1;
	clock.advance(seconds(600));
	t.true(owners(balancers).includes('a'));
});

test('a backup that was asleep reads its packets before it believes its timer', async t => {
	const {clock, balancers, b} = await segment([200, 100]);
	clock.advance(seconds(10));
	b.station.stall();
	clock.advance(seconds(20));
	b.station.wake();
	t.deepEqual(owners(balancers), ['a']);
	t.false(b.transitions.some(transition => transition.to === 'master'));
	t.true((b.router.status().instances[0]?.timerLatenessMaxUs ?? 0) > seconds(15));
});

test('a master that was asleep finds its successor before it advertises', async t => {
	const {clock, balancers, a} = await segment([100, 200]);
	clock.advance(seconds(10));
	t.deepEqual(owners(balancers), ['b']);
	const [, b] = balancers;
	b?.station.stall();
	clock.advance(seconds(20));
	t.true(a.owns('192.168.1.1'));
	b?.station.wake();
	clock.advance(seconds(1));
	t.deepEqual(owners(balancers), ['b']);
});

test('announces five rounds at once and five more after the delay, and the frame is keepalived’s', async t => {
	const {clock, lan} = await segment([200, 100]);
	clock.advance(seconds(10));
	const times = lan.frames.map(frame => frame.atUs);
	t.deepEqual(times, [...Array(5).fill(3_218_750), ...Array(5).fill(8_218_750)]);
	t.is(
		Buffer.from(lan.frames[0]?.bytes ?? []).toString('hex'),
		'ffffffffffff' +
			'020000000010' +
			'0806' + // to all, from the interface, ARP
			'0001' +
			'0800' +
			'06' +
			'04' +
			'0001' + // a request
			'020000000010' +
			'c0a80101' + // sender: the virtual address is here
			'ffffffffffff' +
			'c0a80101',
	);
});

test('garp_master_refresh: a master announces again and again, a backup never', async t => {
	const garp = {...instance().garp, masterRefreshUs: seconds(30), masterRefreshRepeat: 2};
	const {clock, lan} = await segment([200, 100], {garp});
	clock.advance(seconds(10));
	lan.frames.length = 0;
	const beganUs = clock.nowUs();
	clock.advance(seconds(100));
	t.deepEqual(
		lan.frames.map(({station, atUs}) => [station, Math.floor((atUs - beganUs) / seconds(1))]),
		[23, 53, 83].flatMap(second => [
			['a', second],
			['a', second],
		]),
	);
});

test('an owner does not wait, and whoever served in its absence lets go soon after', async t => {
	const {clock, lan, balancers, a} = await segment([100, 50]);
	clock.advance(seconds(10));
	const owner = new Balancer('o', 20, clock, {eth0: lan});
	await owner.configure([instance({priority: 255})]);
	t.deepEqual(owner.roles(), ['master']);
	clock.advance(milliseconds(1));
	t.deepEqual(a.roles(), ['backup']);
	t.deepEqual(owners([...balancers, owner]), ['a', 'o']);
	clock.advance(milliseconds(100));
	t.deepEqual(owners([...balancers, owner]), ['o']);
});

test('the first thing a master does is advertise', async t => {
	const {clock, lan} = await segment([200, 100]);
	clock.advance(seconds(4));
	t.is(lan.adverts[0]?.atUs, 3_218_750);
	const packet = decodeIp(ipv4('192.168.1.10', GROUP, lan.adverts[0]?.bytes ?? new Uint8Array()));
	t.true(packet.ok);
	if (!packet.ok) return;
	t.deepEqual(decodeAdvert(packet.value), {
		ok: true,
		value: {
			version: 2,
			vrid: 91,
			priority: 200,
			advertUs: seconds(1),
			addresses: ['192.168.1.1'],
			password: '1215',
		},
	});
});

test('interface down is a fault, and up again a fresh start', async t => {
	const {clock, balancers, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
	t.deepEqual(owners(balancers), []);
	t.true(a.log.lines.includes('info (external) Entering FAULT STATE'));
	clock.advance(seconds(4));
	t.deepEqual(owners(balancers), ['b']);
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: true});
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup']);
	clock.advance(seconds(4));
	t.deepEqual(owners(balancers), ['a']);
});

test('an interface that goes and comes back under another number is used again', async t => {
	const {clock, balancers, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.netlink.removeLink(2);
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
	a.netlink.setLink({ifindex: 7, name: 'eth0'});
	a.netlink.give(7, '192.168.1.10', 24);
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup']);
	clock.advance(seconds(4));
	t.deepEqual(owners(balancers), ['a']);
});

test('dynamic_interfaces: an instance waits for its interface in fault, and may be master when it comes', async t => {
	const clock = new FakeClock();
	const a = new Balancer('a', 10, clock, {eth0: new FakeLan(clock)});
	a.netlink.removeLink(2);
	await t.throwsAsync(a.configure([instance()]), {code: 'ENODEV'});
	await a.configure([instance()], [], {dynamicInterfaces: true});
	t.deepEqual(a.roles(), ['fault']);
	t.true(a.log.lines.includes('warn (external) interface eth0 is gone'));
	a.netlink.setLink({ifindex: 9, name: 'eth0'});
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault'], 'it has no address');
	a.netlink.give(9, '192.168.1.10', 24);
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup']);
	clock.advance(seconds(4));
	t.deepEqual(a.roles(), ['master']);
	t.true(a.owns('192.168.1.1'));
});

test('an interface without an address is a fault', async t => {
	const {clock, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.netlink.take('192.168.1.10');
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
});

test('another address of the interface: the same master speaks from there', async t => {
	const {clock, balancers, a, b} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.netlink.give(2, '192.168.1.20', 25);
	a.netlink.take('192.168.1.10');
	await kernelEvents();
	clock.advance(seconds(5));
	t.deepEqual(a.roles(), ['master']);
	t.deepEqual(owners(balancers), ['a']);
	t.deepEqual(b.router.status().instances[0]?.master, {address: '192.168.1.20', priority: 200});
});

test('an interface that was down and is up again before anybody looks changes nothing', async t => {
	const {clock, balancers, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: true});
	await kernelEvents();
	t.deepEqual(a.roles(), ['master']);
	t.deepEqual(owners(balancers), ['a']);
});

test('an interface that flaps for a minute: each time the other one serves, and in the end the better one', async t => {
	const {clock, balancers, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	for (let flap = 0; flap < 12; flap++) {
		a.netlink.setLink({ifindex: 2, name: 'eth0', running: flap % 2 === 1});
		await kernelEvents();
		clock.advance(seconds(5));
		t.deepEqual(owners(balancers), flap % 2 === 1 ? ['a'] : ['b'], `flap ${flap}`);
	}
	t.is(a.router.status().instances[0]?.transitions.fault, 6);
});

test('dont_track_primary stays master on a dead interface', async t => {
	const {clock, a} = await segment([200, 100], {trackPrimary: false});
	clock.advance(seconds(10));
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await kernelEvents();
	t.deepEqual(a.roles(), ['master']);
});

test('an address deleted by somebody else is back after the skew time', async t => {
	const {clock, balancers, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.netlink.take('192.168.1.1');
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup']);
	clock.advance(milliseconds(219));
	t.deepEqual(owners(balancers), ['a']);
	t.is(a.router.status().deleted.address, 1);
});

test('lost events of the kernel are made up for', async t => {
	const {clock, a} = await segment([200, 100]);
	clock.advance(seconds(10));
	a.netlink.overrun();
	await kernelEvents();
	t.deepEqual(a.roles(), ['master']);
	t.true(a.owns('192.168.1.1'));
});

test('packets that are none of ours are counted by reason and change nothing', async t => {
	const {clock, lan, b} = await segment([100, 200]);
	clock.advance(seconds(10));
	const stranger = '192.168.1.99';
	const own = {
		version: 2,
		vrid: 91,
		priority: 254,
		advertUs: seconds(1),
		addresses: ['192.168.1.1'],
		password: '1215',
	} as const;
	const path = {source: stranger, destination: GROUP};
	const sends = (advert: Parameters<typeof encodeAdvert>[0], fields = {}): void =>
		lan.inject(ipv4(stranger, GROUP, encodeAdvert(advert, path), fields), stranger);
	sends({...own, password: 'wrong'});
	sends({...own, password: null});
	sends({...own, advertUs: seconds(2)});
	sends({...own, addresses: ['192.168.1.2']});
	sends({...own, vrid: 90});
	sends(own, {ttl: 254});
	lan.inject(new Uint8Array(7), stranger);
	t.deepEqual(b.roles(), ['master']);
	t.deepEqual(b.router.status().instances[0]?.refused, {
		'bad-password': 1,
		'bad-auth-type': 1,
		'advert-interval': 1,
		'address-list': 1,
		'other-vrid': 1,
		'bad-ttl': 1,
		'bad-ip-header': 1,
	});
	sends(own);
	t.deepEqual(b.roles(), ['backup']);
});

// Sync groups

test('both instances of a sync group become master together and tell so', async t => {
	const {clock, a, b} = await pair();
	clock.advance(seconds(10));
	t.deepEqual(
		[a.roles(), b.roles()],
		[
			['master', 'master'],
			['backup', 'backup'],
		],
	);
	t.deepEqual(
		a.transitions.map(({scope, name, from, to}) => `${scope} ${name}: ${from} → ${to}`),
		[
			'instance external: init → backup',
			'instance internal: init → backup',
			'group VRRP1: init → backup',
			'instance external: backup → master',
			'instance internal: backup → master',
			'group VRRP1: backup → master',
		],
	);
	for (const line of [
		'info VRRP_Group(VRRP1) Syncing instances to MASTER state',
		'info (internal) Entering MASTER STATE',
	]) {
		t.true(a.log.lines.includes(line), line);
	}
});

test('one dead link moves the whole group, and the peer does not wait the full time for the other link', async t => {
	const {clock, outside, a, b} = await pair();
	clock.advance(seconds(10));
	outside.partition(['b']);
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault', 'fault']);
	clock.advance(seconds(1) + milliseconds(610));
	t.deepEqual(b.roles(), ['master', 'master']);
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: true});
	outside.heal();
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup', 'backup']);
	clock.advance(seconds(4));
	t.deepEqual(
		[a.roles(), b.roles()],
		[
			['master', 'master'],
			['backup', 'backup'],
		],
	);
});

test('a group does not become master while one of its segments has a better one', async t => {
	const {clock, outside, a, b} = await pair();
	clock.advance(seconds(10));
	outside.partition(['a'], ['b']);
	clock.advance(seconds(60));
	t.deepEqual(
		[a.roles(), b.roles()],
		[
			['master', 'master'],
			['backup', 'backup'],
		],
	);
});

test('a group stops as one', async t => {
	const {clock, a, b} = await pair();
	clock.advance(seconds(10));
	await a.stop(clock);
	t.deepEqual(b.roles(), ['master', 'master']);
	t.deepEqual(a.netlink.owned().sort(), ['10.0.0.10', '192.168.1.10', '2001:db8::10', 'fe80::10']);
});

// IPv6

/** Routers on one segment with an IPv6 instance of the given priorities; `a` has the lowest link-local address. */
async function segment6(priorities: readonly [number, number], changes: Parameters<typeof instance6>[0] = {}) {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: lan});
	const b = new Balancer('b', 11, clock, {eth0: lan});
	await a.configure([instance6({...changes, priority: priorities[0]})]);
	await b.configure([instance6({...changes, priority: priorities[1]})]);
	return {clock, lan, balancers: [a, b], a, b};
}

/** Who holds both addresses of the IPv6 instance, and that nobody holds only one. */
function owners6(balancers: readonly Balancer[]): string[] {
	const [linkLocal, global] = [owners(balancers, 'fe80::100'), owners(balancers, '2001:db8::1')];
	return linkLocal.join() === global.join() ? global : [`${linkLocal} but ${global}`];
}

test('IPv6: the better one becomes master, from its link-local address, and the other takes over when it dies', async t => {
	const {clock, lan, balancers, a, b} = await segment6([200, 100]);
	clock.advance(seconds(3) + milliseconds(219));
	t.deepEqual(owners6(balancers), ['a']);
	clock.advance(seconds(2));
	const [first] = lan.adverts;
	const packet = {source: 'fe80::10', destination: 'ff02::12', protocol: 112, ttl: 255};
	t.deepEqual(decodeAdvert({...packet, payload: first?.bytes ?? new Uint8Array()}), {
		ok: true,
		value: {
			version: 3,
			vrid: 91,
			priority: 200,
			advertUs: seconds(1),
			addresses: ['fe80::100', '2001:db8::1'],
			password: null,
		},
	});
	t.deepEqual(b.router.status().instances[0]?.master, {address: 'fe80::10', priority: 200});
	a.station.kill();
	clock.advance(seconds(3) + milliseconds(610));
	t.deepEqual(owners6(balancers), ['b']);
	await b.stop(clock);
	t.deepEqual(b.netlink.owned().sort(), ['192.168.1.11', '2001:db8::11', 'fe80::11']);
});

test('IPv6: intervals of a tenth of a second, and the skew is scaled', async t => {
	const {clock, balancers, a} = await segment6([200, 100], {advertUs: milliseconds(100)});
	clock.advance(seconds(1));
	t.deepEqual(owners6(balancers), ['a']);
	a.station.kill();
	clock.advance(milliseconds(361));
	t.deepEqual(owners6(balancers), ['b']);
});

test('IPv6: of equal priorities the higher link-local address stays', async t => {
	const {clock, balancers} = await segment6([100, 100]);
	clock.advance(seconds(60));
	t.deepEqual(owners6(balancers), ['b']);
});

test('IPv6: the addresses are announced by neighbour advertisements, interleaved, in keepalived’s rounds', async t => {
	const {clock, lan, a} = await segment6([200, 100]);
	a.netlink.setLink({ifindex: 2, name: 'eth0', forwardsIpv6: true});
	await kernelEvents();
	clock.advance(seconds(10));
	const frames = lan.frames.map(({atUs, bytes}) => ({
		atUs,
		to: Buffer.from(bytes.subarray(0, 6)).toString('hex'),
		flags: bytes[58],
		target: formatAddress(bytes.subarray(62, 78)),
	}));
	const round = (atUs: number) =>
		['fe80::100', '2001:db8::1'].map(target => ({atUs, to: '333300000001', flags: 0xa0, target}));
	const rounds = (atUs: number) => Array.from({length: 5}, () => round(atUs)).flat();
	t.deepEqual(frames, [...rounds(3_218_750), ...rounds(8_218_750)]);
});

test('IPv6: an interface whose link-local address is not there, or not proven unique yet, is a fault', async t => {
	const {clock, a} = await segment6([200, 100]);
	clock.advance(seconds(10));
	a.netlink.take('fe80::10');
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
	t.true(a.log.lines.includes('warn (external) interface eth0 has no usable IPv6 link-local address'));
	a.netlink.give(2, 'fe80::10', 64, false);
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
	a.netlink.take('fe80::10');
	a.netlink.give(2, 'fe80::10', 64);
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup']);
});

test('IPv6: a source address of one’s own must be there', async t => {
	const {clock, balancers, a, b} = await segment6([200, 100], {sourceAddress: '2001:db8::10'});
	clock.advance(seconds(10));
	t.deepEqual([a.roles(), b.roles()], [['master'], ['fault']]);
	t.deepEqual(owners6(balancers), ['a']);
	a.netlink.setLink({ifindex: 3, name: 'eth1'});
	a.netlink.give(3, 'fe80::77', 64);
	await a.configure([instance6({vrid: 7, sourceAddress: 'fe80::77'})]);
	t.deepEqual(a.roles(), ['fault'], 'a link-local one on the very link');
});

test('IPv6: addresses that a crash left behind are found and removed', async t => {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: lan});
	for (const address of ['fe80::100', '2001:db8::1']) a.netlink.give(2, address, 64);
	await a.configure([instance6()]);
	t.deepEqual(a.roles(), ['backup']);
	t.deepEqual(a.netlink.owned().sort(), ['192.168.1.10', '2001:db8::10', 'fe80::10']);
});

test('IPv4 and IPv6 instances of one number on one interface are two', async t => {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: lan});
	const b = new Balancer('b', 11, clock, {eth0: lan});
	await a.configure([instance({priority: 200}), instance6({name: 'six', priority: 100})]);
	await b.configure([instance({priority: 100}), instance6({name: 'six', priority: 200})]);
	clock.advance(seconds(10));
	t.deepEqual(owners([a, b]), ['a']);
	t.deepEqual(owners6([a, b]), ['b']);
	t.deepEqual(a.router.status().instances[0]?.refused, {});
});

test('one link-local address may be on two interfaces', async t => {
	const clock = new FakeClock();
	const lans = {eth0: new FakeLan(clock), eth1: new FakeLan(clock)};
	const a = new Balancer('a', 10, clock, lans);
	const gateways = [virtualAddress('fe80::100', 'eth0'), virtualAddress('fe80::100', 'eth1')];
	await a.configure([instance({excludedAddresses: gateways})]);
	await kernelEvents();
	clock.advance(seconds(4));
	t.is(a.netlink.owned().filter(address => address === 'fe80::100').length, 2);
	t.is(lans.eth1.frames.length, 5);
	await a.configure([instance({excludedAddresses: gateways.slice(1)})]);
	t.deepEqual(
		(await a.netlink.addresses()).filter(({address}) => address === 'fe80::100').map(({ifindex}) => ifindex),
		[3],
	);
});

// Reload

/** Peers that `a` and `b` of a segment name. */
function unicast(...hosts: readonly number[]): Unicast {
	const peers = hosts.map(host => ({address: `192.168.1.${host}`, ttl: ANY_TTL}));
	return {peers, ttl: 200, checkSource: true};
}

test('unicast: routers that name each other agree, and a stranger of the same number is not heard', async t => {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const [a, b, c] = ['a', 'b', 'c'].map((name, index) => new Balancer(name, 10 + index, clock, {eth0: lan}));
	if (a === undefined || b === undefined || c === undefined) throw new Error('three routers');
	await a.configure([instance({priority: 200, unicast: unicast(11)})]);
	await b.configure([instance({priority: 100, unicast: unicast(10)})]);
	await c.configure([instance({priority: 250, unicast: unicast(10, 11)})]);
	clock.advance(seconds(5));
	t.deepEqual(owners([a, b, c]), ['a', 'c'], 'two routers that do not know of each other');
	t.true((a.router.status().instances[0]?.refused['unknown-peer'] ?? 0) > 0);
	a.station.kill();
	clock.advance(seconds(5));
	t.true(b.owns('192.168.1.1'));
});

test('unicast: each peer gets an advert of its own, and a source that is not there is a fault', async t => {
	const clock = new FakeClock();
	const lan = new FakeLan(clock);
	const a = new Balancer('a', 10, clock, {eth0: lan});
	await a.configure([instance({priority: 255, version: 3, password: null, unicast: unicast(11, 12)})]);
	const [first, second] = lan.adverts;
	t.notDeepEqual(first?.bytes, second?.bytes, 'the checksum covers the destination');
	await a.configure([instance({unicast: unicast(11), sourceAddress: '192.168.1.77'})]);
	t.deepEqual(a.roles(), ['fault']);
	t.true(a.log.lines.includes('warn (external) interface eth0 has no usable 192.168.1.77 address'));
	a.netlink.give(2, '192.168.1.77', 24);
	await kernelEvents();
	t.deepEqual(a.roles(), ['backup']);
});

test('an instance may have a group of its own, and a reload changes it', async t => {
	const {clock, balancers, a, b} = await segment([200, 100], {multicastGroup: '224.0.0.81'});
	clock.advance(seconds(5));
	t.deepEqual(owners(balancers), ['a']);
	await b.configure([instance({priority: 100})]);
	clock.advance(seconds(5));
	t.deepEqual(owners(balancers), ['a', 'b'], 'they do not hear each other');
	await a.configure([instance({priority: 200})]);
	clock.advance(seconds(5));
	t.deepEqual(owners(balancers), ['a']);
});

test('reload: instances keep their state, changed addresses are swapped, gone instances resign', async t => {
	const {clock, a, b} = await pair();
	clock.advance(seconds(10));
	const renamed = instance({
		name: 'outside',
		priority: 200,
		addresses: [virtualAddress('192.168.1.2', 'eth0')],
	});
	await a.configure([renamed]);
	t.deepEqual(a.netlink.owned().sort(), ['10.0.0.10', '192.168.1.10', '192.168.1.2', '2001:db8::10', 'fe80::10']);
	t.deepEqual(a.roles(), ['master']);
	t.is(a.router.status().instances[0]?.name, 'outside');
	t.deepEqual(b.roles(), ['backup', 'backup']);
});

for (const [what, afterMs] of [
	['each instance', 610],
	['one instance, and not of the other, whose cable is pulled,', 1610],
] as const) {
	test(`reload: a backup whose master of ${what} resigns takes over when it would have anyway`, async t => {
		const {clock, inside, a, b} = await pair();
		clock.advance(seconds(10));
		if (afterMs > 1000) inside.partition(['a'], ['b']);
		void a.router.stop();
		await kernelEvents();
		clock.advance(milliseconds(500));
		await b.configure([instance(), internal()], [group]);
		clock.advance(milliseconds(afterMs - 500));
		t.deepEqual(b.roles(), ['master', 'master']);
	});
}

test('reload: an address that moves to another interface leaves the one before', async t => {
	const {clock, a} = await pair();
	await kernelEvents();
	clock.advance(seconds(10));
	const devices = async () =>
		(await a.netlink.addresses()).filter(({address}) => address === '192.168.1.1').map(({ifindex}) => ifindex);
	t.deepEqual(await devices(), [2]);
	const moved = instance({priority: 200, addresses: [virtualAddress('192.168.1.1', 'eth1')]});
	await a.configure([moved, internal({priority: 200})], [group]);
	t.deepEqual(await devices(), [3]);
});

test('reload: a configuration with a missing interface changes nothing', async t => {
	const {clock, a} = await pair();
	clock.advance(seconds(10));
	const error = await t.throwsAsync(a.configure([instance({interface: 'eth9'})]));
	t.regex(error?.message ?? '', /instance external: interface eth9: ENODEV .*keepalived\.conf:1:1/);
	t.deepEqual(a.roles(), ['master', 'master']);
	t.true(a.owns('192.168.1.1'));
});

test('reload: a refused socket changes nothing', async t => {
	const {clock, a} = await pair();
	clock.advance(seconds(10));
	a.station.forbidden.add('eth1');
	const others = [instance({vrid: 1, priority: 255}), internal({vrid: 2, multicastGroup: '224.0.0.81'})];
	await t.throwsAsync(a.configure(others), {code: 'EPERM'});
	clock.advance(seconds(10));
	t.deepEqual(a.roles(), ['master', 'master']);
	t.deepEqual(
		a.router.status().instances.map(status => status.vrid),
		[91, 92],
	);
});

test('leaving a failed group is a recovery', async t => {
	const {clock, a} = await pair();
	clock.advance(seconds(10));
	a.netlink.setLink({ifindex: 2, name: 'eth0', running: false});
	await kernelEvents();
	await a.configure([instance({priority: 200}), internal({priority: 200})]);
	t.deepEqual(a.roles(), ['fault', 'backup']);
});

test('whatever the links do, a group has one role, and two groups are not both master for long', async t => {
	const {clock, outside, inside, a, b} = await pair();
	const random = seeded(9);
	for (let round = 0; round < 200; round++) {
		const balancer = random() < 0.5 ? a : b;
		const [ifindex, name] = random() < 0.5 ? [2, 'eth0'] : [3, 'eth1'];
		balancer.netlink.setLink({ifindex, name, running: random() < 0.7});
		outside.loss = random() * 0.2;
		inside.loss = random() * 0.2;
		await kernelEvents();
		clock.advance(Math.floor(random() * seconds(5)));
		t.is(new Set(a.roles()).size, 1);
		t.is(new Set(b.roles()).size, 1);
	}
	outside.loss = 0;
	inside.loss = 0;
	for (const {netlink} of [a, b]) {
		netlink.setLink({ifindex: 2, name: 'eth0', running: true});
		netlink.setLink({ifindex: 3, name: 'eth1', running: true});
	}
	await kernelEvents();
	clock.advance(seconds(10));
	t.deepEqual(owners([a, b]), ['a']);
	t.deepEqual(owners([a, b], '10.0.0.100'), ['a']);
});

test('auth_type AH: everybody counts on from the highest counter, and a recorded packet moves nobody', async t => {
	const {clock, lan, balancers, a, b} = await segment([200, 100], {usesAuthHeader: true});
	clock.advance(seconds(10));
	t.deepEqual(owners(balancers), ['a']);
	const sequences = (): number[] => lan.adverts.map(({bytes}) => Buffer.from(bytes).readUInt32BE(28));
	t.deepEqual(
		sequences(),
		sequences().map((_, index) => index + 1),
	);
	const stopped = a.router.stop();
	await kernelEvents();
	clock.advance(seconds(5));
	await stopped;
	t.deepEqual(owners(balancers), ['b']);
	t.deepEqual(
		sequences(),
		sequences().map((_, index) => index + 1),
		'b counts on',
	);
	const [recorded] = lan.adverts;
	lan.inject(recorded?.bytes ?? new Uint8Array(), '192.168.1.10');
	clock.advance(seconds(1));
	t.deepEqual(owners(balancers), ['b']);
	t.deepEqual(b.router.status().instances[0]?.refused, {replayed: 1});
});

/** What `a` says of another master, and how often it has announced the address so far. */
function alarm(of: Balancer, lan: FakeLan) {
	const [{rival = null, rivalsTotal = 0} = {}] = of.router.status().instances;
	const {length} = lan.frames.filter(({station}) => station === of.name);
	return {rival: rival?.address ?? null, refused: rival?.refused ?? null, total: rivalsTotal, announced: length};
}

test('two masters after a partition: told once, and the winner announces when it is over', async t => {
	const {clock, lan, a, b} = await segment([200, 100]);
	clock.advance(seconds(10));
	lan.partition(['a'], ['b']);
	clock.advance(seconds(10));
	const {announced} = alarm(a, lan);
	lan.heal();
	clock.advance(seconds(5));
	t.like(alarm(a, lan), {rival: null, total: 0}, 'who yields at once has never been a second master');
	t.true(alarm(a, lan).announced > announced);
	t.deepEqual(b.roles(), ['backup']);
});

/** `a` hears `b`, which does not hear `a`, for some seconds. */
async function deaf() {
	const all = await segment([200, 100]);
	const {clock, lan, b} = all;
	clock.advance(seconds(10));
	b.station.stall();
	clock.advance(seconds(1));
	const heard = (address: string, priority: number, password = '1215'): void => {
		const path = {source: address, destination: GROUP};
		const {vrid, version, advertUs, addresses} = instance();
		const texts = addresses.map(virtual => virtual.address);
		const advert = encodeAdvert({vrid, version, advertUs, priority, password, addresses: texts}, path);
		lan.inject(ipv4(address, GROUP, advert), address);
	};
	const during = (count: number, ...of: Parameters<typeof heard>): void => {
		for (let n = 0; n < count; n++) {
			heard(...of);
			clock.advance(seconds(1));
		}
	};
	return {...all, heard, during};
}

test('a master that does not hear us: the alarm lasts as long as it is heard, and its end is announced', async t => {
	const {clock, lan, a, during} = await deaf();
	during(1, '192.168.1.99', 50);
	t.like(alarm(a, lan), {rival: null, total: 0}, 'one advert may be a farewell');
	during(20, '192.168.1.99', 50);
	t.like(alarm(a, lan), {rival: '192.168.1.99', refused: null, total: 1});
	const {announced} = alarm(a, lan);
	clock.advance(seconds(9));
	t.like(alarm(a, lan), {rival: null, total: 1});
	t.true(alarm(a, lan).announced > announced);
	const told = a.log.lines.filter(line => line.includes('two masters'));
	t.deepEqual(told, ['error (external) two masters: 192.168.1.99 is one, too', 'info (external) two masters no more']);
});

test('a master that resigns as the second one: announced at once', async t => {
	const {lan, a, heard, during} = await deaf();
	during(8, '192.168.1.99', 50);
	const {announced} = alarm(a, lan);
	heard('192.168.1.99', 0);
	t.like(alarm(a, lan), {rival: null, announced: announced + 5});
});

test('one that is first heard when it resigns has been a master, too; a flood of such gets one answer an interval', async t => {
	const {lan, a, heard} = await deaf();
	const {announced} = alarm(a, lan);
	for (let n = 0; n < 10; n++) heard('192.168.1.99', 0);
	t.like(alarm(a, lan), {announced: announced + 5});
});

test('a master with another password is one, too; who outranks us ends the alarm with our mastership', async t => {
	const {clock, lan, a, during} = await deaf();
	during(3, '192.168.1.99', 250, 'other');
	t.like(alarm(a, lan), {rival: '192.168.1.99', refused: 'bad-password', total: 1});
	during(1, '192.168.1.99', 250);
	clock.advance(seconds(1));
	t.deepEqual(a.roles(), ['backup']);
	t.like(alarm(a, lan), {rival: null, total: 1});
});

test('track_src_ip: without its source address an instance is in fault, and recovers with it', async t => {
	const source = {sourceAddress: '192.168.1.77', trackSourceAddress: true};
	const {clock, lan, balancers, a, b} = await segment([200, 100]);
	await a.configure([instance({priority: 200, ...source})]);
	t.deepEqual(a.roles(), ['fault']);
	t.true(a.log.lines.includes('warn (external) interface eth0 has no usable 192.168.1.77 address'));
	a.netlink.give(2, '192.168.1.77', 24);
	await kernelEvents();
	clock.advance(seconds(5));
	t.deepEqual(owners(balancers), ['a']);
	const before = lan.adverts.length;
	a.netlink.take('192.168.1.77');
	await kernelEvents();
	t.deepEqual(a.roles(), ['fault']);
	const [last] = lan.adverts.slice(before);
	t.is(last?.bytes[2], 0, 'it resigns with the address that it had');
	clock.advance(milliseconds(700));
	t.deepEqual(owners(balancers), ['b']);
	a.netlink.give(2, '192.168.1.77', 24);
	await kernelEvents();
	clock.advance(seconds(5));
	t.deepEqual([owners(balancers), b.roles()], [['a'], ['backup']]);
});

test('without track_src_ip, IPv4 multicast goes on from an address that is not there, as keepalived does', async t => {
	const {clock, a} = await segment([200, 100], {sourceAddress: '192.168.1.77'});
	clock.advance(seconds(5));
	t.deepEqual(a.roles(), ['master']);
});
