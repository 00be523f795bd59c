/**
 * What a soak does to its laboratory: disturbances drawn from a seed, in episodes after each of which all must be well again.
 * Pure: the same seed gives the same episodes, whatever comes of them.
 */
import type {BalancerName, Device, WebServerName} from '../../lab/topology.js';
import {Seeded} from '../seeded.js';

/** What of a balancer may hang or die: one of its programs, or all of them. */
export type Part = 'lbd' | 'lbd-vrrp' | 'lbd-sync' | 'everything';

/** What a reload changes in the file. */
export type Edit = 'weights' | 'timeouts' | 'thresholds' | 'scheduler' | 'persistence';

/** What somebody deletes behind the back: the entries by which services are found, or a pin. */
export type Tampered = 'services_by_key' | 'pin';

/** A disturbance; what has `forMs` is taken back after that time. */
export type Action =
	| {readonly kind: 'kill'; readonly node: BalancerName; readonly part: 'lbd' | 'everything'; readonly forMs: number}
	/** What lbd starts again by itself. */
	| {readonly kind: 'kill-child'; readonly node: BalancerName; readonly part: 'lbd-vrrp' | 'lbd-sync'}
	/** Everything killed and both cables out at once. */
	| {readonly kind: 'power-loss'; readonly node: BalancerName; readonly forMs: number}
	/** SIGTERM. */
	| {readonly kind: 'stop'; readonly node: BalancerName; readonly forMs: number}
	| {readonly kind: 'freeze'; readonly node: BalancerName; readonly part: Part; readonly forMs: number}
	| {readonly kind: 'pull-cable'; readonly node: BalancerName; readonly device: Device; readonly forMs: number}
	| {readonly kind: 'release'; readonly forMs: number}
	| {readonly kind: 'delete-address'; readonly node: BalancerName}
	| {readonly kind: 'stop-server'; readonly server: WebServerName; readonly forMs: number}
	| {readonly kind: 'fail-check'; readonly server: WebServerName; readonly forMs: number}
	| {readonly kind: 'remove-backend'; readonly server: WebServerName; readonly forMs: number}
	| {readonly kind: 'move-neighbour'; readonly server: WebServerName; readonly forMs: number}
	| {readonly kind: 'edit'; readonly edit: Edit; readonly forMs: number}
	| {readonly kind: 'bad-file'}
	| {readonly kind: 'tamper'; readonly node: BalancerName; readonly what: Tampered};

export interface Step {
	/** Since the episode began. */
	readonly atMs: number;
	readonly action: Action;
}

export interface Episode {
	/** From 1. */
	readonly number: number;
	readonly steps: readonly Step[];
}

type Draw<A = Action> = (seeded: Seeded) => A;

/** From some tenths of a second, in which nobody may notice anything, to longer than any backup waits. */
function outageMs(seeded: Seeded): number {
	return seeded.flip() ? 200 + seeded.below(1500) : 2000 + seeded.below(5000);
}

function either<T>(seeded: Seeded, one: T, other: T): T {
	return seeded.flip() ? one : other;
}

const kill =
	(node: BalancerName, part: 'lbd' | 'everything'): Draw =>
	seeded => ({kind: 'kill', node, part, forMs: outageMs(seeded)});
const killChild =
	(node: BalancerName, part: 'lbd-vrrp' | 'lbd-sync'): Draw =>
	() => ({kind: 'kill-child', node, part});
const freeze =
	(node: BalancerName, part: Part): Draw =>
	seeded => ({kind: 'freeze', node, part, forMs: outageMs(seeded)});
const pullCable =
	(node: BalancerName, device: Device): Draw =>
	seeded => ({kind: 'pull-cable', node, device, forMs: outageMs(seeded)});
const server = (seeded: Seeded): WebServerName => either(seeded, 'web1', 'web2');

/** What happens to a balancer. Between episodes lb1 is master. */
const machines: readonly Draw[] = [
	kill('lb1', 'everything'),
	kill('lb2', 'everything'),
	kill('lb1', 'lbd'),
	kill('lb2', 'lbd'),
	killChild('lb1', 'lbd-vrrp'),
	killChild('lb2', 'lbd-vrrp'),
	killChild('lb1', 'lbd-sync'),
	killChild('lb2', 'lbd-sync'),
	freeze('lb1', 'everything'),
	freeze('lb2', 'everything'),
	freeze('lb1', 'lbd'),
	freeze('lb1', 'lbd-vrrp'),
	freeze('lb1', 'lbd-sync'),
	pullCable('lb1', 'eth0'),
	pullCable('lb1', 'eth1'),
	pullCable('lb2', 'eth0'),
	pullCable('lb2', 'eth1'),
	seeded => ({kind: 'power-loss', node: 'lb1', forMs: outageMs(seeded)}),
	seeded => ({kind: 'stop', node: 'lb1', forMs: outageMs(seeded)}),
	seeded => ({kind: 'stop', node: 'lb2', forMs: outageMs(seeded)}),
	seeded => ({kind: 'release', forMs: outageMs(seeded)}),
	() => ({kind: 'delete-address', node: 'lb1'}),
];

/** What takes a web server away, or to another place: one at a time, so that the other one serves. */
const servers: readonly Draw[] = [
	seeded => ({kind: 'stop-server', server: server(seeded), forMs: 3000 + seeded.below(4000)}),
	seeded => ({kind: 'fail-check', server: server(seeded), forMs: 3000 + seeded.below(4000)}),
	seeded => ({kind: 'remove-backend', server: server(seeded), forMs: 1000 + seeded.below(4000)}),
	seeded => ({kind: 'move-neighbour', server: server(seeded), forMs: 1000 + seeded.below(4000)}),
];

const edits: readonly Edit[] = ['weights', 'timeouts', 'thresholds', 'scheduler', 'persistence'];

/** What happens to the configuration, or to what it was made into. */
const configurations: readonly Draw[] = [
	...edits.map(
		(edit): Draw =>
			seeded => ({kind: 'edit', edit, forMs: 500 + seeded.below(4000)}),
	),
	() => ({kind: 'bad-file'}),
	seeded => ({kind: 'tamper', node: either(seeded, 'lb1', 'lb2'), what: either(seeded, 'services_by_key', 'pin')}),
];

/** Deals everything once, in random order, before anything comes again. */
class Bag {
	readonly #menu: readonly Draw[];
	readonly #seeded: Seeded;
	#left: Draw[] = [];

	constructor(menu: readonly Draw[], seeded: Seeded) {
		this.#menu = menu;
		this.#seeded = seeded;
	}

	next(): Action {
		if (this.#left.length === 0) this.#left = [...this.#menu];
		const [draw] = this.#left.splice(this.#seeded.below(this.#left.length), 1);
		if (draw === undefined) throw new Error('an empty menu');
		return draw(this.#seeded);
	}
}

/** Every so many episodes, no balancer is harmed: what grows by reloads alone grows in processes that live. */
const GENTLE_EVERY = 3;
/** Within which the actions of an episode begin. */
const SPREAD_MS = 2500;

/** 2^32 divided by it, as in Knuth's multiplicative hashing. */
const GOLDEN_RATIO = 0x9e3779b1;

/** All episodes, without end. */
export function* episodes(seed: number): Generator<Episode, never> {
	// Neighbouring seeds would begin alike.
	const seeded = new Seeded(Math.imul(seed, GOLDEN_RATIO));
	const [machine, away, configuration] = [machines, servers, configurations].map(menu => new Bag(menu, seeded)) as [
		Bag,
		Bag,
		Bag,
	];
	for (let number = 1; ; number++) {
		const gentle = number % GENTLE_EVERY === 0;
		const actions = [
			...(gentle ? [] : [machine.next()]),
			...(gentle || seeded.below(3) === 0 ? [away.next()] : []),
			...(gentle || seeded.flip() ? [configuration.next()] : []),
		];
		const steps = actions.map(action => ({atMs: seeded.below(SPREAD_MS), action}));
		yield {number, steps: steps.toSorted((a, b) => a.atMs - b.atMs)};
	}
}

/** One line: what, to whom, for how long. */
export function describe(action: Action): string {
	const {kind, ...details} = action;
	const words = Object.entries(details).map(([name, value]) => (name === 'forMs' ? `for ${value} ms` : String(value)));
	return [kind, ...words].join(' ');
}

export function describeEpisode({number, steps}: Episode): string {
	return `episode ${number}: ${steps.map(({atMs, action}) => `at ${atMs} ms ${describe(action)}`).join('; ')}`;
}
