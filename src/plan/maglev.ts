/**
 * The ring of `sh`, `dh` and `mh`: Maglev (Eisenbud et al., NSDI 2016, section 3.4) with weights. It follows from the
 * backends' addresses, ports and weights alone, so all balancers with one configuration answer alike, in whatever order
 * their files name the backends; and when a backend comes or goes, few clients of the others change theirs. Pure.
 */
import {ringHash} from './local-hash.js';

/** Places of a ring: IPVS's default, a prime. */
export const RING_PLACES = 4093;

export interface RingMember {
	/** 4 or 16 bytes. */
	readonly addr: Uint8Array;
	readonly port: number;
	/** At least 1. */
	readonly weight: number;
}

/**
 * Who stands at each place. Members take places in rounds, the heaviest one in each round and the others in proportion;
 * each takes the first place of its own permutation that is free. One that weighs less than a 4,093rd of all may get none.
 */
export function maglevRing<M extends RingMember>(members: readonly M[]): M[] {
	const ring = new Array<M | undefined>(RING_PLACES).fill(undefined);
	const takers = members.toSorted(byAddress).map(member => new Taker(member));
	const heaviest = members.reduce((max, {weight}) => Math.max(max, weight), 1);
	let free = takers.length === 0 ? 0 : RING_PLACES;
	while (free > 0) {
		for (const taker of takers) {
			if (free === 0 || !taker.isDue(heaviest)) continue;
			ring[taker.takePlace(ring)] = taker.member;
			free--;
		}
	}
	return ring.filter(member => member !== undefined);
}

class Taker<M extends RingMember> {
	readonly member: M;
	readonly #skip: number;
	#place: number;
	#credit = 0;

	constructor(member: M) {
		const hash = ringHash(member);
		this.member = member;
		this.#place = Number(hash >> 32n) % RING_PLACES;
		this.#skip = (Number(hash & 0xffff_ffffn) % (RING_PLACES - 1)) + 1;
	}

	/** Whether its share of this round makes a whole place. */
	isDue(heaviest: number): boolean {
		this.#credit += this.member.weight;
		if (this.#credit < heaviest) return false;
		this.#credit -= heaviest;
		return true;
	}

	/** The next free place of its permutation; there must be one. */
	takePlace(ring: readonly (M | undefined)[]): number {
		while (ring[this.#place] !== undefined) this.#place = (this.#place + this.#skip) % RING_PLACES;
		return this.#place;
	}
}

function byAddress(a: RingMember, b: RingMember): number {
	return Buffer.compare(a.addr, b.addr) || a.port - b.port;
}
