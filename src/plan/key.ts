/** Values of the model in the form that the map layout wants. */
import type {Protocol} from '../conf/model.js';
import {bytesKey} from '../net/bytes.js';
import type {Backend} from '../xdp/layout.gen.js';

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

/** The `next_hop` word of bpf/maps.h: the MAC's six bytes in frame order, then the NIC slot; 0 while unknown. */
export function nextHopWord(hop: NextHop | null): bigint {
	if (hop === null) return 0n;
	const word = new DataView(new ArrayBuffer(8));
	hop.mac.forEach((byte, index) => {
		word.setUint8(index, byte);
	});
	word.setUint8(6, hop.nic);
	return word.getBigUint64(0, true);
}

/** The endpoint of a backend entry: equal for entries of several services that share one address and port. */
export function endpointKey(entry: Pick<Backend, 'addr' | 'family' | 'port' | 'proto'>, port = entry.port): string {
	return `${entry.family} ${bytesKey(entry.addr)}:${port}/${entry.proto}`;
}
