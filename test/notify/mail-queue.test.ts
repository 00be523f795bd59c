import {setImmediate} from 'node:timers/promises';
import test from 'ava';
import type {Mail, MailEnd, Mailer} from '../../src/host/host.js';
import {Counts} from '../../src/notify/counts.js';
import {MailQueue} from '../../src/notify/mail-queue.js';
import {FakeClock, seconds} from '../fake/clock.js';
import {FakeLog} from '../fake/log.js';

/** A server that does with each mail what the test says, when it says so. */
class FakeMailer implements Mailer {
	readonly tried: string[] = [];
	#settle: (end: MailEnd) => void = () => {};

	send(mail: Mail, signal: AbortSignal): Promise<MailEnd> {
		this.tried.push(mail.subject);
		return new Promise(resolve => {
			this.#settle = resolve;
			signal.addEventListener('abort', () => resolve({kind: 'failed', reason: 'broken off'}));
		});
	}

	/** Ends what is being sent. */
	async ends(end: MailEnd = {kind: 'sent'}): Promise<void> {
		this.#settle(end);
		await setImmediate();
	}
}

const DOWN: MailEnd = {kind: 'failed', reason: 'connect ECONNREFUSED'};

function mail(subject: string): Mail {
	return {
		server: {host: 'mail.example.com', port: 25},
		heloName: 'lb1',
		from: 'lb@example.com',
		to: ['ops@example.com'],
		subject,
		text: '=> text <=',
		timeoutUs: seconds(30),
	};
}

function setUp() {
	const clock = new FakeClock();
	const log = new FakeLog();
	const mailer = new FakeMailer();
	const counts = new Counts();
	return {clock, log, mailer, counts: () => counts.read().mail, queue: new MailQueue({mailer, clock, log, counts})};
}

test('one after the other, in order', async t => {
	const {mailer, queue, counts, clock} = setUp();
	for (const subject of ['a', 'b']) queue.add(mail(subject));
	t.deepEqual(mailer.tried, ['a']);
	await mailer.ends();
	t.deepEqual(mailer.tried, ['a', 'b']);
	await mailer.ends();
	t.is(counts().delivered, 2);
	t.deepEqual(clock.timers(), []);
});

test('a server that is down is tried again after 10 s and after 60 s; then the mail is given up', async t => {
	const {clock, log, mailer, queue, counts} = setUp();
	queue.add(mail('a'));
	queue.add(mail('b'));
	await mailer.ends(DOWN);
	clock.advance(seconds(9.9));
	t.deepEqual(mailer.tried, ['a']);
	clock.advance(seconds(0.1));
	await mailer.ends(DOWN);
	clock.advance(seconds(60));
	t.deepEqual(mailer.tried, ['a', 'a', 'a']);
	await mailer.ends(DOWN);
	t.deepEqual(log.take(), ['info mail not sent yet', 'info mail not sent yet', 'error mail not sent']);
	t.deepEqual(counts(), {delivered: 0, failed: 1, lost: 0});
	t.deepEqual(mailer.tried, ['a', 'a', 'a', 'b']);
});

test('a mail that is refused is not tried again', async t => {
	const {mailer, queue, counts} = setUp();
	queue.add(mail('a'));
	queue.add(mail('b'));
	await mailer.ends({kind: 'refused', reason: '550 no such user'});
	t.deepEqual(mailer.tried, ['a', 'b']);
	t.is(counts().failed, 1);
});

test('a server that never comes to an end is left after five timeouts', async t => {
	const {clock, mailer, queue} = setUp();
	queue.add(mail('a'));
	clock.advance(seconds(149));
	await setImmediate();
	t.deepEqual(clock.timers(), ['mail']);
	clock.advance(seconds(1));
	await setImmediate();
	t.deepEqual(clock.timers(), ['mail again']);
	t.deepEqual(mailer.tried, ['a']);
});

test('256 mails wait; what comes then is lost, which is said and counted', async t => {
	const {log, queue, counts} = setUp();
	for (let count = 0; count < 1 + 256 + 3; count++) queue.add(mail(String(count)));
	t.is(counts().lost, 3);
	t.deepEqual(log.take(), Array(3).fill('error mail not sent'));
});

test('at the end, what waits is tried once and nothing again', async t => {
	const {clock, mailer, queue, counts} = setUp();
	queue.add(mail('a'));
	queue.add(mail('b'));
	await mailer.ends(DOWN);
	const idle = queue.idle();
	t.deepEqual(mailer.tried, ['a', 'b']);
	await mailer.ends(DOWN);
	await idle;
	t.deepEqual(counts(), {delivered: 0, failed: 2, lost: 0});
	t.deepEqual(clock.timers(), []);
});

test('close breaks off what is being sent and drops what waits', async t => {
	const {clock, queue, counts} = setUp();
	queue.add(mail('a'));
	queue.add(mail('b'));
	queue.close();
	await setImmediate();
	t.deepEqual(counts(), {delivered: 0, failed: 1, lost: 1});
	t.deepEqual(clock.timers(), []);
});
