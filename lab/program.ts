/** Programs that machines of the laboratory carry, other than the balancer's own. */
import {basename, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {inside} from './namespace.js';
import {run} from './run.js';

export interface Carrier {
	readonly namespace: string;
	readonly device: string;
}

/** Compiles a program of this folder into a directory, and puts its section `xdp` on a NIC. */
export async function attachProgram(source: string, directory: string, {namespace, device}: Carrier): Promise<void> {
	const path = fileURLToPath(new URL(`../../lab/${source}`, import.meta.url));
	const object = join(directory, `${namespace}-${device}-${basename(source, '.c')}.o`);
	const triplet = (await run(['gcc', '-print-multiarch'])).trim();
	await run(['clang', '-O2', '-g', '-target', 'bpf', `-I/usr/include/${triplet}`, '-c', path, '-o', object]);
	await run([...inside(namespace), 'ip', 'link', 'set', 'dev', device, 'xdp', 'obj', object, 'sec', 'xdp']);
}
