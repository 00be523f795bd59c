/** `auth_hmac` of an instance. What a key is stands in no complaint. */
import {posix} from 'node:path';
import type {AuthHmac, AuthKey} from '../../net/vrrp-hmac.js';
import {type Args, type Arguments, one} from '../args.js';
import {formatPlace, quote, type Report} from '../diagnostics.js';
import {type Files, readFailure} from '../files.js';
import type {Place} from '../model.js';
import {type Draft, draftAt, each, full, type Keywords, placeOf} from '../table.js';
import {integer, oneOf} from '../values.js';

/** null: not written. */
export interface AuthHmacDraft extends Draft {
	readonly keys: KeyDraft[];
	activeKeyId: number | null;
	antiReplay: AuthHmac['antiReplay'];
	windowS: number | null;
	mode: AuthHmac['mode'];
}

/** `key ID VALUE` */
interface KeyDraft {
	readonly place: Place;
	readonly id: number;
	/** `hex:…`, `file:…`, or the key itself. */
	readonly value: string;
}

const KEY_BYTES = {min: 32, max: 64};
/** With room for what editors put behind it. */
const KEY_FILE_BYTES_MAX = 1024;
const MAKE_ONE = 'make one with: openssl rand -hex 32, and write hex: before it';
/** keepalived's default: three adverts, but not less than 5 s. */
const WINDOW_ADVERTS = 3;
const WINDOW_S = {min: 1, floor: 5, max: 300};

export function newAuthHmac(place: Place): AuthHmacDraft {
	return {...draftAt(place), keys: [], activeKeyId: null, antiReplay: 'time', windowS: null, mode: 'enforce'};
}

const keyId = integer(1, 255);

const keyArgs: Args<Omit<KeyDraft, 'place'>> = {
	usage: `${keyId.usage} hex:DIGITS|file:PATH|TEXT`,
	read(words) {
		const complain = (text: string): undefined => {
			words.report.error('bad-value', words.keyword.place, text, `write 'key ${this.usage}'`);
			return undefined;
		};
		const [id, value] = [words.shift(), words.shift()];
		const parsed = keyId.parse(id?.text ?? '');
		if ('why' in parsed) return complain(`what follows key is not an id in ${keyId.usage}`);
		if (value === undefined) return complain(`key ${parsed.value} has no value`);
		if (takeAll(words) > 0) return complain(`key ${parsed.value} has several words behind its id`);
		return {id: parsed.value, value: value.text};
	},
};

/** How many words there were. */
function takeAll(words: Arguments): number {
	let count = 0;
	while (words.shift() !== undefined) count++;
	return count;
}

export const authHmac: Keywords<AuthHmacDraft> = {
	key: each(keyArgs, (draft, key, place) => {
		draft.keys.push({...key, place});
	}),
	active_key: full(one(keyId), (draft, id) => {
		draft.activeKeyId = id;
	}),
	anti_replay: full(one(oneOf({time: 'time', monotonic: 'monotonic'})), (draft, antiReplay) => {
		draft.antiReplay = antiReplay;
	}),
	time_window: full(one(integer(WINDOW_S.min, WINDOW_S.max)), (draft, windowS) => {
		draft.windowS = windowS;
	}),
	mode: full(
		one(oneOf({enforce: 'enforce', permissive: 'permissive', 'receive-only': 'receive-only'})),
		(draft, mode) => {
			draft.mode = mode;
		},
	),
};

/** What the block says, with keepalived's default of the window. */
export function toAuthHmac(draft: AuthHmacDraft, advertUs: number, files: Files, report: Report): AuthHmac {
	const {antiReplay, mode} = draft;
	checkActiveKey(draft, report);
	if (antiReplay === 'monotonic' && draft.windowS !== null) {
		const text = 'time_window is ignored with anti_replay monotonic';
		report.warning('contradiction', placeOf(draft, 'time_window'), text, 'remove one of them');
	}
	const adverts = Math.floor((WINDOW_ADVERTS * advertUs) / 1_000_000);
	const windowS = draft.windowS ?? Math.min(Math.max(adverts, WINDOW_S.floor), WINDOW_S.max);
	return {keys: toKeys(draft, files, report), activeKeyId: draft.activeKeyId, antiReplay, windowS, mode};
}

function checkActiveKey({activeKeyId, mode, keys, written, place}: AuthHmacDraft, report: Report): void {
	const at = written.get('active_key');
	if (at === undefined && mode !== 'receive-only') {
		report.error('missing', place, 'auth_hmac has no active_key to sign with', `add 'active_key ID'`);
	} else if (at !== undefined && activeKeyId !== null && !keys.some(({id}) => id === activeKeyId)) {
		const text = `active_key ${activeKeyId} is none of the keys of auth_hmac`;
		report.error('missing', at, text, `add 'key ${activeKeyId} …', or name another one`);
	}
}

function toKeys({keys, place, written}: AuthHmacDraft, files: Files, report: Report): AuthKey[] {
	// Written and wrong has been said already.
	if (!written.has('key')) report.error('missing', place, 'auth_hmac has no key', `add 'key ${keyArgs.usage}'`);
	return keys.map((key, index) => {
		const earlier = keys.slice(0, index).find(({id}) => id === key.id);
		if (earlier !== undefined) {
			const text = `key ${key.id} is there already, at ${formatPlace(earlier.place)}`;
			report.error('duplicate', key.place, text, 'give it another id');
		}
		return {id: key.id, secret: Buffer.from(secretOf(key, files, report)).toString('hex')};
	});
}

/** The bytes of a key; none, having complained. */
function secretOf({id, value, place}: KeyDraft, files: Files, report: Report): Uint8Array {
	const text = value.startsWith('file:') ? readKey(value.slice('file:'.length), place, files, report) : value;
	if (text === null) return new Uint8Array();
	const complain = (what: string): Uint8Array => {
		report.error('bad-value', place, `key ${id} ${what}`, MAKE_ONE);
		return new Uint8Array();
	};
	const digits = text.startsWith('hex:') ? text.slice('hex:'.length) : null;
	if (digits !== null && !/^(?:[\da-f]{2})*$/i.test(digits))
		return complain('is not hex: and pairs of hexadecimal digits');
	const bytes = digits === null ? new TextEncoder().encode(text) : Buffer.from(digits, 'hex');
	const {min, max} = KEY_BYTES;
	return bytes.length >= min && bytes.length <= max
		? bytes
		: complain(`has ${bytes.length} bytes instead of ${min} to ${max}`);
}

/** What the file holds, without the end of its line; null, having complained. */
function readKey(path: string, place: Place, files: Files, report: Report): string | null {
	// Relative to the file that names it, as an include is.
	const file = posix.isAbsolute(path) ? path : posix.join(posix.dirname(place.file), path);
	const bytes = files.read(file, KEY_FILE_BYTES_MAX);
	if (!(bytes instanceof Uint8Array)) {
		const text = `key file ${quote(file)} ${readFailure(bytes, KEY_FILE_BYTES_MAX)}`;
		report.error('key-unreadable', place, text, 'it holds hex: and digits, or the key itself');
		return null;
	}
	if (files.isExposed(file)) {
		const text = `key file ${quote(file)} is open to others than its owner`;
		report.warning('insecure', place, text, 'close it with: chmod 600');
	}
	try {
		return new TextDecoder('utf-8', {fatal: true}).decode(bytes).replace(/[\r\n]+$/, '');
	} catch {
		report.error('bad-value', place, `key file ${quote(file)} holds no text`, 'write its bytes as hex: and digits');
		return null;
	}
}
