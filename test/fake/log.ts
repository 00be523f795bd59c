import type {Log} from '../../src/log.js';

/** Keeps the messages, each with its level before it. */
export class FakeLog implements Log {
	readonly lines: string[];

	constructor(lines: string[] = []) {
		this.lines = lines;
	}

	debug(_fields: object, message: string): void {
		this.lines.push(`debug ${message}`);
	}

	info(_fields: object, message: string): void {
		this.lines.push(`info ${message}`);
	}

	warn(_fields: object, message: string): void {
		this.lines.push(`warn ${message}`);
	}

	error(_fields: object, message: string): void {
		this.lines.push(`error ${message}`);
	}

	child(): Log {
		return new FakeLog(this.lines);
	}

	/** The lines since the last call. */
	take(): string[] {
		return this.lines.splice(0);
	}
}
