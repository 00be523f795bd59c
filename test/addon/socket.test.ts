import {execFile} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync} from 'node:fs';
import {promisify} from 'node:util';
import {Worker} from 'node:worker_threads';
import test, {type ExecutionContext} from 'ava';
import {
	AF_INET,
	AF_INET6,
	AF_NETLINK,
	AF_PACKET,
	ETH_P_ALL,
	IP_TTL,
	IPV6_HOPLIMIT,
	IPV6_PKTINFO,
	IPV6_RECVHOPLIMIT,
	IPV6_RECVPKTINFO,
	ipMreqn,
	ipv6Mreq,
	NETLINK_ROUTE,
	NetError,
	parseSockaddr,
	SO_TIMESTAMPNS,
	SOCK_DGRAM,
	SOCK_RAW,
	SOL_IP,
	SOL_IPV6,
	SOL_SOCKET,
	Socket,
	schedulingClass,
	sockaddrIn,
	sockaddrIn6,
	sockaddrLl,
	sockaddrNl,
} from 'libbpf-ts/net';
import {areCollected, privileged} from './fixture.js';

const LOCALHOST = Uint8Array.of(127, 0, 0, 1);
const LOCALHOST_IPV6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const NET = import.meta.resolve('libbpf-ts/net');

/** A UDP socket on loopback, at a port that no other test uses and the kernel gives nobody (ip_local_port_range). */
function receiver(t: ExecutionContext, port: number): Socket {
	const socket = new Socket(AF_INET, SOCK_DGRAM, 0);
	t.teardown(() => socket.close());
	socket.bind(sockaddrIn(LOCALHOST, port));
	return socket;
}

function sender(t: ExecutionContext): Socket {
	const socket = new Socket(AF_INET, SOCK_DGRAM, 0);
	t.teardown(() => socket.close());
	return socket;
}

function readable(socket: Socket): Promise<void> {
	return new Promise(resolve => socket.onReadable(resolve));
}

function refusal(code: string, message: RegExp): {instanceOf: typeof NetError; code: string; message: RegExp} {
	return {instanceOf: NetError, code, message};
}

test('a datagram arrives with its sender and its time', async t => {
	const socket = receiver(t, 20_001);
	socket.setOption(SOL_SOCKET, SO_TIMESTAMPNS, 1);
	t.is(socket.receive(), undefined, 'nothing waits yet');
	const before = BigInt(Date.now()) * 1_000_000n;
	t.is(sender(t).send(Uint8Array.of(1, 2, 3), sockaddrIn(LOCALHOST, 20_001)), 3);
	await readable(socket);
	const datagram = socket.receive();
	t.deepEqual(datagram?.bytes, Uint8Array.of(1, 2, 3));
	t.false(datagram?.truncated);
	t.like(parseSockaddr(datagram?.from ?? new Uint8Array()), {family: 'in', address: LOCALHOST});
	t.true((datagram?.timestampNs ?? 0n) >= before - 1_000_000n);
	t.is(socket.receive(), undefined);
});

test('without the option there is no time, and an empty datagram is one', async t => {
	const socket = receiver(t, 20_002);
	sender(t).send(new Uint8Array(), sockaddrIn(LOCALHOST, 20_002));
	await readable(socket);
	t.like(socket.receive(), {bytes: new Uint8Array(), timestampNs: null, truncated: false});
});

test('what the options of a socket ask for comes beside the datagram', async t => {
	const socket = new Socket(AF_INET6, SOCK_DGRAM, 0);
	t.teardown(() => socket.close());
	socket.setOption(SOL_IPV6, IPV6_RECVHOPLIMIT, 1);
	socket.setOption(SOL_IPV6, IPV6_RECVPKTINFO, 1);
	const to = sockaddrIn6(LOCALHOST_IPV6, {port: 20_010});
	socket.bind(to);
	const out = new Socket(AF_INET6, SOCK_DGRAM, 0);
	t.teardown(() => out.close());
	out.send(Uint8Array.of(7), to);
	await readable(socket);
	const datagram = socket.receive();
	t.like(parseSockaddr(datagram?.from ?? new Uint8Array()), {family: 'in6', address: LOCALHOST_IPV6, ifindex: 0});
	const control = (type: number) => {
		const message = datagram?.control.find(each => each.level === SOL_IPV6 && each.type === type);
		return message?.bytes;
	};
	t.is(new DataView(control(IPV6_HOPLIMIT)?.buffer ?? new ArrayBuffer(4)).getInt32(0, true), 64);
	t.deepEqual(control(IPV6_PKTINFO), Uint8Array.of(...LOCALHOST_IPV6, 1, 0, 0, 0));
	t.is(datagram?.control.length, 2);
});

test('a datagram longer than the room for it is cut, and says so', async t => {
	const socket = receiver(t, 20_003);
	const out = sender(t);
	for (const length of [10, 4]) out.send(new Uint8Array(length).fill(length), sockaddrIn(LOCALHOST, 20_003));
	await readable(socket);
	t.like(socket.receive(4), {bytes: new Uint8Array(4).fill(10), truncated: true});
	t.like(socket.receive(4), {bytes: new Uint8Array(4).fill(4), truncated: false});
	t.throws(() => socket.receive(-1), {instanceOf: RangeError});
	t.throws(() => socket.receive(2 ** 30), {instanceOf: RangeError});
});

test('the listener is called again while something is left, and can be replaced', async t => {
	const socket = receiver(t, 20_004);
	const out = sender(t);
	for (const byte of [1, 2, 3]) out.send(Uint8Array.of(byte), sockaddrIn(LOCALHOST, 20_004));
	const bytes: (number | undefined)[] = [];
	socket.onReadable(() => t.fail('this listener is replaced'));
	await new Promise<void>(resolve => {
		socket.onReadable(() => {
			bytes.push(socket.receive()?.bytes[0]);
			if (bytes.length === 3) resolve();
		});
	});
	t.deepEqual(bytes, [1, 2, 3]);
	t.throws(() => socket.onReadable('no' as unknown as () => void), {instanceOf: TypeError});
});

test('a socket may be closed by its own listener', async t => {
	const socket = receiver(t, 20_005);
	const out = sender(t);
	for (const byte of [1, 2]) out.send(Uint8Array.of(byte), sockaddrIn(LOCALHOST, 20_005));
	let calls = 0;
	await new Promise<void>(resolve => {
		socket.onReadable(() => {
			calls++;
			socket.close();
			setImmediate(() => setImmediate(resolve));
		});
	});
	t.is(calls, 1);
});

test('a closed socket refuses everything by name, closing again is fine', t => {
	const socket = sender(t);
	socket.close();
	socket.close();
	t.is(socket.fd, -1);
	const closed = (operation: string) => refusal('EBADF', new RegExp(`^${operation}: inet datagram socket, .*closed`));
	t.throws(() => socket.send(new Uint8Array(1), sockaddrIn(LOCALHOST, 9)), closed('send'));
	t.throws(() => socket.receive(), closed('receive'));
	t.throws(() => socket.bind(sockaddrIn(LOCALHOST, 0)), closed('bind'));
	t.throws(() => socket.setOption(SOL_IP, IP_TTL, 1), closed('set option 0/2'));
	t.throws(() => socket.onReadable(() => {}), closed('on readable'));
	t.notThrows(() => socket.ref());
});

test('what the kernel refuses has its code', t => {
	const socket = receiver(t, 20_006);
	t.throws(() => receiver(t, 20_006), refusal('EADDRINUSE', /^bind: inet datagram socket, protocol 0: EADDRINUSE/));
	t.throws(() => socket.bind(Uint8Array.of(1)), refusal('EINVAL', /^bind/));
	t.throws(() => socket.send(new Uint8Array(70_000), sockaddrIn(LOCALHOST, 9)), refusal('EMSGSIZE', /^send/));
	t.throws(() => socket.setOption(SOL_IP, 9999, 1), refusal('ENOPROTOOPT', /^set option 0\/9999/));
	t.throws(() => socket.setOption(SOL_IP, IP_TTL, new Uint8Array()), refusal('EINVAL', /^set option/));
	for (const value of [1.5, Number.NaN, 2 ** 32])
		t.throws(() => socket.setOption(SOL_IP, IP_TTL, value), {instanceOf: RangeError, message: /not an integer of 32/});
	t.throws(() => new Socket(999, SOCK_RAW, 0), refusal('EAFNOSUPPORT', /^socket: family 999 raw socket/));
	t.throws(() => socket.send('text' as unknown as Uint8Array), {instanceOf: TypeError});
});

test('what a listener throws is an uncaught exception', async t => {
	const script = `
		import {AF_INET, SOCK_DGRAM, Socket, sockaddrIn} from ${JSON.stringify(NET)};
		process.on('uncaughtException', error => console.log('uncaught:', error.message));
		const to = sockaddrIn(Uint8Array.of(127, 0, 0, 1), 40007);
		const socket = new Socket(AF_INET, SOCK_DGRAM, 0);
		socket.bind(to);
		socket.onReadable(() => {
			const datagram = socket.receive();
			if (datagram.bytes[0] === 2) socket.close();
			throw new Error('datagram ' + datagram.bytes[0]);
		});
		for (const byte of [1, 2]) socket.send(Uint8Array.of(byte), to);`;
	const {stdout} = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
	t.is(stdout, 'uncaught: datagram 1\nuncaught: datagram 2\n');
});

test('an unref-ed socket lets the process end, promises of a listener settle', async t => {
	const script = `
		import {AF_INET, SOCK_DGRAM, Socket, sockaddrIn} from ${JSON.stringify(NET)};
		const to = sockaddrIn(Uint8Array.of(127, 0, 0, 1), 40008);
		const socket = new Socket(AF_INET, SOCK_DGRAM, 0);
		socket.bind(to);
		socket.onReadable(async () => {
			socket.receive();
			await null;
			console.log('settled');
			socket.unref();
		});
		socket.send(Uint8Array.of(1), to);`;
	const {stdout} = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
	t.is(stdout, 'settled\n');
});

test('a worker that ends while it listens leaves nothing behind', async t => {
	const script = `
		const {parentPort} = require('node:worker_threads');
		import(${JSON.stringify(NET)}).then(({AF_INET, SOCK_DGRAM, Socket, sockaddrIn}) => {
			const listening = Array.from({length: 3}, () => new Socket(AF_INET, SOCK_DGRAM, 0));
			for (const socket of listening) socket.onReadable(() => {});
			listening[2].close();
			parentPort.postMessage(listening.map(socket => socket.fd));
		});`;
	const worker = new Worker(script, {eval: true});
	const [fds] = (await once(worker, 'message')) as [number[]];
	await worker.terminate();
	t.is(fds[2], -1);
	const open = new Set(readdirSync('/proc/self/fd'));
	t.false(open.has(String(fds[0])) && open.has(String(fds[1])));
});

test('a forgotten socket closes itself', async t => {
	t.true(await areCollected(() => new Socket(AF_INET, SOCK_DGRAM, 0)));
});

test('netlink answers', async t => {
	const RTM_GETLINK = 18;
	const NLM_F_REQUEST_DUMP = 0x301;
	const request = new Uint8Array(32);
	new DataView(request.buffer).setUint32(0, request.length, true);
	request.set([RTM_GETLINK, 0, NLM_F_REQUEST_DUMP & 0xff, NLM_F_REQUEST_DUMP >> 8], 4);
	const socket = new Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	t.teardown(() => socket.close());
	socket.bind(sockaddrNl());
	socket.send(request, sockaddrNl({pid: 0}));
	await readable(socket);
	const answer = socket.receive();
	t.is(answer?.bytes[4], 16, 'RTM_NEWLINK');
	t.deepEqual(parseSockaddr(answer?.from ?? new Uint8Array()), {family: 'nl', pid: 0, groups: 0});
});

test('socket addresses are built and parsed', t => {
	const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
	t.deepEqual([...sockaddrIn(LOCALHOST, 0x1234)], [2, 0, 0x12, 0x34, 127, 0, 0, 1, ...new Array<number>(8).fill(0)]);
	t.deepEqual(
		[...sockaddrLl({ifindex: 5, protocol: 0x0806, mac})],
		[17, 0, 8, 6, 5, 0, 0, 0, 0, 0, 0, 6, ...mac, 0, 0],
	);
	t.deepEqual([...sockaddrNl({pid: 7, groups: 0x101})], [16, 0, 0, 0, 7, 0, 0, 0, 1, 1, 0, 0]);
	t.deepEqual(
		[...sockaddrIn6(LOCALHOST_IPV6, {port: 80, ifindex: 5})],
		[10, 0, 0, 80, 0, 0, 0, 0, ...LOCALHOST_IPV6, 5, 0, 0, 0],
	);
	t.deepEqual([...ipv6Mreq({group: LOCALHOST_IPV6, ifindex: 3})], [...LOCALHOST_IPV6, 3, 0, 0, 0]);
	t.deepEqual([...ipMreqn({group: LOCALHOST, ifindex: 3})], [127, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 0]);
	t.deepEqual(parseSockaddr(sockaddrIn(LOCALHOST, 80)), {family: 'in', address: LOCALHOST, port: 80});
	t.deepEqual(parseSockaddr(sockaddrIn6(LOCALHOST_IPV6, {port: 80, ifindex: 5})), {
		family: 'in6',
		address: LOCALHOST_IPV6,
		port: 80,
		ifindex: 5,
	});
	t.deepEqual(parseSockaddr(sockaddrLl({ifindex: 5, protocol: 3, mac})), {family: 'll', ifindex: 5, protocol: 3, mac});
	t.deepEqual(parseSockaddr(sockaddrNl({pid: 7, groups: 9})), {family: 'nl', pid: 7, groups: 9});
});

test('a socket address that cannot be is refused, a strange one is not parsed', t => {
	const refused = {instanceOf: RangeError};
	t.throws(() => sockaddrIn(Uint8Array.of(1, 2, 3)), refused);
	t.throws(() => sockaddrIn(LOCALHOST, 65_536), refused);
	t.throws(() => sockaddrIn6(LOCALHOST), refused);
	t.throws(() => sockaddrLl({ifindex: -1, protocol: 0}), refused);
	t.throws(() => sockaddrLl({ifindex: 1, protocol: 0, mac: new Uint8Array(9)}), refused);
	t.throws(() => sockaddrNl({pid: 1.5}), refused);
	for (const whole of [
		sockaddrIn(LOCALHOST),
		sockaddrIn6(LOCALHOST_IPV6),
		sockaddrLl({ifindex: 1, protocol: 0, mac: LOCALHOST}),
		sockaddrNl(),
	])
		for (const length of [0, 1, 2, 11]) t.is(parseSockaddr(whole.subarray(0, length)), undefined);
	const liar = sockaddrLl({ifindex: 1, protocol: 0});
	liar[11] = 200;
	t.is(parseSockaddr(liar), undefined);
	t.is(parseSockaddr(Uint8Array.of(99, 0, 0, 0)), undefined);
});

test('a thread that nobody favours is not real-time', t => {
	t.deepEqual(schedulingClass(), {policy: 'other', priority: 0});
});

privileged('a real-time process knows that it is', async t => {
	const script = `import {schedulingClass} from ${JSON.stringify(NET)}; console.log(JSON.stringify(schedulingClass()))`;
	const argv = ['--fifo', '10', process.execPath, '--input-type=module', '--eval', script];
	const {stdout} = await promisify(execFile)('chrt', argv);
	t.deepEqual(JSON.parse(stdout), {policy: 'fifo', priority: 10});
});

privileged('a packet socket sees the frames of its interface', async t => {
	const socket = new Socket(AF_PACKET, SOCK_RAW, 0);
	t.teardown(() => socket.close());
	socket.bind(sockaddrLl({ifindex: 1, protocol: ETH_P_ALL}));
	sender(t).send(new TextEncoder().encode('sluice'), sockaddrIn(LOCALHOST, 20_009));
	await new Promise<void>(resolve => {
		socket.onReadable(() => {
			const frame = socket.receive();
			if (frame === undefined || !new TextDecoder().decode(frame.bytes).endsWith('sluice')) return;
			t.like(parseSockaddr(frame.from), {family: 'll', ifindex: 1, protocol: 0x0800});
			resolve();
		});
	});
});

privileged('locked code stays in memory: its mappings are marked so', async t => {
	const script = `
		import {readFileSync} from 'node:fs';
		import {lockCode} from ${JSON.stringify(NET)};
		const marks = () => [...readFileSync('/proc/self/smaps', 'utf8').matchAll(/ r-xp .* \\/(?:.|\\n)*?VmFlags:(.*)/g)];
		const locked = () => marks().filter(([, flags]) => flags.split(' ').includes('lo')).length;
		const before = locked();
		lockCode();
		console.log(JSON.stringify({before, all: locked() === marks().length && marks().length > 1}));`;
	const {stdout} = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
	t.deepEqual(JSON.parse(stdout), {before: 0, all: true});
});

/** In a network namespace of its own: what a socket's listener hears while its interface goes, and when that is long over. */
async function heardAtTheEndOf(socket: string, change: string): Promise<{errors: string[]; later: number}> {
	const script = `
		import {execFileSync} from 'node:child_process';
		import * as net from ${JSON.stringify(NET)};
		const {AF_INET, AF_NETLINK, AF_PACKET, SOCK_RAW, SOL_IP, SOL_SOCKET} = net;
		const ip = command => execFileSync('ip', command.split(' '));
		ip('link add one type veth peer name two');
		for (const name of ['one', 'two']) ip('link set ' + name + ' up');
		const ifindex = JSON.parse(ip('-json link show one'))[0].ifindex;
		const socket = ${socket};
		let calls = 0;
		const errors = [];
		const receive = () => {
			try {
				return socket.receive() !== undefined;
			} catch (error) {
				errors.push(error.code);
				return errors.length < 100;
			}
		};
		socket.onReadable(() => {
			calls++;
			while (receive());
		});
		for (const command of ${JSON.stringify(change)}.split('; ')) ip(command);
		// Whatever the kernel has to say of that is said by then; a listener that is called for nothing is so thousands of times.
		await new Promise(resolve => setTimeout(resolve, 500));
		const before = calls;
		await new Promise(resolve => setTimeout(resolve, 300));
		console.log(JSON.stringify({errors, later: calls - before}));
		socket.close();`;
	const argv = ['--net', process.execPath, '--input-type=module', '--eval', script];
	const {stdout} = await promisify(execFile)('unshare', argv);
	return JSON.parse(stdout);
}

const frames = `(() => {
	const socket = new net.Socket(AF_PACKET, SOCK_RAW, 0);
	socket.bind(net.sockaddrLl({ifindex, protocol: net.ETH_P_ALL}));
	return socket;
})()`;
const adverts = `(() => {
	const socket = new net.Socket(AF_INET, SOCK_RAW, 112);
	socket.setOption(SOL_SOCKET, net.SO_BINDTODEVICE, Buffer.from('one\\0'));
	socket.setOption(SOL_IP, net.IP_ADD_MEMBERSHIP, net.ipMreqn({group: Uint8Array.of(224, 0, 0, 18), ifindex}));
	return socket;
})()`;
/** With the least room that there is. */
const events = `(() => {
	const socket = new net.Socket(AF_NETLINK, SOCK_RAW, net.NETLINK_ROUTE);
	socket.setOption(SOL_SOCKET, net.SO_RCVBUFFORCE, 1);
	socket.bind(net.sockaddrNl({groups: 0x11}));
	return socket;
})()`;
const addresses = Array.from({length: 20}, (_, n) => `address add 10.9.9.${n}/32 dev one`).join('; ');

for (const [what, socket, change, errors] of [
	['frames, the interface goes down', frames, 'link set one down', ['ENETDOWN']],
	['frames, the interface is deleted', frames, 'link delete one', ['ENETDOWN']],
	['adverts, the interface goes down', adverts, 'link set one down', []],
	['adverts, the interface is deleted', adverts, 'link delete one', []],
	['events, more than there is room for', events, addresses, ['ENOBUFS']],
] as const) {
	privileged(`an error is heard once, and then there is silence: ${what}`, async t => {
		t.deepEqual(await heardAtTheEndOf(socket, change), {errors: [...errors], later: 0});
	});
}
