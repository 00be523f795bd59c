/** Directories with the compiled objects of other versions: of earlier ones as they were, and of others made from today's sources. */
import {execFileSync} from 'node:child_process';
import {cpSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {brotliDecompressSync} from 'node:zlib';
import {scratch} from '../addon/fixture.js';
import {OBJECTS} from './other-version.js';

/** The directory of a version that is kept beside this file. */
export function kept(name: string): string {
	const directory = scratch(name);
	mkdirSync(directory, {recursive: true});
	for (const object of Object.values(OBJECTS)) {
		const file = fileURLToPath(new URL(`../../../test/xdp/${name}/${object}.br`, import.meta.url));
		writeFileSync(join(directory, object), brotliDecompressSync(readFileSync(file)));
	}
	return directory;
}

type Edit = readonly [file: string, from: string, to: string];

/** The directory of the present version with its sources changed: each edit must find what it replaces. */
export function edited(name: string, edits: readonly Edit[]): string {
	const directory = scratch(name);
	cpSync('bpf', directory, {recursive: true});
	for (const [file, from, to] of edits) {
		const path = join(directory, file);
		const source = readFileSync(path, 'utf8');
		if (!source.includes(from)) throw new Error(`${file} has no ${from}`);
		writeFileSync(path, source.replace(from, to));
	}
	const triplet = execFileSync('gcc', ['-print-multiarch'], {encoding: 'utf8'}).trim();
	const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-std=gnu11', '-fno-strict-aliasing'];
	for (const [family, object] of Object.entries(OBJECTS)) {
		const target = [`-DFAMILY=${family}`, `-I/usr/include/${triplet}`, '-c', join(directory, 'lb.bpf.c')];
		execFileSync('clang', [...flags, ...target, '-o', join(directory, object)], {
			stdio: ['ignore', 'ignore', 'inherit'],
		});
	}
	return directory;
}

/** To a version with a map of its own, and with fields that are new or elsewhere in others. */
export const NEWER: readonly Edit[] = [
	['maps.h', '#define LAYOUT_VERSION', '#define LAYOUT_VERSION 9000 + '],
	['maps.h', 'struct backend {', 'struct backend {\n\t__u64 novelty;'],
	[
		'maps.h',
		'struct ticket {\n\t__u64 next;\n\t__u64 pad[7];',
		'struct ticket {\n\t__u64 novelty;\n\t__u64 next;\n\t__u64 pad[6];',
	],
	['maps.h', '/* by CPU */', 'HASH(novelties, 16, __u32, __u32);\n/* by CPU */'],
];
