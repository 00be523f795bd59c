import {createHash, type Hash} from 'node:crypto';
import type {HttpUrl} from '../conf/model.js';
import {failed, type Result} from './checker.js';
import {matches} from './pattern.js';

/** Four times what keepalived reads of a header. */
const HEAD_BYTES_MAX = 16_384;
/** A digest is taken of as much; a body that is longer fails the check. */
const BODY_BYTES_MAX = 64 * 1024 * 1024;
/** A pattern is looked for in as much of the body. */
const SEARCHED_BYTES_MAX = 1024 * 1024;

/**
 * The answer to one GET, as it arrives. keepalived's view of it: the body is what follows the empty line, as long as
 * Content-Length says or until the server hangs up; chunks are not put together.
 */
export class HttpAnswer {
	readonly #url: HttpUrl;
	readonly #hash: Hash | null;
	#head = '';
	#status: number | null = null;
	#length: number | null = null;
	#received = 0;
	#body: Buffer[] = [];

	constructor(url: HttpUrl) {
		this.#url = url;
		this.#hash = url.digest === null ? null : createHash('md5');
	}

	/** More of it; the verdict as soon as it is whole or cannot be right any more. */
	take(bytes: Buffer): Result | undefined {
		return this.#status === null ? this.#takeHead(bytes) : this.#takeBody(bytes);
	}

	/** The server has hung up. */
	end(): Result {
		if (this.#status !== null) return this.#judge();
		return this.#head === '' ? failed('closed', 'no data received') : failed('malformed', 'no HTTP header');
	}

	#takeHead(bytes: Buffer): Result | undefined {
		// The empty line may be split between this piece and the one before.
		const searched = Math.max(0, this.#head.length - 3);
		this.#head += bytes.toString('latin1');
		const [blank, length] = emptyLine(this.#head, searched);
		if (blank === -1) {
			const isTooLong = this.#head.length > HEAD_BYTES_MAX;
			return isTooLong ? failed('malformed', `header is longer than ${HEAD_BYTES_MAX} bytes`) : undefined;
		}
		const body = Buffer.from(this.#head.slice(blank + length), 'latin1');
		this.#head = this.#head.slice(0, blank);
		const status = /^HTTP\/\d(?:\.\d)? +(\d{3})(?!\d)/.exec(this.#head)?.[1];
		if (status === undefined) return failed('malformed', 'the first line is no HTTP status line');
		this.#status = Number(status);
		const declared = /^content-length:[ \t]*(\d{1,15})[ \t]*\r?$/im.exec(this.#head)?.[1];
		this.#length = declared === undefined ? null : Number(declared);
		// Nobody has to wait for a body that cannot save it.
		if (!this.#isWanted(this.#status)) return this.#judge();
		return this.#takeBody(body);
	}

	#takeBody(bytes: Buffer): Result | undefined {
		const left = (this.#length ?? Number.POSITIVE_INFINITY) - this.#received;
		const piece = bytes.length > left ? bytes.subarray(0, left) : bytes;
		this.#hash?.update(piece);
		if (this.#url.pattern !== null && this.#received < SEARCHED_BYTES_MAX) this.#body.push(piece);
		this.#received += piece.length;
		if (this.#received > BODY_BYTES_MAX) return failed('malformed', `body is longer than ${BODY_BYTES_MAX} bytes`);
		return this.#received === this.#length ? this.#judge() : undefined;
	}

	#isWanted(status: number): boolean {
		return this.#url.statusCodes.some(([from, to]) => from <= status && status <= to);
	}

	#judge(): Result {
		const {digest, pattern, path} = this.#url;
		const status = this.#status ?? 0;
		if (!this.#isWanted(status)) return failed('status', `status ${status} for ${path}`);
		const found = this.#hash?.digest('hex') ?? null;
		if (found !== digest) return failed('mismatch', `MD5 digest ${found} for ${path}`);
		if (pattern === null || matches(pattern, Buffer.concat(this.#body)) !== pattern.inverted) return {ok: true};
		return failed('mismatch', `regex ${pattern.inverted ? 'matched' : 'did not match'} in ${path}`);
	}
}

/** Where the first empty line from `from` on begins, or -1, and how long it is with the line end before. */
function emptyLine(text: string, from: number): readonly [at: number, length: number] {
	const crlf = text.indexOf('\r\n\r\n', from);
	const lf = text.indexOf('\n\n', from);
	return lf !== -1 && (crlf === -1 || lf < crlf) ? [lf, 2] : [crlf, 4];
}
