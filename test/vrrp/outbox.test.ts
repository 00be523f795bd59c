import test from 'ava';
import {NOTHING} from '../../src/vrrp/agent.js';
import {Outbox, type Taker} from '../../src/vrrp/outbox.js';
import type {FromVrrp} from '../../src/vrrp/protocol.js';

/** A daemon that reads as many messages as it is let. */
function daemon(room: number) {
	const read: FromVrrp[] = [];
	let left = room;
	const taker: Taker = message => {
		if (left === 0) return false;
		left--;
		return read.push(message) > 0;
	};
	const texts = () => read.map(message => (message.kind === 'log' ? message.text : message.kind));
	return {taker, texts, reads: (more: number) => (left += more)};
}

const line = (text: string): FromVrrp => ({kind: 'log', level: 'info', fields: {}, text});

test('everything comes in its order, when there is room', t => {
	const outbox = new Outbox();
	const {taker, texts, reads} = daemon(1);
	outbox.connect(taker);
	for (const text of ['a', 'b', 'c']) outbox.send(line(text));
	t.deepEqual(texts(), ['a']);
	reads(5);
	outbox.send(line('d'));
	outbox.flush();
	t.deepEqual(texts(), ['a', 'b', 'c', 'd']);
});

test('news wait for the next daemon; answers were for the one that has gone', t => {
	const outbox = new Outbox();
	outbox.connect(daemon(0).taker);
	outbox.send(line('before'));
	outbox.send({kind: 'configured'});
	outbox.disconnect();
	outbox.send(line('between'));
	outbox.send({kind: 'configured'});
	const {taker, texts} = daemon(10);
	outbox.connect(taker);
	t.deepEqual(texts(), ['before', 'between']);
});

test('the latest thousand wait, and how many were lost is said first', t => {
	const outbox = new Outbox();
	for (let n = 1; n <= 1500; n++) outbox.send(line(`${n}`));
	const {taker, texts} = daemon(2000);
	outbox.connect(taker);
	t.deepEqual(texts().slice(0, 2), ['500 messages of lbd-vrrp were lost while lbd did not read them', '501']);
	t.is(texts().length, 1001);
	outbox.send(line('and on'));
	t.is(texts().at(-1), 'and on');
});

test('of answers to one question only the latest waits', t => {
	const outbox = new Outbox();
	const {taker, texts, reads} = daemon(0);
	outbox.connect(taker);
	outbox.send(line('before'));
	for (let id = 1; id <= 3; id++) outbox.send({kind: 'status', id, status: {realTime: true, ...NOTHING}});
	reads(10);
	outbox.flush();
	t.deepEqual(texts(), ['before', 'status']);
});
