import {networkInterfaces} from 'node:os';
import test from 'ava';
import {AF_INET, IPPROTO_ICMP, SOCK_RAW, Socket} from 'libbpf-ts/net';
import type {Result} from '../../src/check/checker.js';
import {pingChecker} from '../../src/check/ping.js';
import type {PingCheck} from '../../src/conf/model.js';
import {lookFor, loopback, patient} from './model.js';

/** Ping needs root, or a group that may. */
const why = reasonToSkip();
if (why !== null) process.stderr.write(`PING_CHECK is not tested: ${why}\n`);
const rootTest = why === null ? test : test.skip;
const hasIpv6 = networkInterfaces().lo?.some(({address}) => address === '::1') === true;
if (!hasIpv6) process.stderr.write('PING_CHECK of IPv6 backends is not tested: no ::1 on lo\n');

function reasonToSkip(): string | null {
	try {
		new Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP).close();
		return null;
	} catch (error) {
		return (error as Error).message;
	}
}

function ping(connectAddress: string, changes: Partial<PingCheck> = {}): PingCheck {
	return {kind: 'ping', ...loopback(0), connectAddress, connectTimeoutUs: 300_000, ...changes};
}

function look(one: PingCheck, signal = patient()): Promise<Result> {
	return pingChecker(one).check(lookFor(signal));
}

rootTest('passes when there is an echo', async t => {
	t.deepEqual(await look(ping('127.0.0.1')), {ok: true});
	t.deepEqual(await look(ping('127.0.0.1', {bindAddress: '127.0.0.9'})), {ok: true});
});

rootTest('many at once do not take each other for their own', async t => {
	const all = await Promise.all(Array.from({length: 200}, () => look(ping('127.0.0.1'))));
	t.true(all.every(({ok}) => ok));
});

(hasIpv6 ? rootTest : test.skip)('over IPv6, too', async t => {
	t.deepEqual(await look(ping('::1')), {ok: true});
	t.deepEqual(await look(ping('::1', {bindAddress: '::1'})), {ok: true});
});

rootTest('what the kernel does not send is a failure', async t => {
	t.like(await look(ping('127.255.255.255')), {ok: false, reason: 'error'}, 'a broadcast address');
});

rootTest('an address that is not ours is none to ping from', async t => {
	t.like(await look(ping('127.0.0.1', {bindAddress: '192.0.2.1'})), {ok: false, reason: 'bind-failed'});
});

rootTest('does not even begin when it is too late', async t => {
	t.like(await look(ping('127.0.0.1'), AbortSignal.abort()), {ok: false, reason: 'timeout'});
});
