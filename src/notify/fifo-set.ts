import {isDeepStrictEqual} from 'node:util';
import type {Fifo, Fifos, Script} from '../conf/model.js';
import type {Cancel, Clock, Pipe, Pipes, Scripts} from '../host/host.js';
import type {Log} from '../log.js';
import type {Counts} from './counts.js';
import {endWords} from './script-queue.js';

/** What a line is about. */
export type Topic = 'vrrp' | 'lvs';

/** A reader that ended is started again after so long. */
const RESTART_US = 10_000_000;
/** Readers run for as long as their pipe is there. */
const FOREVER_US = Number.MAX_SAFE_INTEGER / 2;

interface Seams {
	readonly pipes: Pipes;
	readonly scripts: Scripts;
	readonly clock: Clock;
	readonly log: Log;
	readonly counts: Counts;
}

/** The named pipes that a configuration asks for, and the scripts that read them. */
export class FifoSet {
	readonly #seams: Seams;
	#open: Readonly<Record<keyof Fifos, OpenFifo | null>> = {all: null, vrrp: null, lvs: null};

	constructor(seams: Seams) {
		this.#seams = seams;
	}

	/** Opens, keeps and closes pipes until they are these. One that cannot be opened is reported, and goes without lines. */
	configure(fifos: Fifos): void {
		const kept = (which: keyof Fifos): OpenFifo | null => {
			const open = this.#open[which];
			return open !== null && isDeepStrictEqual(open.fifo, fifos[which]) ? open : null;
		};
		const keeping = {all: kept('all'), vrrp: kept('vrrp'), lvs: kept('lvs')};
		for (const which of ['all', 'vrrp', 'lvs'] as const) if (keeping[which] === null) this.#open[which]?.close();
		this.#open = {
			all: keeping.all ?? this.#openFifo(fifos.all),
			vrrp: keeping.vrrp ?? this.#openFifo(fifos.vrrp),
			lvs: keeping.lvs ?? this.#openFifo(fifos.lvs),
		};
	}

	/** Writes a line to the pipe of all and to that of its topic; what has no room is lost. */
	write(topic: Topic, line: string): void {
		this.#open.all?.write(line);
		this.#open[topic]?.write(line);
	}

	/** Closes the pipes; resolves when the readers have read to the end. */
	async end(): Promise<void> {
		const open = Object.values(this.#open);
		await Promise.all(open.map(fifo => fifo?.end()));
	}

	close(): void {
		for (const fifo of Object.values(this.#open)) fifo?.close();
	}

	#openFifo(fifo: Fifo | null): OpenFifo | null {
		if (fifo === null) return null;
		try {
			return new OpenFifo(fifo, this.#seams);
		} catch (error) {
			this.#seams.log.error({error}, `fifo ${fifo.path} is not used`);
			return null;
		}
	}
}

/** A pipe that is open, with its reader if it has one. */
class OpenFifo {
	readonly fifo: Fifo;
	readonly #seams: Seams;
	readonly #pipe: Pipe;
	readonly #abort = new AbortController();
	#reading: Promise<void> = Promise.resolve();
	#cancelRestart: Cancel = () => {};
	/** Lines lost since the last one that had room. */
	#lost = 0;
	#closed = false;

	constructor(fifo: Fifo, seams: Seams) {
		this.fifo = fifo;
		this.#seams = seams;
		this.#pipe = seams.pipes.open(fifo);
		if (fifo.script !== null) this.#read({...fifo.script, argv: [...fifo.script.argv, fifo.path]});
	}

	write(line: string): void {
		const {log, counts} = this.#seams;
		const written = !this.#closed && this.#pipe.write(`${line}\n`);
		counts.add('fifo', written ? 'delivered' : 'lost');
		if (!written && this.#lost === 0) log.error({}, `fifo ${this.fifo.path}: nobody reads it, so lines are lost`);
		if (written && this.#lost > 0) log.warn({lost: this.#lost}, `fifo ${this.fifo.path}: is read again`);
		this.#lost = written ? 0 : this.#lost + 1;
	}

	/** Closes the pipe and waits for the reader, which finds the end of it. */
	end(): Promise<void> {
		this.#closePipe();
		return this.#reading;
	}

	close(): void {
		this.#closePipe();
		this.#abort.abort();
	}

	#closePipe(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#cancelRestart();
		this.#pipe.close();
	}

	#read(script: Script): void {
		const {scripts, clock, log} = this.#seams;
		const ended = scripts.run(script, {timeoutUs: FOREVER_US, signal: this.#abort.signal});
		this.#reading = ended.then(end => {
			if (this.#closed) return;
			log.warn({script: script.argv}, `fifo script ${script.argv[0]}: ${endWords(end)}; it is started again`);
			this.#cancelRestart = clock.after(RESTART_US, 'fifo script', () => this.#read(script));
		});
	}
}
