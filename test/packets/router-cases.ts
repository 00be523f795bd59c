/** Golden frames to the MAC addresses of virtual routers, of either family (RFC 9568, 7.3). */
import {RouterRole} from '../../src/xdp/layout.gen.js';
import {type Balancer, XDP} from './balancer.js';
import type {Case} from './cases.js';
import {mac} from './frame.js';

/** `router`: what this machine is part of; `strangers`: what it is not; `syn`: a SYN to a service, and `out` what becomes of it. */
export function routerCases({
	router,
	strangers,
	syn,
	out,
}: {
	readonly router: string;
	readonly strangers: readonly string[];
	readonly syn: (b: Balancer) => Uint8Array;
	readonly out: NonNullable<Case['out']>;
}): readonly Case[] {
	const to = (address: string) => (b: Balancer) => {
		const frame = syn(b);
		frame.set(mac(address));
		return frame;
	};
	return [
		{
			description: 'to the MAC address of a virtual router, as its master',
			verdict: 'V_FORWARD_NEW',
			prepare: b => b.setRole(router, RouterRole.ROUTER_MASTER),
			frame: to(router),
			out,
			action: XDP.redirect,
		},
		{
			description: 'to the MAC address of a virtual router, as its backup',
			verdict: 'V_DROP_BACKUP',
			prepare: b => b.setRole(router, RouterRole.ROUTER_BACKUP),
			frame: to(router),
		},
		...strangers.map(
			(stranger): Case => ({
				description: `to ${stranger}, a stranger`,
				verdict: 'V_PASS_OTHER_MAC',
				prepare: b => b.setRole(router, RouterRole.ROUTER_MASTER),
				frame: to(stranger),
			}),
		),
	];
}
