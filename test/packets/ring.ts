/** The slow and obvious way to a place of a Maglev ring. */
import {addressBytes} from '../../src/net/address.js';
import {ringHash} from '../../src/plan/local-hash.js';
import {endpoint} from './frame.js';

/** All places of a ring in the order in which a client, or the address of a service, comes to them. */
export function* walk<T>(ring: readonly T[], text: string, {port}: {readonly port: boolean}): Generator<T> {
	const [address, number] = endpoint(text);
	const hash = ringHash({addr: addressBytes(address), port: port ? number : 0});
	const start = Number(hash >> 32n);
	const stride = (Number(hash & 0xffff_ffffn) % (ring.length - 1)) + 1;
	for (let step = 0; step < ring.length; step++) {
		const place = ring[(start + step * stride) % ring.length];
		if (place !== undefined) yield place;
	}
}
