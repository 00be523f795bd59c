import {setImmediate} from 'node:timers/promises';
import test from 'ava';
import {OwnAddresses} from '../../src/reach/own-addresses.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';
import {FakeNetlink} from '../fake/netlink.js';

function watched() {
	const netlink = new FakeNetlink();
	const [clock, log] = [new FakeClock(), new FakeLog()];
	netlink.setLink({ifindex: 2, name: 'eth0'});
	netlink.give(2, '192.0.2.1', 24);
	return {netlink, clock, log, own: new OwnAddresses({netlink, clock, log})};
}

test('knows the addresses that are there, and those that come and go', async t => {
	const {netlink, own} = watched();
	await own.look();
	t.deepEqual([own.has('192.0.2.1'), own.has('192.0.2.2')], [true, false]);
	netlink.give(2, '192.0.2.2', 24);
	netlink.take('192.0.2.1');
	await setImmediate();
	t.deepEqual([own.has('192.0.2.1'), own.has('192.0.2.2')], [false, true]);
	own.close();
	netlink.take('192.0.2.2');
	await setImmediate();
	t.true(own.has('192.0.2.2'), 'nobody listens any more');
});

test('keeps what it knows when the kernel does not tell, and asks again', async t => {
	const {netlink, clock, log, own} = watched();
	await own.look();
	await setImmediate();
	const {addresses} = netlink;
	netlink.addresses = () => Promise.reject(new Error('EBUSY'));
	netlink.give(2, '192.0.2.2', 24);
	await setImmediate();
	t.deepEqual([own.has('192.0.2.1'), own.has('192.0.2.2')], [true, false]);
	t.deepEqual(log.take(), ['error the addresses of this machine could not be read']);
	netlink.addresses = addresses;
	clock.advance(seconds(1));
	await setImmediate();
	t.true(own.has('192.0.2.2'));
	own.close();
});
