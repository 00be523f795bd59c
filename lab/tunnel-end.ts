/** Backends that are reached by DR or in tunnels: they have the service's addresses, and answer past the balancer. */
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {Lab} from './lab.js';
import {run} from './run.js';
import {nodes, type WebServerName} from './topology.js';

const SOURCE = fileURLToPath(new URL('../../lab/tunnel-end.bpf.c', import.meta.url));
/** Of the addresses of IPv6, which figure 17.3 does not have. */
export const ipv6Networks = {external: '2001:db8:1:', internal: 'fd00:'} as const;

/** Gives every node IPv6 addresses that end as its IPv4 addresses do, and the routes of its IPv4. */
export async function furnishIpv6(lab: Lab): Promise<void> {
	for (const {name, nics, forwards} of Object.values(nodes)) {
		if (forwards) await lab.run(name, 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
		for (const {device, network, address} of nics) {
			const last = address.split('.').at(-1);
			await lab.run(name, 'ip', 'address', 'add', `${ipv6Networks[network]}:${last}/64`, 'dev', device, 'nodad');
		}
	}
	await lab.run('client', 'ip', 'route', 'add', `${ipv6Networks.internal}:/64`, 'via', `${ipv6Networks.external}:11`);
}

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
	await lab.run(server, 'ip', 'route', 'replace', 'default', 'via', '10.0.0.11', 'advmss', '1360');
	await lab.run(server, 'ip', 'route', 'add', 'default', 'via', `${ipv6Networks.internal}:11`, 'advmss', '1340');
}
