import type {Netlink} from '../host/host.js';
import type {Log} from '../log.js';
import {type Holding, Holdings, Wanted} from './holdings.js';
import type {Inventory} from './inventory.js';
import type {VrrpConfig} from './protocol.js';

type StaticBlocks = Pick<VrrpConfig, 'statics' | 'trackGroups'>;

/** The static blocks: what is held from the start to the end, and put back whenever it is missing. */
export class StaticHoldings {
	readonly #holdings: Holdings;
	readonly #log: Log;
	#config: StaticBlocks = {
		statics: {addresses: [], routes: [], rules: []},
		trackGroups: [],
	};
	#lines = new Wanted(this.#config.statics);
	/** By instance, what its track groups miss. */
	#missing: ReadonlyMap<string, string> = new Map();

	constructor(netlink: Netlink, log: Log) {
		this.#log = log;
		this.#holdings = new Holdings(netlink, log);
	}

	/** What is in force. */
	get config(): StaticBlocks {
		return this.#config;
	}

	/** Puts new static blocks in force, touching only what differs. */
	async configure(config: StaticBlocks, inventory: Inventory): Promise<void> {
		this.#config = config;
		this.#lines = new Wanted(config.statics);
		const wanted = this.#lines.on(inventory.links);
		// An address that is there already is held when it is added; one with another prefix is somebody else's.
		this.#holdings.adopt(
			wanted.filter(({kind}) => kind !== 'address'),
			inventory,
		);
		this.#holdings.removeUnwanted(wanted);
		await this.#addAll(inventory);
	}

	/** Puts back what is missing; returns what somebody else has deleted. */
	async observe(inventory: Inventory): Promise<readonly Holding[]> {
		const lost = this.#holdings.noticeLost(inventory);
		if (lost.length > 0) this.#log.warn({lost: lost.map(({text}) => text)}, 'static blocks: deleted by somebody else');
		await this.#addAll(inventory);
		return lost;
	}

	/** What the track groups of an instance miss, or null. */
	missingFor(instance: string): string | null {
		return this.#missing.get(instance) ?? null;
	}

	async removeAll(): Promise<void> {
		this.#holdings.removeAll();
		await this.#holdings.settled();
	}

	async #addAll({links}: Inventory): Promise<void> {
		const wanted = this.#lines.on(links);
		this.#holdings.addAll(wanted);
		await this.#holdings.settled();
		this.#missing = new Map(wanted.flatMap(holding => this.#misses(holding)));
	}

	/** Who cannot do without it, if it is not there. */
	#misses(holding: Holding): [instance: string, text: string][] {
		if (holding.trackGroup === null || this.#holdings.has(holding)) return [];
		const group = this.#config.trackGroups.find(({name}) => name === holding.trackGroup);
		return group?.instances.map(instance => [instance, `static ${holding.text}`]) ?? [];
	}
}
