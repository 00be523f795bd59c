import {type Args, one} from '../args.js';
import type {Place, UdpCheck, UdpReply} from '../model.js';
import {full, type Keywords, placeOf} from '../table.js';
import {integer, type Value} from '../values.js';
import {type CheckSetting, newTarget, type TargetDraft, targetKeywords, toChecking, toTarget} from './check-draft.js';

interface UdpDraft extends TargetDraft {
	payload: string | null;
	/** null: no reply is needed. */
	reply: string | null;
	minLength: number;
	maxLength: number | null;
}

const LENGTH_MAX = 65_535;
/** Of a reply whose bytes are looked at. */
const LENGTH_DEFAULT = 255;

/** Hexadecimal digits in any groups; a last one without a partner is a byte. `wild`: x stands for any digit. */
function bytes(wild: boolean): Value<string> {
	const digits = wild ? /^[0-9a-fx]+$/i : /^[0-9a-f]+$/i;
	return {
		usage: 'HEX …',
		parse(text) {
			if (!digits.test(text)) return {why: 'is not of hexadecimal digits', wayOut: 'write it like 0d 0a or 0d0a'};
			const whole = text.length % 2 === 0 ? text : `${text.slice(0, -1)}0${text.slice(-1)}`;
			return {value: whole.toLowerCase()};
		},
	};
}

/** All groups of digits that follow. */
function groups(wild: boolean): Args<string> {
	const group = bytes(wild);
	return {
		usage: group.usage,
		read(words) {
			let whole: string | undefined = '';
			while (words.peek() !== undefined) {
				const next = words.take(group);
				whole = whole === undefined || next === undefined ? undefined : whole + next;
			}
			return whole;
		},
	};
}

const payload = groups(false);
const payloadArgs: Args<string> = {
	usage: payload.usage,
	// One word at least: `take` complains if there is none.
	read: words => (words.peek() === undefined ? words.take(bytes(false)) : payload.read(words)),
};
const length = one(integer(0, LENGTH_MAX));

const keywords: Keywords<UdpDraft> = {
	...targetKeywords<UdpDraft>(),
	payload: full(payloadArgs, (draft, hex) => {
		draft.payload = hex;
	}),
	require_reply: full(groups(true), (draft, hex) => {
		draft.reply = hex;
	}),
	min_reply_length: full(length, (draft, bytes) => {
		draft.minLength = bytes;
	}),
	max_reply_length: full(length, (draft, bytes) => {
		draft.maxLength = bytes;
	}),
};

/** `UDP_CHECK`. */
export const udpCheck = {
	keywords,
	open: (place: Place): UdpDraft => ({...newTarget(place), payload: null, reply: null, minLength: 0, maxLength: null}),
	toChecks(draft: UdpDraft, setting: CheckSetting): readonly UdpCheck[] {
		return [
			{
				kind: 'udp',
				...toChecking(draft, setting, {retry: 1, delayBeforeRetryUs: 1_000_000}),
				...toTarget(draft, 'UDP_CHECK', setting),
				payload: draft.payload,
				reply: toReply(draft, setting.report),
			},
		];
	},
};

function toReply(draft: UdpDraft, report: CheckSetting['report']): UdpReply | null {
	const {reply: pattern, minLength} = draft;
	if (pattern === null) return null;
	const maxLength = draft.maxLength ?? (pattern === '' ? LENGTH_MAX : LENGTH_DEFAULT);
	if (minLength > maxLength) {
		const text = `no reply can have ${minLength} bytes and more, and ${maxLength} and less`;
		report.error('contradiction', placeOf(draft, 'min_reply_length'), text, 'raise max_reply_length');
	}
	return {pattern, minLength, maxLength};
}
