import test from 'ava';
import {growthOfLives, growthOfThings, type Life, type Sample} from './growth.js';

function samples(count: number, at: (n: number) => Partial<Sample>): Sample[] {
	return Array.from({length: count}, (_, n) => ({atMs: n * 15_000, lives: [], things: {}, ...at(n)}));
}

test('one more link in ten minutes is growth, and a peak in between is none', t => {
	const leak = growthOfThings(samples(9, n => ({things: {'lb1 links': n < 5 ? 3 : 4}})));
	t.deepEqual(leak, [{what: 'lb1 links', early: 3, late: 4, isWithin: false}]);
	t.true(growthOfThings(samples(9, n => ({things: {'lb1 links': n === 4 ? 9 : 3}})))[0]?.isWithin);
});

test('flows may be some more than before, but not half as many again', t => {
	const flows = (late: number) => growthOfThings(samples(9, n => ({things: {'lb1 flows': n < 6 ? 1500 : late}})))[0];
	t.true(flows(1800)?.isWithin);
	t.false(flows(2250)?.isWithin);
});

test('flows whose end nobody heard are few', t => {
	const abandoned = (late: number) =>
		growthOfThings(samples(9, n => ({things: {'lb2 abandoned flows': n < 6 ? 0 : late}})))[0];
	t.true(abandoned(16)?.isWithin);
	t.false(abandoned(17)?.isWithin);
});

function life(fields: Partial<Life>): Life {
	return {
		program: 'lbd on lb1',
		pid: 1,
		ageMs: 180_000,
		residentBytes: 80 << 20,
		descriptors: 40,
		threads: 11,
		...fields,
	};
}

test('a descriptor more with each episode is a leak, whoever dies meanwhile', t => {
	const rows = growthOfLives(
		samples(20, n => ({
			lives: [
				life({pid: n < 6 ? 1 : 2, descriptors: 40 + (n < 6 ? n : 0)}),
				life({program: 'lbd-vrrp on lb1', pid: 3, residentBytes: (60 + n * 3 + (n % 4) * 20) << 20}),
			],
		})),
	);
	t.deepEqual(
		rows.filter(({isWithin}) => !isWithin),
		[
			{what: 'lbd on lb1: descriptors', early: 40, late: 44, isWithin: false},
			{what: 'lbd-vrrp on lb1: MiB', early: 60, late: 108, isWithin: false},
		],
	);
});

test('descriptors of checks that are under way at the last look are no leak', t => {
	const at = (descriptors: (n: number) => number) =>
		growthOfLives(samples(9, n => ({lives: [life({descriptors: descriptors(n)})]}))).find(({isWithin}) => !isWithin);
	t.is(
		at(n => (n === 8 ? 200 : 196)),
		undefined,
	);
	t.like(
		at(n => (n >= 7 ? 200 : 196)),
		{what: 'lbd on lb1: descriptors', early: 196, late: 200},
	);
});

test('a heap that grows until it is collected, and is, has not grown', t => {
	const mib = [60, 90, 130, 70, 100, 140, 65, 95, 145];
	const [row] = growthOfLives(samples(9, n => ({lives: [life({residentBytes: (mib[n] ?? 0) << 20})]})));
	t.like(row, {early: 60, late: 65, isWithin: true});
});

test('the first two minutes of a life do not count', t => {
	const rows = growthOfLives(
		samples(3, n => ({lives: [life({ageMs: (n + 1) * 60_000, residentBytes: (n === 0 ? 20 : 80) << 20})]})),
	);
	t.true(rows.every(({isWithin}) => isWithin));
});
