import {execFile} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {basename, dirname} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test from 'ava';
import {beside, compile, scratch} from './fixture.js';

const MAIN = fileURLToPath(new URL('../../../addon/dist/gen/main.js', import.meta.url));
/** To renew it: `node addon/dist/gen/main.js fixture.bpf.o test/addon/fixture.gen.ts` where the object is. */
const GOLDEN = beside('fixture.gen.ts');

/** Runs the command in the object's folder, so that the output does not depend on where that is. */
async function generate(object: string, output: string): Promise<{code: number; stdout: string; stderr: string}> {
	const argv = [MAIN, basename(object), output];
	return promisify(execFile)(process.execPath, argv, {cwd: dirname(object)}).then(
		({stdout, stderr}) => ({code: 0, stdout, stderr}),
		({code, stdout, stderr}) => ({code, stdout, stderr}),
	);
}

/** hidden.bpf.c with a change. */
function compileVariant(name: string, change: (source: string) => string): string {
	const source = readFileSync(beside('hidden.bpf.c'), 'utf8');
	const path = scratch(`${name}.bpf.c`);
	writeFileSync(path, change(source));
	return compile(name, path);
}

test('writes what is committed, and nothing else', async t => {
	const output = scratch('fixture.gen.ts');
	t.deepEqual(await generate(compile('fixture'), output), {code: 0, stdout: '', stderr: ''});
	t.is(readFileSync(output, 'utf8'), readFileSync(GOLDEN, 'utf8'));
});

test('refuses hidden padding by struct and offset', async t => {
	const {code, stderr} = await generate(compile('hidden'), scratch('hidden.ts'));
	t.is(code, 1);
	t.is(
		stderr,
		'btf-layout: hidden.bpf.o: struct leaky_key: 3 hidden bytes at offset 5, before its end: add a pad member\n',
	);
});

const REFUSED: readonly (readonly [title: string, members: string, message: RegExp])[] = [
	['padding between members', '__u8 proto; __u32 addr;', /3 hidden bytes at offset 1, before addr/],
	['bit fields', '__u32 a : 3; __u32 b : 29;', /struct leaky_key: a: bit fields are not supported/],
	['unions', 'union { __u32 a; __u8 b[4]; } either;', /struct leaky_key: either: a union cannot be expressed/],
	['pointers', 'void *where;', /struct leaky_key: where: a pointer cannot be expressed/],
	['bool', '_Bool yes;', /struct leaky_key: yes: bool/],
	['structs without a name', 'struct { __u32 a; } inner;', /struct leaky_key: inner: a struct without a name/],
];

for (const [title, members, message] of REFUSED)
	test(`refuses ${title}`, async t => {
		const name = `refuses-${title.replaceAll(' ', '-')}`;
		const object = compileVariant(name, source => source.replace('__u32 addr;\n\t__u8 proto;', members));
		const {code, stderr} = await generate(object, scratch('refused.ts'));
		t.is(code, 1);
		t.regex(stderr, message);
	});

test('refuses two names that become one', async t => {
	const object = compileVariant('clash', source =>
		source.replaceAll('leaky_key', 'map_layout').replace('__u8 proto', '__u32 proto'),
	);
	t.regex((await generate(object, scratch('clash.ts'))).stderr, /two things would be called MapLayout: rename one/);
});

test('refuses what is no object, at any length', async t => {
	const object = readFileSync(compile('fixture'));
	const cut = scratch('cut.o');
	for (const length of [0, 10, 63, 64, 100, 2000, object.length - 1]) {
		writeFileSync(cut, object.subarray(0, length));
		const {code, stderr} = await generate(cut, scratch('cut.ts'));
		t.is(code, 1, `${length} bytes`);
		t.regex(stderr, /^btf-layout: cut\.o: .*\n$/, `${length} bytes`);
	}
});

test('names a file that is missing, and says how to use it', async t => {
	const {code, stderr} = await generate(scratch('none.o'), scratch('none.ts'));
	t.is(code, 1);
	t.regex(stderr, /^btf-layout: none\.o: ENOENT/);
	const usage = await t.throwsAsync(promisify(execFile)(process.execPath, [MAIN]));
	t.like(usage, {code: 64, stderr: 'usage: btf-layout OBJECT.bpf.o OUTPUT.ts [KNOWN.bpf.o]\n'});
});
