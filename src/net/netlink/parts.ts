/** What the messages of all of rtnetlink's tables have in common. */
import {family, formatAddress} from '../address.js';
import {concatBytes, type Decoded, LITTLE_ENDIAN, viewOf} from '../bytes.js';
import {type Attributes, decodeAttributes, encodeAttribute, type NetlinkMessage} from './message.js';

export const AF_INET = 2;
export const AF_INET6 = 10;

/** Why an answer is not understood. `other-family`: bridge ports and the like, which are none of our business. */
export type RouteReason = 'bad-length' | 'missing-attribute' | 'other-family';

/** The fixed header of a message, and the attributes behind it. */
export function split(
	message: NetlinkMessage,
	headerLength: number,
): Decoded<{header: DataView; attributes: Attributes}, 'bad-length'> {
	if (message.body.length < headerLength) return {ok: false, reason: 'bad-length'};
	const attributes = decodeAttributes(message.body.subarray(headerLength));
	if (attributes === undefined) return {ok: false, reason: 'bad-length'};
	return {ok: true, value: {header: viewOf(message.body), attributes}};
}

export function kernelFamily(address: string): number {
	return family(address) === 4 ? AF_INET : AF_INET6;
}

/** Length in bytes of the addresses of a family, as the kernel numbers it. */
export function addressLength(kernelFamilyNumber: number): 4 | 16 | undefined {
	if (kernelFamilyNumber === AF_INET) return 4;
	return kernelFamilyNumber === AF_INET6 ? 16 : undefined;
}

export function addressText(bytes: Uint8Array | undefined, length: 4 | 16 | undefined): string | undefined {
	return bytes !== undefined && bytes.length === length ? formatAddress(bytes) : undefined;
}

/** A gateway of another family than the destination: 2 bytes of family before it (`struct rtvia`). */
export function viaText(via: Uint8Array | undefined): string | undefined {
	if (via === undefined || via.length < 2) return undefined;
	return addressText(via.subarray(2), addressLength(viewOf(via).getUint16(0, LITTLE_ENDIAN)));
}

/** The attribute, if there is something to say. */
export function optionalAttribute<V>(type: number, value: V | null, encode: (value: V) => Uint8Array): Uint8Array {
	return value === null ? new Uint8Array() : encodeAttribute(type, encode(value));
}

/** Attributes within an attribute. */
export function nested(type: number, ...attributes: readonly Uint8Array[]): Uint8Array {
	const value = concatBytes(...attributes);
	return value.length === 0 ? value : encodeAttribute(type, value);
}
