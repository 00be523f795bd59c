import {createContext, Script} from 'node:vm';
import type {HttpPattern} from '../conf/model.js';

/** A search that takes longer counts as one that found nothing: some expressions take forever on some texts. */
const SEARCH_MS_MAX = 100;

/** Searches run in here, because only there they can be stopped. */
const room = createContext({expression: /x/, text: ''});
const search = new Script('expression.exec(text)?.index ?? -1');

/** Whether the pattern is found in a body, at an offset where it may be. */
export function matches({source, flags, minOffset, maxOffset}: HttpPattern, body: Buffer): boolean {
	// One character a byte, so that offsets are those of bytes; `u` reads characters.
	const text = body.toString(flags.includes('u') ? 'utf8' : 'latin1');
	const expression = new RegExp(source, `${flags}g`);
	expression.lastIndex = minOffset;
	const at = find(expression, text);
	return at !== -1 && (maxOffset === null || at <= maxOffset);
}

function find(expression: RegExp, text: string): number {
	Object.assign(room, {expression, text});
	try {
		return search.runInContext(room, {timeout: SEARCH_MS_MAX});
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return -1;
		throw error;
	} finally {
		Object.assign(room, {expression: null, text: ''});
	}
}
