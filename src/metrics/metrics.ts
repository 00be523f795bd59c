import {Counter, Gauge, Registry} from 'prom-client';
import {FAMILIES, type Family} from './families.js';
import type {Snapshot} from './snapshot.js';

/** The Prometheus page, made afresh from one snapshot for each scrape. */
export class Metrics {
	readonly #registry = new Registry();
	readonly #take: () => Snapshot | Promise<Snapshot>;
	#snapshot: Snapshot | null = null;
	#page: Promise<string> | null = null;

	constructor(take: () => Snapshot | Promise<Snapshot>) {
		this.#take = take;
		for (const family of FAMILIES) this.#register(family);
	}

	get contentType(): string {
		return this.#registry.contentType;
	}

	/** The text of a scrape. Scrapes that overlap share one, so that no snapshot is changed under another. */
	text(): Promise<string> {
		this.#page ??= this.#render().finally(() => {
			this.#page = null;
		});
		return this.#page;
	}

	async #render(): Promise<string> {
		this.#snapshot = await this.#take();
		return this.#registry.metrics();
	}

	#register(family: Family): void {
		const {name, help, type, labels, samples} = family;
		const now = () => (this.#snapshot === null ? [] : samples(this.#snapshot));
		const common = {name, help, labelNames: [...labels], registers: [this.#registry]};
		if (type === 'gauge') {
			new Gauge({
				...common,
				collect() {
					this.reset();
					for (const [values, value] of now()) this.set({...values}, value);
				},
			});
			return;
		}
		new Counter({
			...common,
			collect() {
				this.reset();
				for (const [values, value] of now()) this.inc({...values}, value);
			},
		});
	}
}
