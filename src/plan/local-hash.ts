/** The hash of local endpoints, exactly as bpf/maps.h defines it: the program and the plan must agree on every bit. */
import {type FilterSide, maps} from '../xdp/layout.gen.js';
import {BITS_PER_PLACE} from '../xdp/tables.js';

/** An address (4 or 16 bytes) and port, in host order, as the map layout has them. */
export interface LocalEndpoint {
	readonly addr: Uint8Array;
	readonly port: number;
	readonly proto: number;
}

const ENDPOINT_BUCKETS = BigInt(maps.endpoints.maxEntries);

/** address_number() of bpf/address.h. */
function addressNumber(addr: Uint8Array): bigint {
	const byte = (index: number): number => addr[index] ?? 0;
	if (addr.length === 4) return BigInt((byte(0) | (byte(1) << 8) | (byte(2) << 16) | (byte(3) << 24)) >>> 0) << 32n;
	const view = new DataView(addr.buffer, addr.byteOffset, addr.byteLength);
	const network = BigInt.asUintN(64, view.getBigUint64(0, true) * 0xc2b2ae3d27d4eb4fn);
	return BigInt.asUintN(64, (network ^ view.getBigUint64(8, true)) * 0x9fb21c651e98df25n);
}

/** local_hash() of bpf/maps.h. */
export function localHash({addr, port, proto}: LocalEndpoint): bigint {
	const key = addressNumber(addr) ^ ((BigInt(proto) << 16n) | BigInt(swap16(port)));
	return BigInt.asUintN(64, key * 0x9e3779b97f4a7c15n);
}

function scattered(hash: bigint): bigint {
	return BigInt.asUintN(64, (hash ^ (hash >> 32n)) * 0xd6e8feb86659fd93n);
}

/** ring_hash() of bpf/maps.h. */
export function ringHash({addr, port}: Omit<LocalEndpoint, 'proto'>): bigint {
	const hash = scattered(localHash({addr, port, proto: 0}));
	const mixed = BigInt.asUintN(64, (hash ^ (hash >> 29n)) * 0x9e3779b97f4a7c15n);
	return mixed ^ (mixed >> 32n);
}

/** Position of an endpoint's bit in the filter. */
export function filterBit(side: FilterSide, hash: bigint): number {
	return Number(hash >> 50n) * BITS_PER_PLACE + Math.log2(side);
}

/** The bucket of the `endpoints` map that an endpoint belongs to. */
export function endpointBucket(hash: bigint): number {
	return Number((scattered(hash) >> 35n) & (ENDPOINT_BUCKETS - 1n));
}

/** The number that the same bytes are on a little-endian machine. */
function swap16(value: number): number {
	return ((value & 0xff) << 8) | (value >>> 8);
}
