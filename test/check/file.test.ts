import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import type {Checker, Result} from '../../src/check/checker.js';
import {fileChecker} from '../../src/check/file.js';
import {realScripts} from '../../src/host/real/scripts.js';
import {realSmallFiles} from '../../src/host/real/small-files.js';
import {lookFor, rhythm} from './model.js';

const directory = mkdtempSync(join(tmpdir(), 'track-file-'));
test.after.always(() => rmSync(directory, {recursive: true}));

const means = {scripts: realScripts(), smallFiles: realSmallFiles};

function checker(path: string, weight: number): Checker {
	return fileChecker({kind: 'file', ...rhythm(), path, weight}, means);
}

let files = 0;
function look(content: string | null, weight: number): Promise<Result> {
	const path = join(directory, `${files++}`);
	if (content !== null) writeFileSync(path, content);
	return checker(path, weight).check(lookFor());
}

test('the number in the file, times the weight, is added to that of the backend', async t => {
	t.deepEqual(await look('5\n', 1), {ok: true, weight: {by: 5}});
	t.deepEqual(await look(' -5 of them', 3), {ok: true, weight: {by: -15}});
	t.deepEqual(await look('7', -2), {ok: true, weight: {by: -14}});
});

test('with weight 0 any number but 0 means down', async t => {
	t.deepEqual(await look('0', 0), {ok: true});
	t.like(await look('1', 0), {ok: false, reason: 'status'});
});

test('what is not there or no number is 0', async t => {
	for (const content of [null, '', 'garbage', '\x00\xff', '- 5']) t.true(((await look(content, 0)) as Result).ok);
	t.true((await checker(directory, 0).check(lookFor())).ok);
});

test('a change by more than any weight takes the backend out', async t => {
	t.like(await look('-9999999999', 1), {ok: false, reason: 'status'});
	t.deepEqual(await look('-2147483646', 1), {ok: true, weight: {by: -2_147_483_646}});
});

test('a file is read only at its beginning', async t => {
	t.deepEqual(await look(`3${' '.repeat(1e6)}`, 1), {ok: true, weight: {by: 3}});
});

test('a pipe that nobody writes to is 0, too, and keeps nobody waiting', async t => {
	const path = join(directory, 'pipe');
	execFileSync('mkfifo', [path]);
	const all = Array.from({length: 16}, () => checker(path, 0).check(lookFor()));
	t.true((await Promise.all(all)).every(({ok}) => ok));
});
