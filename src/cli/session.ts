import type {CallName, CallResult, HealthReport, Params, Status, VrrpReport} from '../control/protocol.js';
import {ControlError, type ExitCode} from '../errors.js';
import type {MapView} from '../xdp/view.js';
import type {Style} from './style.js';

/** Asks the daemon; ControlError `no-daemon` when there is none. */
export interface Daemon {
	call<C extends CallName>(call: C, params: Params<C>): Promise<CallResult<C>>;
}

/** What a command found: for scripts, and for people. */
export interface Report {
	readonly json: unknown;
	text(style: Style): string;
	/** 0 if absent. */
	readonly exitCode?: ExitCode;
}

/** What a command may use: the daemon, the maps, and a way to say that something is missing. */
export class Session {
	readonly name: string;
	readonly daemon: Daemon;
	readonly #openView: () => Promise<MapView>;
	readonly #note: (text: string) => void;

	constructor(options: {
		readonly name: string;
		readonly daemon: Daemon;
		readonly openView: () => Promise<MapView>;
		/** A line for stderr. */
		readonly note: (text: string) => void;
	}) {
		this.name = options.name;
		this.daemon = options.daemon;
		this.#openView = options.openView;
		this.#note = options.note;
	}

	note(text: string): void {
		this.#note(text);
	}

	/** Lends the maps for as long as `use` takes. */
	async withView<T>(use: (view: MapView) => T | Promise<T>): Promise<T> {
		const view = await this.#openView();
		try {
			return await use(view);
		} finally {
			view.close();
		}
	}

	/** At most `limit` (0: all) of what the maps have; says so when there is more. */
	async list<T>(limit: number, read: (view: MapView) => AsyncIterable<T>): Promise<T[]> {
		const {taken, more} = await this.withView(view => take(read(view), limit));
		if (more) this.note(`these are the first ${limit}; --limit 0 shows all`);
		return taken;
	}

	/** What the checks say; null, and one line that says so, while no daemon answers. */
	async health(): Promise<HealthReport | null> {
		return this.#orNote(this.daemon.call('health', null));
	}

	/** null, and one line that says so, while no daemon answers. */
	async status(): Promise<Status | null> {
		return this.#orNote(this.daemon.call('status', null));
	}

	/** null, and one line that says so, while no daemon answers. */
	async vrrp(): Promise<VrrpReport | null> {
		return this.#orNote(this.daemon.call('vrrp', null));
	}

	async #orNote<T>(answer: Promise<T>): Promise<T | null> {
		try {
			return await answer;
		} catch (error) {
			if (!(error instanceof ControlError)) throw error;
			this.note(`${error.message}; showing what the maps say`);
			return null;
		}
	}
}

/** The first `limit` of them (0: all), and whether there were more. */
async function take<T>(items: AsyncIterable<T>, limit: number): Promise<{taken: T[]; more: boolean}> {
	const taken: T[] = [];
	for await (const item of items) {
		if (limit > 0 && taken.length === limit) return {taken, more: true};
		taken.push(item);
	}
	return {taken, more: false};
}
