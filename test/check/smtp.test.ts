import type {Socket} from 'node:net';
import test, {type ExecutionContext} from 'ava';
import type {Reason, Result} from '../../src/check/checker.js';
import {smtpChecker} from '../../src/check/smtp.js';
import type {SmtpCheck} from '../../src/conf/model.js';
import {lookFor, loopback, timed} from './model.js';
import {closedPort, dribble, listen} from './servers.js';

function smtpCheck(port: number, changes: Partial<SmtpCheck> = {}): SmtpCheck {
	return {kind: 'smtp', ...loopback(port), heloName: 'check.example.com', ...changes};
}

function look(port: number): Promise<Result> {
	return smtpChecker(smtpCheck(port)).check(lookFor());
}

/** A mail server that says `replies` one after the other: at first, and to each line. What it heard is in `heard`. */
async function mailServer(
	t: ExecutionContext,
	replies: readonly string[],
	say: (socket: Socket, text: string) => void = (socket, text) => void socket.write(text),
): Promise<{readonly port: number; readonly heard: string[]}> {
	const heard: string[] = [];
	const {port} = await listen(t, socket => {
		const left = [...replies];
		const next = () => {
			const reply = left.shift();
			if (reply === undefined) socket.end();
			else say(socket, reply);
		};
		socket.on('data', bytes => {
			heard.push(bytes.toString());
			next();
		});
		next();
	});
	return {port, heard};
}

const POLITE = ['220 mx.example.com ESMTP\r\n', '250 mx.example.com\r\n', '221 bye\r\n'];

test('passes with a server that greets, takes the HELO and says farewell', async t => {
	const {port, heard} = await mailServer(t, POLITE);
	t.deepEqual(await look(port), {ok: true});
	t.deepEqual(heard, ['HELO check.example.com\r\n', 'QUIT\r\n']);
});

const outcomes: readonly (readonly [string, readonly string[], Reason | null])[] = [
	[
		'replies of several lines',
		['220-mx\r\n220-no spam\r\n220 here\r\n', '250-mx\r\n250 SIZE\r\n', '221 bye\r\n'],
		null,
	],
	['a farewell that is only hanging up', POLITE.slice(0, 2), null],
	['a server that is full', ['421 try again later\r\n'], 'status'],
	['a server that does not like us', ['220 mx\r\n', '550 go away\r\n'], 'status'],
	['another protocol', ['SSH-2.0-OpenSSH_9.2\r\n'], 'malformed'],
	['garbage', ['\x00\xff\x13\n'], 'malformed'],
	['a reply without an end', ['2'.repeat(20_000)], 'malformed'],
	['hanging up at once', [], 'closed'],
	['hanging up after the greeting', ['220 mx\r\n'], 'closed'],
];
for (const [what, replies, reason] of outcomes) {
	test(`${what}: ${reason ?? 'passes'}`, async t => {
		const {port} = await mailServer(t, replies);
		const result = await look(port);
		t.is(result.ok ? null : result.reason, reason, JSON.stringify(result));
	});
}

test('what a server says is fit for a terminal', async t => {
	const {port} = await mailServer(t, ['\x1b[31m\u009bred\r\n']);
	const result = await look(port);
	t.is(result.ok ? '' : result.detail, String.raw`greeting: '\u{1b}[31mÂ\u{9b}red'`);
});

test('a closed port is refused', async t => {
	t.like(await look(await closedPort(t)), {ok: false, reason: 'refused'});
});

test('a server that hangs is given up, at every step', async t => {
	for (const replies of [[], POLITE.slice(0, 1), POLITE.slice(0, 2)]) {
		const left = [...replies];
		const {port} = await listen(t, socket => {
			const next = () => void socket.write(left.shift() ?? '');
			socket.on('data', next);
			next();
		});
		t.like(await timed(smtpChecker(smtpCheck(port, {connectTimeoutUs: 100_000}))), {ok: false, reason: 'timeout'});
	}
});

test('a server that answers byte by byte passes, unless it takes forever', async t => {
	const slowly = (ms: number) => (socket: Socket, text: string) => {
		if (text.startsWith('220')) void dribble(socket, `${text}250 mx\r\n`, ms);
	};
	const {port} = await mailServer(t, POLITE, slowly(1));
	t.deepEqual(await timed(smtpChecker(smtpCheck(port))), {ok: true});
	const slow = await mailServer(t, POLITE, slowly(50));
	const one = smtpCheck(slow.port, {connectTimeoutUs: 200_000});
	t.like(await timed(smtpChecker(one)), {ok: false, reason: 'timeout'});
});
