import {isUtf8} from 'node:buffer';
import type {Report} from '../diagnostics.js';
import type {Place} from '../model.js';
import {Text} from './text.js';

/** keepalived's MAXBUF: it tears longer lines apart. */
export const LINE_BYTES_MAX = 1024;
const NEWLINE = 0x0a;
const REPLACEMENT = '\ufffd';

/** The lines of a file. */
export function* readLines(file: string, bytes: Uint8Array, report: Report): Generator<Text> {
	const decoder = new TextDecoder('utf-8', {ignoreBOM: true});
	let line = 1;
	for (let start = 0; start < bytes.length; line++) {
		const newline = bytes.indexOf(NEWLINE, start);
		const end = newline === -1 ? bytes.length : newline;
		const lineBytes = bytes.subarray(start, end);
		const text = decoder.decode(lineBytes);
		if (lineBytes.length <= LINE_BYTES_MAX) {
			yield Text.at({file, line, column: 1}, text);
		} else if (!/^\s*[#!]/.test(text)) {
			const column = decoder.decode(lineBytes.subarray(0, LINE_BYTES_MAX)).length + 1;
			reportLongLine({file, line, column}, report);
		}
		if (text.includes(REPLACEMENT) || text.includes('\0')) reportNotText(lineBytes, text, file, line, report);
		start = end + 1;
	}
}

/** Whether a line has become longer than a line may be. */
export function isTooLong(text: string): boolean {
	// UTF-8 has at most three bytes for a UTF-16 unit.
	return text.length * 3 > LINE_BYTES_MAX && Buffer.byteLength(text) > LINE_BYTES_MAX;
}

export function reportLongLine(place: Place, report: Report): void {
	const text = `line is longer than ${LINE_BYTES_MAX} bytes, which keepalived does not take`;
	report.error('line-too-long', place, text, 'split it');
}

function reportNotText(bytes: Uint8Array, text: string, file: string, line: number, report: Report): void {
	const nul = text.indexOf('\0');
	if (nul !== -1) {
		report.warning('not-text', {file, line, column: nul + 1}, 'line holds a NUL byte', 'is this a text file?');
	}
	// A file may well contain the replacement character itself.
	if (!isUtf8(bytes)) {
		const column = text.indexOf(REPLACEMENT) + 1;
		report.warning('not-text', {file, line, column}, 'line is not valid UTF-8', 'save the file as UTF-8');
	}
}
