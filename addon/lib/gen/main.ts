#!/usr/bin/env node
import {readFileSync, writeFileSync} from 'node:fs';
import {parseBtf} from './btf.js';
import {elfSection, FormatError} from './elf.js';
import {emit} from './emit.js';
import {type Layout, LayoutError, layoutOf, without} from './layout.js';

/**
 * btf-layout OBJECT OUTPUT [KNOWN]: writes the TypeScript types and codecs of the maps of a BPF object; of those that
 * another object, KNOWN, does not have, when the two share maps.
 */
function main(argv: readonly string[]): void {
	const [object, output, known, ...rest] = argv;
	if (object === undefined || output === undefined || rest.length > 0) {
		process.stderr.write('usage: btf-layout OBJECT.bpf.o OUTPUT.ts [KNOWN.bpf.o]\n');
		process.exitCode = 64;
		return;
	}
	try {
		const layout = readLayout(object);
		writeFileSync(output, emit(known === undefined ? layout : without(layout, readLayout(known)), object));
	} catch (error) {
		if (!isExpected(error)) throw error;
		process.stderr.write(`btf-layout: ${object}: ${error.message}\n`);
		process.exitCode = 1;
	}
}

function readLayout(object: string): Layout {
	return layoutOf(parseBtf(elfSection(readFileSync(object), '.BTF')));
}

/** What is wrong with the object or the file system, not with this program. */
function isExpected(error: unknown): error is Error {
	return error instanceof FormatError || error instanceof LayoutError || (error instanceof Error && 'syscall' in error);
}

main(process.argv.slice(2));
