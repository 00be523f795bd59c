/** Values of the model in the form that the map layout wants. */
import type {Protocol} from '../conf/model.js';
import type {Backend} from '../xdp/layout.gen.js';
import {addressKey} from '../xdp/tables.js';

const PROTOCOL_NUMBER: Readonly<Record<Protocol, number>> = {tcp: 6, udp: 17, sctp: 132};

/** IP protocol number of a service. */
export function protocolNumber(protocol: Protocol): number {
	return PROTOCOL_NUMBER[protocol];
}

/** The link-layer way to an address: to which MAC, out of which NIC slot. */
export interface NextHop {
	readonly mac: Uint8Array;
	readonly nic: number;
	/** The address that the kernel would send from. */
	readonly source: string | null;
	/** Without a gateway between. */
	readonly isOnLink: boolean;
}

/** A word to put bytes into: a plan makes ten thousand of them. */
const WORD = new DataView(new ArrayBuffer(8));

/** The `next_hop` word of bpf/maps.h: the MAC's six bytes in frame order, then the NIC slot; 0 while unknown. */
export function nextHopWord(hop: NextHop | null): bigint {
	if (hop === null) return 0n;
	for (let index = 0; index < 6; index++) WORD.setUint8(index, hop.mac[index] ?? 0);
	WORD.setUint8(6, hop.nic);
	return WORD.getBigUint64(0, true);
}

/** The endpoint of a backend entry: equal for entries of several services that share one address and port. */
export function endpointKey(entry: Pick<Backend, 'addr' | 'family' | 'port' | 'proto'>, port = entry.port): string {
	return `${addressKey(entry)}:${port}/${entry.proto}`;
}
