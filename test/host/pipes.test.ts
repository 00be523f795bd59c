import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {KernelError} from '../../src/errors.js';
import {realPipes} from '../../src/host/real/pipes.js';

const asRoot = process.getuid?.() === 0 ? test : test.skip;
if (process.getuid?.() !== 0) process.stderr.write('the owner of a pipe is not tested: needs root\n');

function pathIn(t: ExecutionContext): string {
	const directory = mkdtempSync(join(tmpdir(), 'pipes-'));
	t.teardown(() => rmSync(directory, {recursive: true}));
	return join(directory, 'fifo');
}

/** Of the account that the tests run as. */
function own(path: string, mode = 0o600) {
	const user = execFileSync('id', ['-un'], {encoding: 'utf8'}).trim();
	return {path, user, group: null, mode};
}

test('is made with its mode, takes lines for a reader that comes later, and is removed at the end', async t => {
	const path = pathIn(t);
	const pipe = realPipes.open(own(path, 0o640));
	t.is(statSync(path).mode & 0o7777, 0o640);
	t.true(pipe.write('one\n'));
	const reader = spawn('head', ['-n', '2', path], {stdio: ['ignore', 'pipe', 'inherit']});
	t.true(pipe.write('two\n'));
	const [output] = await once(reader.stdout, 'data');
	t.is(String(output), 'one\ntwo\n');
	await once(reader, 'exit');
	t.true(pipe.write('nobody reads any more\n'));
	pipe.close();
	t.false(existsSync(path));
});

test('a reader finds the end when the pipe is closed', async t => {
	const path = pathIn(t);
	const pipe = realPipes.open(own(path));
	const reader = spawn('cat', [path], {stdio: ['ignore', 'pipe', 'inherit']});
	const closed = once(reader, 'close');
	pipe.write('one\n');
	const [first] = await once(reader.stdout, 'data');
	t.is(String(first), 'one\n');
	pipe.close();
	t.deepEqual(await closed, [0, null]);
});

test('a pipe that nobody reads is full some day, and writing to it never waits', t => {
	const pipe = realPipes.open(own(pathIn(t)));
	const line = `${'x'.repeat(1023)}\n`;
	let lines = 0;
	while (pipe.write(line)) lines++;
	t.true(lines > 0);
	t.false(pipe.write(line));
	pipe.close();
});

test('one that is there already is used and stays', t => {
	const path = pathIn(t);
	execFileSync('mkfifo', ['-m', '622', path]);
	const pipe = realPipes.open(own(path));
	t.true(pipe.write('one\n'));
	pipe.close();
	t.is(statSync(path).mode & 0o7777, 0o622);
});

test('what is no pipe, a link to one, and a place that is not there are refused, and left alone', t => {
	const path = pathIn(t);
	writeFileSync(path, 'precious');
	const refusal = (path: string) => {
		const error = t.throws(() => realPipes.open(own(path)), {instanceOf: KernelError});
		return error?.message.replace(path, 'PATH');
	};
	t.is(refusal(path), 'open fifo: PATH: EINVAL (it is there, and is no named pipe)');
	t.is(readFileSync(path, 'utf8'), 'precious');
	symlinkSync(path, `${path}-link`);
	t.is(refusal(`${path}-link`), 'open fifo: PATH: ELOOP (it is a link)');
	t.regex(refusal(join(path, 'below')) ?? '', /^open fifo: PATH: ENOTDIR/);
	t.regex(refusal(`${path}/../none/fifo`) ?? '', /^open fifo: PATH: (ENOTDIR|ENOENT)/);
});

asRoot('is given to its owner; one whose owner does not exist is not left behind', t => {
	const path = pathIn(t);
	const pipe = realPipes.open({...own(path), user: 'nobody', group: 'daemon'});
	t.like(statSync(path), {uid: 65_534, gid: 1});
	pipe.close();
	t.throws(() => realPipes.open({...own(path), user: 'no-such-account'}), {
		message: /there is no user no-such-account/,
	});
	t.false(existsSync(path));
});
