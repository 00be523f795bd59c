const NEWLINE = 0x0a;

/** Cuts a byte stream into lines, holding at most `bytesMax` of an unfinished one. */
export class LineReader {
	bytesMax: number;
	#chunks: Uint8Array[] = [];
	#length = 0;

	constructor(bytesMax: number) {
		this.bytesMax = bytesMax;
	}

	/** The lines that are complete now, or null when one is longer than it may be. */
	push(bytes: Uint8Array): string[] | null {
		const lines: string[] = [];
		let start = 0;
		for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
			if (!this.#keep(bytes.subarray(start, end))) return null;
			lines.push(Buffer.concat(this.#chunks).toString('utf8'));
			this.#chunks = [];
			this.#length = 0;
			start = end + 1;
		}
		return this.#keep(bytes.subarray(start)) ? lines : null;
	}

	#keep(bytes: Uint8Array): boolean {
		this.#length += bytes.length;
		if (this.#length > this.bytesMax) return false;
		if (bytes.length > 0) this.#chunks.push(bytes);
		return true;
	}
}
