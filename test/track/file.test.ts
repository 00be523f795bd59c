/** Numbers in real files. */
import {mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {realClock} from '../../src/host/real/clock.js';
import {realSmallFiles} from '../../src/host/real/small-files.js';
import {FileWatch, fileValue} from '../../src/track/file.js';
import {FakeLog} from '../fake/log.js';

for (const [text, value] of [
	['', 0],
	['7', 7],
	[' \n -12\n', -12],
	['+5 apples', 5],
	['0x1f', 31],
	['010', 8],
	['09', 9],
	['00', 0],
	['-0', 0],
	['apples', 0],
	['1000', 254],
	['-99999999999999999999', -254],
] as const) {
	test(`${JSON.stringify(text)} is ${value}`, t => {
		t.is(fileValue(text), value);
	});
}

const place = {file: 'keepalived.conf', line: 1, column: 1};

/** A file in a directory of its own, and the values that are found in it. */
function setUp(t: ExecutionContext, content: string | null) {
	const directory = mkdtempSync(join(tmpdir(), 'track-'));
	const path = join(directory, 'value');
	if (content !== null) writeFileSync(path, content);
	const values: number[] = [];
	const waiting = new Set<() => void>();
	const tracked = {place, name: 'load', path, initial: null};
	const watch = new FileWatch(tracked, {
		clock: realClock,
		files: realSmallFiles,
		log: new FakeLog(),
		isStart: true,
		onResult: value => {
			values.push(value);
			for (const check of waiting) check();
		},
	});
	t.timeout(20_000);
	t.teardown(() => {
		watch.stop();
		rmSync(directory, {recursive: true});
	});
	/** Resolves when so many values have been found. */
	const found = (count: number) =>
		new Promise<void>(resolve => {
			const check = (): void => {
				if (values.length < count) return;
				waiting.delete(check);
				resolve();
			};
			waiting.add(check);
			check();
		});
	return {directory, path, values, found};
}

test('the value at the start, and each one that is written, moved or deleted', async t => {
	const {directory, path, values, found} = setUp(t, '3\n');
	await found(1);
	writeFileSync(path, '-5\n');
	await found(2);
	writeFileSync(join(directory, 'new'), '9');
	renameSync(join(directory, 'new'), path);
	await found(3);
	rmSync(path);
	await found(4);
	writeFileSync(path, '1');
	await found(5);
	t.deepEqual(values, [3, -5, 9, 0, 1]);
});

test('a file that is not there is 0, and is found in a directory that comes later', async t => {
	const {directory, path, values, found} = setUp(t, null);
	await found(1);
	rmSync(directory, {recursive: true});
	const other = mkdtempSync(join(tmpdir(), 'track-'));
	writeFileSync(join(other, 'value'), '4');
	renameSync(other, directory);
	await found(2);
	t.deepEqual(values, [0, 4]);
	t.is(readFileSync(path, 'utf8'), '4');
});

test('the moment in which a writer has emptied the file is not a value', async t => {
	const {path, values, found} = setUp(t, '6');
	await found(1);
	for (let round = 0; round < 50; round++) writeFileSync(path, '6');
	writeFileSync(path, '7');
	await found(2);
	t.deepEqual(values, [6, 7]);
});

test('init_file writes what is not there, and overwrites at the start if it shall', async t => {
	const {directory, path} = setUp(t, null);
	const log = new FakeLog();
	/** What is found in a file that begins to be tracked. */
	const begin = (value: number, overwrite: boolean, isStart: boolean, to = path) =>
		new Promise<number>(resolve => {
			const setting = {clock: realClock, files: realSmallFiles, log, isStart, onResult: resolve};
			const watch = new FileWatch({place, name: 'load', path: to, initial: {value, overwrite}}, setting);
			t.teardown(() => watch.stop());
		});
	t.is(await begin(3, false, true), 3);
	t.is(readFileSync(path, 'utf8'), '3\n');
	t.is(await begin(4, false, true), 3);
	t.is(await begin(5, true, false), 3, 'a reload does not overwrite');
	t.is(await begin(5, true, true), 5);
	t.is(await begin(5, true, true, join(directory, 'no', 'file')), 0);
	t.regex(log.lines.join('\n'), /^warn Unable to initialise track file load: ENOENT/);
});
