import type {WriteStream} from 'node:tty';
import {colours, describe, monochrome, type Paint, picture, type View} from './picture.js';

/**
 * The demo's output. On a terminal the picture and the running step stay at the bottom and are redrawn in place, what is
 * finished scrolls away above them; elsewhere each change is a line.
 */
export class Screen {
	readonly paint: Paint;
	readonly #out: WriteStream;
	#drawn = 0;
	#description = '';
	#progress = '';
	#detail = '';
	#view: View | null = null;

	constructor(out: WriteStream) {
		this.#out = out;
		this.paint = out.isTTY ? colours : monochrome;
	}

	/** A line that stays. */
	line(text: string): void {
		this.#erase();
		this.#out.write(`${text}\n`);
		this.#draw();
	}

	/** What is going on at the moment; `detail` changes often and is for terminals only. */
	progress(text: string, detail = ''): void {
		const changed = text !== this.#progress;
		this.#progress = text;
		this.#detail = detail;
		if (this.#out.isTTY) this.#redraw();
		else if (changed && text !== '') this.#out.write(`  … ${text}\n`);
	}

	show(view: View): void {
		this.#view = view;
		const description = describe(view);
		const changed = description !== this.#description;
		this.#description = description;
		if (this.#out.isTTY) this.#redraw();
		else if (changed) this.#out.write(`      ${description}\n`);
	}

	/** Leaves the picture where it is; nothing is redrawn any more. */
	finish(): void {
		this.progress('');
		if (!this.#out.isTTY && this.#view !== null) this.#out.write(`${picture(this.#view, this.paint).join('\n')}\n`);
		this.#drawn = 0;
		this.#view = null;
	}

	#redraw(): void {
		this.#erase();
		this.#draw();
	}

	#erase(): void {
		if (this.#drawn > 0) this.#out.write(`\x1b[${this.#drawn}A\x1b[J`);
		this.#drawn = 0;
	}

	#draw(): void {
		if (!this.#out.isTTY || this.#view === null) return;
		const running = this.#progress === '' ? '' : `  … ${this.#progress}${this.#detail}`;
		// A line that wraps would break the count of lines to go up.
		const lines = [...picture(this.#view, this.paint), running.slice(0, this.#out.columns - 1)];
		this.#out.write(`${lines.join('\n')}\n`);
		this.#drawn = lines.length;
	}
}
