import test from 'ava';
import type {Result} from '../../src/check/checker.js';
import {miscChecker} from '../../src/check/misc.js';
import type {MiscCheck} from '../../src/conf/model.js';
import {realScripts} from '../../src/host/real/scripts.js';
import {realSmallFiles} from '../../src/host/real/small-files.js';
import {rhythm, timed} from './model.js';

const means = {scripts: realScripts(), smallFiles: realSmallFiles};

function run(text: string, changes: Partial<MiscCheck> = {}): Promise<Result> {
	const one: MiscCheck = {
		kind: 'misc',
		...rhythm(),
		script: {argv: ['/bin/sh', '-c', text], user: null, group: null, secured: false},
		timeoutUs: 20_000_000,
		dynamic: false,
		...changes,
	};
	return timed(miscChecker(one, means));
}

test('passes with exit status 0, and fails with every other', async t => {
	t.deepEqual(await run('exit 0'), {ok: true, weight: null});
	t.deepEqual(await run('exit 1'), {ok: false, reason: 'status', detail: 'exit status 1'});
	t.deepEqual(await run('exit 2'), {ok: false, reason: 'status', detail: 'exit status 2'});
	t.deepEqual(await run('kill -KILL $$'), {ok: false, reason: 'status', detail: 'ended by SIGKILL'});
});

test('misc_dynamic: an exit status from 2 on tells the weight', async t => {
	t.deepEqual(await run('exit 0', {dynamic: true}), {ok: true, weight: null});
	t.like(await run('exit 1', {dynamic: true}), {ok: false, reason: 'status'});
	t.deepEqual(await run('exit 2', {dynamic: true}), {ok: true, weight: {to: 0}});
	t.deepEqual(await run('exit 255', {dynamic: true}), {ok: true, weight: {to: 253}});
});

test('a script that hangs fails after misc_timeout', async t => {
	t.like(await run('exec sleep 600', {timeoutUs: 100_000}), {ok: false, reason: 'timeout'});
	t.like(await run(`trap '' TERM; while :; do sleep 1; done`, {timeoutUs: 100_000}), {ok: false, reason: 'timeout'});
});

test('a script that cannot be run says nothing about its backend', async t => {
	const script = {argv: ['/no/such/script'], user: null, group: null, secured: false} as const;
	t.like(await run('', {script}), {ok: false, reason: 'not-made'});
});
