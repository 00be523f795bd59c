import test from 'ava';
import {converse, type Speaker} from '../../src/check/conversation.js';
import {lookFor, loopback} from './model.js';
import {listen} from './servers.js';

const PATIENT: Speaker = {begin() {}, hear: () => undefined, end: () => ({ok: true})};

test('a speaker that breaks down fails its check, and nothing else', async t => {
	const {port} = await listen(t, socket => void socket.end('hello'));
	const broken = () => {
		throw new Error('broken');
	};
	for (const part of ['begin', 'hear', 'end'] as const) {
		const result = await converse(loopback(port), lookFor(), {...PATIENT, [part]: broken});
		t.deepEqual(result, {ok: false, reason: 'error', detail: 'Error: broken'}, part);
	}
});

test('a speaker is not asked again after its result', async t => {
	const {port} = await listen(t, socket => {
		socket.write('one');
		setTimeout(() => socket.end('two'), 20);
	});
	const heard: string[] = [];
	const hear = (bytes: Buffer) => {
		heard.push(bytes.toString());
		return {ok: true} as const;
	};
	t.deepEqual(await converse(loopback(port), lookFor(), {...PATIENT, hear}), {ok: true});
	await new Promise(resolve => setTimeout(resolve, 100));
	t.is(heard.length, 1, 'the rest came later, or with it');
});
