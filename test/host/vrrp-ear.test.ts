/** The ear of lbd-vrrp, on a real socket, and who must not be listened to. */
import {mkdtempSync, rmSync, statSync} from 'node:fs';
import {connect, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {VrrpEar} from '../../src/host/real/vrrp-ear.js';
import {parseToVrrp} from '../../src/vrrp/protocol.js';

const HELLO = '{"kind":"hello"}\n';
const PATIENCE_MS = 8000;
/** What is read of a socket at a time (libuv, stream.c). */
const PIECE_BYTES = 65_536;

/** What the ear has heard, in order: `connected`, the kinds of messages, `disconnected`. */
class Ear {
	readonly heard: string[] = [];
	readonly path: string;
	send: (message: object) => boolean = () => false;
	readonly #ear = new VrrpEar({
		connected: send => {
			this.send = send;
			this.heard.push('connected');
		},
		message: said => {
			const message = parseToVrrp(said);
			if (message !== null) this.heard.push(message.kind);
			return message !== null;
		},
		drained: () => this.heard.push('drained'),
		disconnected: () => this.heard.push('disconnected'),
	});

	constructor(directory: string) {
		this.path = join(directory, 'ear');
	}

	static async open(t: ExecutionContext): Promise<Ear> {
		const directory = mkdtempSync(join(tmpdir(), 'ear-'));
		const ear = new Ear(directory);
		await ear.#ear.listen(ear.path);
		t.teardown(() => {
			ear.#ear.close();
			rmSync(directory, {recursive: true});
		});
		return ear;
	}

	/** Somebody who connects and says something. */
	visitor(t: ExecutionContext, says: string | Uint8Array, {listens = true} = {}): Visitor {
		const visitor = new Visitor(this.path, says);
		if (listens) visitor.listen();
		t.teardown(() => visitor.leave());
		return visitor;
	}

	async hears(count: number): Promise<readonly string[]> {
		for (const end = performance.now() + PATIENCE_MS; this.heard.length < count; ) {
			if (performance.now() > end) throw new Error(`heard only ${this.heard.join(', ')}`);
			await new Promise(resolve => setTimeout(resolve, 5));
		}
		return this.heard;
	}
}

class Visitor {
	readonly #socket: Socket;
	/** Resolves when it has been sent away. */
	readonly ended: Promise<void>;

	constructor(path: string, says: string | Uint8Array) {
		this.#socket = connect(path);
		this.ended = new Promise(resolve => this.#socket.once('close', () => resolve()));
		this.#socket.on('error', () => {});
		this.say(says);
	}

	say(text: string | Uint8Array): void {
		this.#socket.write(text);
	}

	/** Takes what it is told, from now on. */
	listen(): void {
		this.#socket.resume();
	}

	leave(): void {
		this.#socket.destroy();
	}
}

test.serial('root alone may come; who says hello is the daemon', async t => {
	const ear = await Ear.open(t);
	t.is(statSync(ear.path).mode & 0o777, 0o600);
	const visitor = ear.visitor(t, `${HELLO}{"kind":"status","id":1}\n`);
	await ear.hears(2);
	visitor.leave();
	t.deepEqual(await ear.hears(3), ['connected', 'status', 'disconnected']);
});

test.serial('a second hello waits until the first daemon is gone, and is not heard before', async t => {
	const ear = await Ear.open(t);
	const first = ear.visitor(t, HELLO);
	await ear.hears(1);
	const second = ear.visitor(t, HELLO);
	first.say('{"kind":"status","id":1}\n');
	await ear.hears(2);
	first.leave();
	t.deepEqual(await ear.hears(4), ['connected', 'status', 'disconnected', 'connected']);
	second.say('{"kind":"stop"}\n');
	t.is((await ear.hears(5)).at(-1), 'stop');
});

test.serial('who says hello while the daemon lives is sent away in the end, and the daemon stays', async t => {
	const ear = await Ear.open(t);
	const first = ear.visitor(t, HELLO);
	await ear.hears(1);
	await ear.visitor(t, HELLO).ended;
	first.say('{"kind":"status","id":1}\n');
	t.deepEqual(await ear.hears(2), ['connected', 'status']);
});

const strangers: Readonly<Record<string, string | Uint8Array>> = {
	nothing: '',
	garbage: Uint8Array.from({length: 1000}, (_, n) => (n * 7919) & 0xff),
	'half a message': '{"kind":"hel',
	'a number': '1\n',
	null: 'null\n',
	'a list': '[]\n',
	'something else than hello first': '{"kind":"stop"}\n',
	'a hello without end': `{"kind":"hello","x":"${'x'.repeat(1000)}"}\n`,
	'a hello that waits, and then more': `${HELLO}{"kind":"stop"}\n`,
};

test.serial('who says anything else is sent away, and the daemon hears nothing of it', async t => {
	const ear = await Ear.open(t);
	const daemon = ear.visitor(t, HELLO);
	await ear.hears(1);
	for (const says of Object.values(strangers)) await ear.visitor(t, says).ended;
	daemon.say('{"kind":"status","id":1}\n');
	t.deepEqual(await ear.hears(2), ['connected', 'status']);
});

test.serial('thousands of connections at once: the daemon is heard through them', async t => {
	const ear = await Ear.open(t);
	const daemon = ear.visitor(t, HELLO);
	await ear.hears(1);
	const crowd = Array.from({length: 2000}, () => ear.visitor(t, '{"kind":"stop"}\n'));
	daemon.say('{"kind":"status","id":1}\n');
	await Promise.all(crowd.map(({ended}) => ended));
	t.deepEqual(await ear.hears(2), ['connected', 'status']);
});

test.serial('a daemon that talks without end: timers get their turn after each piece', async t => {
	const ear = await Ear.open(t);
	const daemon = ear.visitor(t, HELLO);
	await ear.hears(1);
	const message = '{"kind":"status","id":1}\n';
	daemon.say(message.repeat(200_000));
	let mostInOneGo = 0;
	for (let before = ear.heard.length; before < 200_001; before = ear.heard.length) {
		await new Promise(resolve => setImmediate(resolve));
		mostInOneGo = Math.max(mostInOneGo, ear.heard.length - before);
	}
	t.true(mostInOneGo <= Math.ceil(PIECE_BYTES / message.length), `${mostInOneGo} messages in one go`);
});

test.serial('a daemon that does not read is told so much and no more', async t => {
	const ear = await Ear.open(t);
	const daemon = ear.visitor(t, HELLO, {listens: false});
	await ear.hears(1);
	const line = {text: 'x'.repeat(10_000)};
	let taken = 0;
	while (ear.send(line)) if (++taken > 1000) break;
	t.true(taken > 50 && taken < 300, `${taken} messages of 10 kB`);
	daemon.listen();
	t.is((await ear.hears(2)).at(-1), 'drained');
	t.true(ear.send(line));
});
