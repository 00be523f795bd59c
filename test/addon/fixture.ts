import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import test, {type ExecutionContext} from 'ava';
import {BpfError, BpfObject, type BpfProgram, mountBpffs, type RawMap} from 'libbpf-ts';

const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;
const CAP_SYS_ADMIN = 21n;

function capabilities(): bigint {
	const [, mask = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
	return BigInt(`0x${mask}`);
}

/** Registers a test that needs the kernel's permission; without it, the title of the skipped test says so. */
export function privileged(title: string, body: (t: ExecutionContext) => void | Promise<void>): void {
	const missing = [CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN].some(bit => (capabilities() & (1n << bit)) === 0n);
	if (missing) test.skip(`${title} [skipped: needs root, to load BPF and open raw sockets]`, body);
	else test.serial(title, body);
}

const folder = mkdtempSync(join(tmpdir(), 'libbpf-ts-'));
process.on('exit', () => rmSync(folder, {recursive: true, force: true}));

/** The path of a file that lies beside this one's source. */
export function beside(name: string): string {
	return fileURLToPath(new URL(`../../../test/addon/${name}`, import.meta.url));
}

/** Compiles `name.bpf.c` into an object file in the folder that is removed at the end. */
export function compile(name: string, source = beside(`${name}.bpf.c`)): string {
	const object = join(folder, `${name}.bpf.o`);
	const triplet = execFileSync('gcc', ['-print-multiarch'], {encoding: 'utf8'}).trim();
	const flags = ['-O2', '-g', '-Wall', '-target', 'bpf', '-mcpu=v3', `-I/usr/include/${triplet}`];
	execFileSync('clang', [...flags, '-c', source, '-o', object]);
	return object;
}

/** A path in the folder that is removed at the end. */
export function scratch(name: string): string {
	return join(folder, name);
}

/** Mounts a bpffs until the end of the test. */
export function mountedBpffs(t: ExecutionContext): string {
	const path = mkdtempSync(join(folder, 'bpffs-'));
	mountBpffs(path);
	t.teardown(() => execFileSync('umount', [path]));
	return path;
}

/** The fixture, loaded; closed at the end of the test. */
export function loaded(t: ExecutionContext, path: string): BpfObject {
	const object = BpfObject.open(path);
	t.teardown(() => object.close());
	object.load();
	return object;
}

export function mapOf(object: BpfObject, name: string): RawMap {
	const map = object.maps.get(name);
	if (map === undefined) throw new Error(`the fixture has no map ${name}`);
	return map;
}

export function programOf(object: BpfObject, name: string): BpfProgram {
	const program = object.programs.get(name);
	if (program === undefined) throw new Error(`the fixture has no program ${name}`);
	return program;
}

/** A number as a map of `__u32` keys wants it. */
export function u32Bytes(...values: readonly number[]): Uint8Array {
	return new Uint8Array(Uint32Array.from(values).buffer);
}

export function u64Bytes(...values: readonly bigint[]): Uint8Array {
	return new Uint8Array(BigUint64Array.from(values).buffer);
}

/** Makes and forgets things that hold a descriptor each: whether the garbage collector closes them. */
export async function areCollected(make: () => unknown): Promise<boolean> {
	setFlagsFromString('--expose-gc');
	const collect = runInNewContext('gc') as () => void;
	const descriptors = (): number => readdirSync('/proc/self/fd').length;
	const before = descriptors();
	for (let i = 0; i < 200; i++) make();
	for (let turn = 0; turn < 100 && descriptors() > before + 20; turn++) {
		collect();
		await new Promise(resolve => setImmediate(resolve));
	}
	return descriptors() <= before + 20;
}

/** The expectation for `t.throws`: a BpfError with this code whose message matches. */
export function refusal(code: string, message: RegExp): {instanceOf: typeof BpfError; code: string; message: RegExp} {
	return {instanceOf: BpfError, code, message};
}
