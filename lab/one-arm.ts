import type {Lab} from './lab.js';
import {attachProgram} from './program.js';
import {namespaceOf} from './record.js';
import {type BalancerName, port, type SwitchName} from './topology.js';

/**
 * Lets a switch hear what a balancer sends back out of the NIC that it came by (XDP_TX). Between the ends of a veth pair,
 * such frames wait in the receiver's queue until something else wakes its NAPI, unless the receiver carries a program: the
 * kernel's veth_xdp_flush asks for one, where redirected frames are content with the NAPI that GRO gives.
 */
export async function hearTransmitted(lab: Lab, balancer: BalancerName, network: SwitchName): Promise<void> {
	const carrier = {namespace: namespaceOf(lab.id, 'switch'), device: port(balancer, network)};
	await attachProgram('pass.bpf.c', lab.directory, carrier);
}
