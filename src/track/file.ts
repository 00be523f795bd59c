import type {TrackedFile} from '../conf/model.js';
import type {Cancel, Clock, SmallFiles} from '../host/host.js';
import type {Log} from '../log.js';

/** keepalived takes what is beyond for this. */
const VALUE_MAX = 254;
/** A changed value counts when it is still there after this long: who writes a file empties it first. */
const SETTLE_US = 20_000;
/** Changes are told by the kernel; a look now and then finds those of a directory that was replaced. */
const POLL_US = 1_000_000;

/** The number at the beginning of a text as strtol(3) reads it, hexadecimal and octal too; 0 if there is none. */
export function fileValue(text: string): number {
	const [, sign = '', digits = '0'] = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|\d+)/.exec(text) ?? [];
	const value = /^0[0-7]/.test(digits) ? Number.parseInt(digits, 8) : Number(digits.replace(/^0+(?=\d)/, ''));
	return Math.max(-VALUE_MAX, Math.min(VALUE_MAX, sign === '-' ? -value : value)) || 0;
}

export interface FileSetting {
	readonly clock: Clock;
	readonly files: SmallFiles;
	readonly log: Log;
	/** The daemon starts: `init_file` may overwrite what is there. */
	readonly isStart: boolean;
	readonly onResult: (value: number) => void;
}

/** Reads the number in one file whenever it may have changed. A file that is not there has the value 0. */
export class FileWatch {
	readonly #setting: FileSetting;
	readonly #tracked: TrackedFile;
	#cancelWatch: Cancel = () => {};
	#value: number | null = null;
	/** What was read last and does not count yet. */
	#candidate: number | null = null;
	#reading = false;
	#stopped = false;
	#cancel: Cancel = () => {};

	constructor(tracked: TrackedFile, setting: FileSetting) {
		this.#setting = setting;
		this.#tracked = tracked;
		void this.#begin();
	}

	get path(): string {
		return this.#tracked.path;
	}

	stop(): void {
		this.#stopped = true;
		this.#cancelWatch();
		this.#cancel();
	}

	async #begin(): Promise<void> {
		await this.#initialise();
		if (this.#stopped) return;
		this.#cancelWatch = this.#setting.files.watch(this.path, () => this.#lookIn(SETTLE_US));
		await this.#look();
	}

	/** Writes what `init_file` says; on a reload only where there is no file. */
	async #initialise(): Promise<void> {
		const {files, log, isStart} = this.#setting;
		const {name, initial} = this.#tracked;
		if (initial === null) return;
		const exists = (await files.read(this.path)) !== null;
		if (exists && !(initial.overwrite && isStart)) return;
		const failure = await files.write(this.path, `${initial.value}\n`);
		if (failure !== null) log.warn({}, `Unable to initialise track file ${name}: ${failure}`);
	}

	#lookIn(us: number): void {
		this.#cancel();
		if (!this.#stopped) this.#cancel = this.#setting.clock.after(us, `file ${this.path}`, () => void this.#look());
	}

	async #look(): Promise<void> {
		// A read that hangs on a lost mount is the only one, and the value stays.
		if (this.#reading) return;
		this.#reading = true;
		const value = fileValue((await this.#setting.files.read(this.path)) ?? '');
		this.#reading = false;
		if (this.#stopped) return;
		const settled = this.#value === null || value === this.#value || value === this.#candidate;
		this.#candidate = settled ? null : value;
		this.#lookIn(settled ? POLL_US : SETTLE_US);
		if (!settled || value === this.#value) return;
		this.#value = value;
		this.#setting.onResult(value);
	}
}
