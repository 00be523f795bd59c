import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {BpfError, BpfLink, BpfObject, type BpfProgram, isBpffs, mountBpffs} from 'libbpf-ts';
import {
	AF_INET,
	AF_PACKET,
	ETH_P_ALL,
	NetError,
	SOCK_DGRAM,
	SOCK_RAW,
	Socket,
	sockaddrIn,
	sockaddrLl,
} from 'libbpf-ts/net';

/** What interfaces.test.ts runs, in a process with a network and a mount namespace of its own: SCENARIO OBJECT. */

const LOOPBACK = 1;
const VETH = 77;
const LOCALHOST = Uint8Array.of(127, 0, 0, 1);

function ip(command: string): void {
	execFileSync('ip', command.split(' '));
}

function programsOf(path: string): (name: string) => BpfProgram {
	const object = BpfObject.open(path);
	object.load();
	return name => object.programs.get(name) ?? assert.fail(name);
}

/** A datagram to ourselves: whether it arrives, or XDP dropped it. */
function passes(): boolean {
	const socket = new Socket(AF_INET, SOCK_DGRAM, 0);
	try {
		socket.bind(sockaddrIn(LOCALHOST, 4000));
		socket.send(Uint8Array.of(1), sockaddrIn(LOCALHOST, 4000));
		return socket.receive() !== undefined;
	} finally {
		socket.close();
	}
}

/** The code of the error, or `none`. */
function code(action: () => unknown): string {
	try {
		action();
	} catch (error) {
		if (error instanceof BpfError || error instanceof NetError) return error.code;
		throw error;
	}
	return 'none';
}

function refused(expected: string, action: () => unknown): void {
	assert.equal(code(action), expected);
}

function attach(fixture: string): void {
	const program = programsOf(fixture);
	const [pass, drop] = [program('count_and_pass'), program('count_and_drop')];
	ip('link set lo up');
	assert.ok(passes());
	const link = BpfLink.attachXdp(drop, LOOPBACK, 'generic');
	assert.ok(!passes());
	assert.deepEqual({...link.info(), id: 0}, {id: 0, programId: drop.id, ifindex: LOOPBACK});
	refused('EBUSY', () => BpfLink.attachXdp(pass, LOOPBACK, 'generic'));
	link.update(pass);
	assert.ok(passes());
	assert.equal(link.info().programId, pass.id);
	link.update(drop);
	link.detach();
	assert.ok(passes());
	assert.equal(link.info().ifindex, 0);
	link.close();
	link.close();
	refused('EBADF', () => link.update(pass));
	refused('EINVAL', () => BpfLink.attachXdp(pass, 4242, 'generic'));
	refused('EOPNOTSUPP', () => BpfLink.attachXdp(pass, LOOPBACK, 'native'));
	pass.close();
	refused('EBADF', () => BpfLink.attachXdp(pass, LOOPBACK, 'generic'));

	ip(`link add sluice0 index ${VETH} type veth peer name sluice1`);
	const native = BpfLink.attachXdp(drop, VETH, 'native');
	assert.equal(native.info().programId, drop.id);
	native.close();
}

function pin(fixture: string): void {
	assert.ok(!isBpffs('/mnt'));
	mountBpffs('/mnt');
	assert.ok(isBpffs('/mnt'));
	const program = programsOf(fixture);
	ip('link set lo up');
	const link = BpfLink.attachXdp(program('count_and_drop'), LOOPBACK, 'generic');
	link.pin('/mnt/lo');
	link.close();
	assert.ok(!passes());
	const adopted = BpfLink.openPinned('/mnt/lo');
	adopted.update(program('count_and_pass'));
	assert.ok(passes());
	adopted.close();
	refused('ENOENT', () => mountBpffs('/nonexistent'));
}

/** libuv stops polling at an error of the socket; ours goes on. */
async function down(): Promise<void> {
	ip('link set lo up');
	const socket = new Socket(AF_PACKET, SOCK_RAW, 0);
	socket.bind(sockaddrLl({ifindex: LOOPBACK, protocol: ETH_P_ALL}));
	let wake = (): void => {};
	const outcomes: string[] = [];
	socket.onReadable(() => {
		outcomes.push(code(() => socket.receive()));
		wake();
	});
	const next = async (): Promise<string | undefined> => {
		if (outcomes.length === 0) await new Promise<void>(resolve => (wake = resolve));
		return outcomes.shift();
	};
	ip('link set lo down');
	assert.equal(await next(), 'ENETDOWN');
	ip('link set lo up');
	passes();
	assert.equal(await next(), 'none');
	socket.close();
}

const [scenario = '', fixture = ''] = process.argv.slice(2);
const scenarios: Readonly<Record<string, (fixture: string) => void | Promise<void>>> = {attach, pin, down};
await (scenarios[scenario] ?? assert.fail(`no scenario ${scenario}`))(fixture);
process.stdout.write('done\n');
