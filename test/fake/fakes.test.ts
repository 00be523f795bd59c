import test from 'ava';
import {FakeClock, seconds} from './clock.js';
import {FakeLan, FakeStation} from './lan.js';
import {FakeNetlink} from './netlink.js';

test('the clock runs timers in the order they are due, and those they set', t => {
	const clock = new FakeClock();
	const fired: string[] = [];
	clock.after(20, 'second', () => fired.push(`second at ${clock.nowUs()}`));
	clock.after(10, 'first', () => {
		fired.push(`first at ${clock.nowUs()}`);
		clock.after(5, 'between', () => fired.push(`between at ${clock.nowUs()}`));
	});
	clock.after(10, 'cancelled', () => fired.push('cancelled'))();
	clock.advance(30);
	t.deepEqual(fired, ['first at 10', 'between at 15', 'second at 20']);
	t.is(clock.nowUs(), 30);
});

test('the clock does not go on after an exception', t => {
	const clock = new FakeClock();
	clock.after(10, 'broken', () => {
		throw new Error('broken');
	});
	t.throws(() => clock.advance(20), {message: 'broken'});
	t.throws(() => clock.advance(20), {message: 'the clock stopped at an exception'});
});

test('the clock takes whole microseconds only', t => {
	t.throws(() => new FakeClock().after(0.5, 'half', () => {}));
	t.throws(() => new FakeClock().after(-1, 'past', () => {}));
});

function station(): FakeStation {
	const clock = new FakeClock();
	return new FakeStation('a', clock, {eth0: new FakeLan(clock)});
}
const options = {
	interface: 'eth0',
	ifindex: 2,
	group: '224.0.0.18',
	source: '192.168.1.10',
	ttl: 255,
	onPacket: () => {},
};

test('a closed socket does not send', t => {
	for (const socket of [station().vrrp(options), station().frames(options)]) {
		socket.close();
		t.throws(() => socket.send(new Uint8Array(), '224.0.0.18'), {message: 'send after close'});
	}
});

test('an unknown interface has no socket', t => {
	t.throws(() => station().vrrp({...options, interface: 'eth9'}), {message: 'a has no interface eth9'});
});

test('a stalled station wakes with its timers first', t => {
	const clock = new FakeClock();
	const sleeper = new FakeStation('a', clock, {});
	const order: string[] = [];
	sleeper.stall();
	sleeper.readable(() => order.push('socket'));
	sleeper.clock.after(10, 'timer', () => order.push('timer'));
	clock.advance(seconds(1));
	t.deepEqual(order, []);
	sleeper.wake();
	t.deepEqual(order, ['timer', 'socket']);
});

test('netlink refuses as the kernel does', async t => {
	const netlink = new FakeNetlink();
	netlink.setLink({ifindex: 2, name: 'eth0'});
	const entry = {
		ifindex: 2,
		address: '10.0.0.1',
		prefix: 24,
		scope: 0,
		label: null,
		broadcast: null,
		preferredS: null,
		peer: null,
		flags: [],
		detectDuplicates: false,
	};
	await netlink.addAddress(entry);
	await t.throwsAsync(netlink.addAddress(entry), {code: 'EEXIST'});
	await t.throwsAsync(netlink.addAddress({...entry, ifindex: 3}), {code: 'ENODEV'});
	await netlink.deleteAddress(entry);
	await t.throwsAsync(netlink.deleteAddress(entry), {code: 'EADDRNOTAVAIL'});
	netlink.close();
	await t.throwsAsync(netlink.links(), {message: 'netlink is closed'});
});
