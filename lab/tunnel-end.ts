/** Backends that are reached by DR or in tunnels: they have the service's addresses, and answer past the balancer. */
import type {Lab} from './lab.js';
import {attachProgram} from './program.js';
import {nodes, type WebServerName} from './topology.js';

/**
 * Makes a web server such a backend: it has the addresses, on a device where nobody asks for them by ARP or NDP; it takes
 * packets out of tunnels; its answers go through the second balancer, which is a mere router here. It asks for segments
 * that leave room for outer headers, as nobody on the way can fragment them.
 */
export async function becomeTunnelEnd(lab: Lab, server: WebServerName, addresses: readonly string[]): Promise<void> {
	const carrier = {namespace: lab.namespace(server), device: 'eth0'};
	await attachProgram('tunnel-end.bpf.c', lab.directory, carrier);
	for (const address of addresses) await lab.run(server, 'ip', 'address', 'add', address, 'dev', 'lo');
	for (const {network, address, address6} of nodes.lb2.nics) {
		if (network !== 'internal') continue;
		await lab.run(server, 'ip', 'route', 'replace', 'default', 'via', address, 'advmss', '1360');
		await lab.run(server, 'ip', 'route', 'replace', 'default', 'via', address6, 'advmss', '1340');
	}
}
