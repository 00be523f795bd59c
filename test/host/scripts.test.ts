import {chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {waitFor} from '../../lab/wait.js';
import type {Script} from '../../src/conf/model.js';
import {realScripts} from '../../src/host/real/scripts.js';

const PATIENT = {timeoutUs: 20_000_000};
const scripts = realScripts();

function script(argv: Script['argv'], changes: Partial<Script> = {}): Script {
	return {argv, user: null, group: null, secured: false, ...changes};
}

function shell(text: string, ...args: string[]): Script {
	return script(['/bin/sh', '-c', text, 'sh', ...args]);
}

/** A directory that every user may write to, gone when the test is. */
function openDirectory(t: ExecutionContext): string {
	const directory = mkdtempSync(join(tmpdir(), 'scripts-'));
	chmodSync(directory, 0o777);
	t.teardown(() => rmSync(directory, {recursive: true}));
	return directory;
}

test('tells how a script ended', async t => {
	t.deepEqual(await scripts.run(shell('exit 0'), PATIENT), {kind: 'exited', status: 0});
	t.deepEqual(await scripts.run(shell('exit 37'), PATIENT), {kind: 'exited', status: 37});
	t.deepEqual(await scripts.run(shell('kill -SEGV $$'), PATIENT), {kind: 'signalled', signal: 'SIGSEGV'});
});

test('hands over the arguments as they are, and looks for programs along PATH', async t => {
	const directory = openDirectory(t);
	await scripts.run(
		script(['sh', '-c', `printf '%s|' "$@" >${directory}/out`, 'sh', 'two words', '$HOME', '']),
		PATIENT,
	);
	t.is(readFileSync(join(directory, 'out'), 'utf8'), 'two words|$HOME||');
});

test('a script that is not there or is no program is not run, and why is said', async t => {
	const directory = openDirectory(t);
	const plain = join(directory, 'plain');
	writeFileSync(plain, 'no program', {mode: 0o644});
	t.like(await scripts.run(script([join(directory, 'none')]), PATIENT), {kind: 'failed'});
	t.regex(reasonOf(await scripts.run(script([join(directory, 'none')]), PATIENT)), /ENOENT/);
	t.regex(reasonOf(await scripts.run(script([plain]), PATIENT)), /EACCES/);
	t.regex(reasonOf(await scripts.run(script(['/bin/true\0']), PATIENT)), /null bytes/);
});

function reasonOf(end: Awaited<ReturnType<typeof scripts.run>>): string {
	return end.kind === 'failed' ? end.reason : end.kind;
}

test('runs as another user and group, without the groups of root', async t => {
	const directory = openDirectory(t);
	const asNobody = {...shell(`id -u >${directory}/user; id -G >${directory}/groups`), user: 'nobody'};
	t.deepEqual(await scripts.run(asNobody, PATIENT), {kind: 'exited', status: 0});
	t.is(readFileSync(join(directory, 'user'), 'utf8'), '65534\n');
	t.is(readFileSync(join(directory, 'groups'), 'utf8'), '65534\n');
	const inGroup = {...shell(`id -g >${directory}/group`), user: 'nobody', group: 'daemon'};
	t.deepEqual(await scripts.run(inGroup, PATIENT), {kind: 'exited', status: 0});
	t.is(readFileSync(join(directory, 'group'), 'utf8'), '1\n');
});

test('nobody runs as a user or group that does not exist', async t => {
	const none = 'no-such-account';
	t.deepEqual(await scripts.run({...shell('true'), user: none}, PATIENT), {
		kind: 'failed',
		reason: `there is no user ${none}`,
	});
	t.deepEqual(await scripts.run({...shell('true'), user: 'nobody', group: none}, PATIENT), {
		kind: 'failed',
		reason: `there is no group ${none}`,
	});
});

test('root runs with security only what nobody else can change', async t => {
	const directory = openDirectory(t);
	const path = join(directory, 'open');
	writeFileSync(path, '#!/bin/sh\n', {mode: 0o755});
	const open = script([path], {secured: true});
	t.regex(reasonOf(await scripts.run(open, PATIENT)), /does not let root run it: others can change/);
	t.deepEqual(await scripts.run({...open, user: 'nobody'}, PATIENT), {kind: 'exited', status: 0});
	t.deepEqual(await scripts.run({...open, secured: false}, PATIENT), {kind: 'exited', status: 0});
	t.deepEqual(await scripts.run(script(['/bin/true'], {secured: true}), PATIENT), {kind: 'exited', status: 0});
});

test('one that takes too long is ended, with all it has started', async t => {
	const directory = openDirectory(t);
	const pid = join(directory, 'pid');
	const end = await scripts.run(shell('sleep 600 & echo $! >"$1"; wait', pid), {timeoutUs: 2_000_000});
	t.deepEqual(end, {kind: 'timeout'});
	const sleeper = `/proc/${readFileSync(pid, 'utf8').trim()}/exe`;
	await waitFor('what it has started is gone', () => !existsSync(sleeper));
});

test('one that does not heed SIGTERM is killed', async t => {
	const before = performance.now();
	const end = await scripts.run(shell(`trap '' TERM; while :; do sleep 1; done`), {timeoutUs: 1_000_000});
	t.deepEqual(end, {kind: 'timeout'});
	t.true(performance.now() - before >= 3000);
});

test('ends a script early when it is told to', async t => {
	const stop = new AbortController();
	const ended = scripts.run(shell('sleep 600'), {...PATIENT, signal: stop.signal});
	stop.abort();
	t.deepEqual(await ended, {kind: 'timeout'});
	t.deepEqual(await scripts.run(shell('sleep 600'), {...PATIENT, signal: AbortSignal.abort()}), {kind: 'timeout'});
});
