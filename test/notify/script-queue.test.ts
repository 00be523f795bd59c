import {setImmediate} from 'node:timers/promises';
import test from 'ava';
import {Counts} from '../../src/notify/counts.js';
import {ScriptQueue} from '../../src/notify/script-queue.js';
import {FakeLog} from '../fake/log.js';
import {FakeScripts, script} from '../fake/scripts.js';

function setUp() {
	const scripts = new FakeScripts();
	const log = new FakeLog();
	const counts = new Counts();
	const queue = new ScriptQueue({scripts, log, counts, timeoutUs: () => 60_000_000});
	return {scripts, log, counts: () => counts.read().script, queue};
}

test('scripts of one event run together, those of the next one when all of them have ended', async t => {
	const {scripts, queue} = setUp();
	queue.add('VI_1', [script('master'), script('notify', 'MASTER')]);
	queue.add('VI_1', [script('backup'), script('notify', 'BACKUP')]);
	t.deepEqual(scripts.running(), ['master', 'notify MASTER']);
	scripts.ends('notify MASTER');
	await setImmediate();
	t.deepEqual(scripts.running(), ['master']);
	scripts.ends('master');
	await setImmediate();
	t.deepEqual(scripts.running(), ['backup', 'notify BACKUP']);
});

test('one subject does not wait for another', async t => {
	const {scripts, queue} = setUp();
	queue.add('VI_1', [script('a')]);
	queue.add('VI_2', [script('b')]);
	t.deepEqual(scripts.running(), ['a', 'b']);
});

test('scripts get the time that holds now, and no failure stops the next one', async t => {
	const {scripts, queue, log, counts} = setUp();
	for (const name of ['a', 'b', 'c', 'd']) queue.add('VI_1', [script(name)]);
	t.is(scripts.timeoutUs('a'), 60_000_000);
	scripts.ends('a', {kind: 'timeout'});
	await setImmediate();
	scripts.ends('b', {kind: 'exited', status: 3});
	await setImmediate();
	scripts.ends('c', {kind: 'failed', reason: 'there is no user x'});
	await setImmediate();
	scripts.ends('d');
	await setImmediate();
	t.deepEqual(log.take(), [
		'warn notify script a: took too long and was ended',
		'warn notify script b: exit status 3',
		'warn notify script c: not run: there is no user x',
	]);
	t.deepEqual(counts(), {delivered: 1, failed: 3, lost: 0});
});

test('behind a script that hangs, the latest sixteen events wait; older ones are lost, which is said and counted', async t => {
	const {scripts, queue, log, counts} = setUp();
	queue.add('VI_1', [script('hangs')]);
	for (let event = 1; event <= 18; event++) queue.add('VI_1', [script('event', String(event))]);
	t.is(counts().lost, 2);
	t.deepEqual(log.take(), Array(2).fill('error notify scripts are not run: too many wait'));
	scripts.ends('hangs');
	await setImmediate();
	t.deepEqual(scripts.running(), ['event 3']);
});

test('sixty-four subjects have something running; the others have their turn in order', async t => {
	const {scripts, queue} = setUp();
	for (let subject = 1; subject <= 66; subject++) {
		queue.add(`S${subject}`, [script('first', String(subject))]);
		queue.add(`S${subject}`, [script('second', String(subject))]);
	}
	t.is(scripts.running().length, 64);
	for (const first of [1, 2, 3]) scripts.ends(`first ${first}`);
	await setImmediate();
	t.deepEqual(scripts.started.slice(64), ['first 65', 'first 66', 'second 1']);
});

test('idle when the last one has ended', async t => {
	const {scripts, queue} = setUp();
	await queue.idle();
	queue.add('VI_1', [script('a')]);
	queue.add('VI_1', [script('b')]);
	let idle = false;
	const waited = queue.idle().then(() => {
		idle = true;
	});
	scripts.ends('a');
	await setImmediate();
	t.false(idle);
	scripts.ends('b');
	await waited;
	t.deepEqual(scripts.running(), []);
});

test('close drops what waits and ends what runs', async t => {
	const {scripts, queue, counts} = setUp();
	queue.add('VI_1', [script('a')]);
	queue.add('VI_1', [script('b')]);
	queue.close();
	await queue.idle();
	t.deepEqual(scripts.started, ['a']);
	t.deepEqual(counts(), {delivered: 0, failed: 1, lost: 1});
});
