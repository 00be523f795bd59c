/**
 * The Internet checksum (RFC 1071) over the parts as if they were one. All parts but the last have an even length.
 * Over bytes that contain their own correct checksum it is 0.
 */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
	let sum = 0;
	for (const part of parts) {
		for (let index = 0; index < part.length; index += 2) {
			sum += ((part[index] ?? 0) << 8) | (part[index + 1] ?? 0);
		}
	}
	while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
	return ~sum & 0xffff;
}
