import test from 'ava';
import {maglevRing, RING_PLACES, type RingMember} from '../../src/plan/maglev.js';
import {Seeded} from '../seeded.js';

function members(count: number, weight: (index: number) => number = () => 1): RingMember[] {
	return Array.from({length: count}, (_, index) => ({
		addr: Uint8Array.of(10, 0, 0, 71 + index),
		port: 80,
		weight: weight(index),
	}));
}

/** Places by member, in the order of the members. */
function places(ring: readonly RingMember[], of: readonly RingMember[]): number[] {
	return of.map(({addr}) => ring.filter(member => member.addr === addr).length);
}

test('every place is taken, and all have their share to within one place', t => {
	for (const count of [1, 2, 3, 10, 100]) {
		const all = members(count);
		const ring = maglevRing(all);
		t.is(ring.length, RING_PLACES);
		for (const share of places(ring, all)) t.true(Math.abs(share - RING_PLACES / count) <= 1);
	}
	t.deepEqual(maglevRing([]), []);
});

test('shares follow the weights', t => {
	const all = members(4, index => index + 1);
	for (const [index, share] of places(maglevRing(all), all).entries())
		t.true(Math.abs(share - (RING_PLACES * (index + 1)) / 10) <= 1);
	const uneven = members(2, index => (index === 0 ? 2 ** 31 - 1 : 1));
	t.deepEqual(places(maglevRing(uneven), uneven), [RING_PLACES, 0], 'too light for a place');
});

test('the order of the file does not matter, so balancers agree', t => {
	const all = members(17, index => 1 + (index % 3));
	const seeded = new Seeded(7);
	const ring = maglevRing(all);
	for (let round = 0; round < 5; round++) {
		const shuffled = all
			.map(member => ({member, at: seeded.below(1000)}))
			.toSorted((a, b) => a.at - b.at)
			.map(({member}) => member);
		t.deepEqual(maglevRing(shuffled), ring);
	}
});

test('one of N leaves: of the places of the others, few change hands', t => {
	for (const [count, most] of [
		[2, 0],
		[3, 0.15],
		[10, 0.1],
		[50, 0.1],
	] as const) {
		const all = members(count);
		const before = maglevRing(all);
		for (const leaver of [0, count - 1]) {
			const gone = all[leaver];
			const after = maglevRing(all.filter(member => member !== gone));
			const kept = [...before.entries()].filter(([, member]) => member !== gone);
			const moved = kept.filter(([place, member]) => after[place] !== member).length / kept.length;
			t.log(`${count} backends: ${(moved * 100).toFixed(1)} % of the others' places move`);
			t.true(moved <= most, `${count}: ${moved}`);
		}
	}
});
