/** Backends that are reached by DR or in tunnels: they have the service's addresses, and answer past the balancer. */
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {Lab} from './lab.js';
import {run} from './run.js';
import {nodes, type WebServerName} from './topology.js';

const SOURCE = fileURLToPath(new URL('../../lab/tunnel-end.bpf.c', import.meta.url));
/**
 * Makes a web server such a backend: it has the addresses, on a device where nobody asks for them by ARP or NDP; it takes
 * packets out of tunnels; its answers go through the second balancer, which is a mere router here. It asks for segments
 * that leave room for outer headers, as nobody on the way can fragment them.
 */
export async function becomeTunnelEnd(lab: Lab, server: WebServerName, addresses: readonly string[]): Promise<void> {
	const object = join(lab.directory, `${server}-tunnel-end.bpf.o`);
	const triplet = (await run(['gcc', '-print-multiarch'])).trim();
	await run(['clang', '-O2', '-g', '-target', 'bpf', `-I/usr/include/${triplet}`, '-c', SOURCE, '-o', object]);
	await lab.run(server, 'ip', 'link', 'set', 'dev', 'eth0', 'xdp', 'obj', object, 'sec', 'xdp');
	for (const address of addresses) await lab.run(server, 'ip', 'address', 'add', address, 'dev', 'lo');
	for (const {network, address, address6} of nodes.lb2.nics) {
		if (network !== 'internal') continue;
		await lab.run(server, 'ip', 'route', 'replace', 'default', 'via', address, 'advmss', '1360');
		await lab.run(server, 'ip', 'route', 'replace', 'default', 'via', address6, 'advmss', '1340');
	}
}
