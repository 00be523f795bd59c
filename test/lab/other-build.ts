/** Another build of these programs, which does the same. */
import {appendFileSync, cpSync, mkdirSync, readdirSync, symlinkSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {Balancer} from '../../lab/balancer.js';
import {Daemon} from '../../lab/daemon.js';
import {sentences} from './observe.js';

/** A copy in which one file says something else, in a folder of its own; returns its `lbd`. */
export function otherBuild(directory: string): string {
	const root = fileURLToPath(new URL('../../../', import.meta.url));
	const copy = join(directory, 'other');
	mkdirSync(join(copy, 'build'), {recursive: true});
	cpSync(join(root, 'build/src'), join(copy, 'build/src'), {recursive: true});
	cpSync(join(root, 'bin'), join(copy, 'bin'), {recursive: true});
	const objects = readdirSync(join(root, 'build')).filter(file => file.endsWith('.bpf.o'));
	for (const file of objects) symlinkSync(join(root, 'build', file), join(copy, 'build', file));
	for (const file of ['package.json', 'node_modules']) symlinkSync(join(root, file), join(copy, file));
	appendFileSync(join(copy, 'build/src/version.js'), '// Another build.\n');
	return join(copy, 'bin/lbd');
}

/** Starts it in the place of a balancer's own; resolves when it is ready. */
export function startOtherBuild(lbd: string, balancer: Balancer, logFile: string): Promise<Daemon> {
	const before = sentences(balancer).length;
	return Daemon.start({
		name: 'another build of lbd',
		namespace: balancer.namespace,
		argv: [lbd, '--name', balancer.daemonName, '-f', balancer.configFile],
		logFile,
		isReady: () => sentences(balancer, before).includes('lbd is ready'),
	});
}
