import {execFileSync} from 'node:child_process';
import {chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {realFiles} from '../../src/host/real/files.js';

test('who may read a file, and what is none', t => {
	const directory = mkdtempSync(join(tmpdir(), 'lbd-files-'));
	t.teardown(() => rmSync(directory, {recursive: true}));
	const at = (name: string): string => join(directory, name);
	writeFileSync(at('key'), 'secret', {mode: 0o600});
	symlinkSync(at('key'), at('link'));
	execFileSync('mkfifo', [at('fifo')]);
	t.deepEqual(realFiles.read(at('link'), 6), Buffer.from('secret'));
	t.is(realFiles.read(at('key'), 5), 'too-large');
	t.is(realFiles.read(at('fifo'), 100), 'not-regular', 'and nobody waits for its other end');
	t.is(realFiles.read(directory, 100), 'not-regular');
	t.is(realFiles.read(at('gone'), 100), 'missing');
	t.false(realFiles.isExposed(at('link')));
	t.false(realFiles.isExposed(at('gone')));
	for (const mode of [0o640, 0o604, 0o602]) {
		chmodSync(at('key'), mode);
		t.true(realFiles.isExposed(at('key')), mode.toString(8));
	}
});
