/** The named pipes of `global_defs`: where they are, whose they are, and who reads them. */
import {type Args, one} from '../args.js';
import type {Fifo, Fifos} from '../model.js';
import {full, type Keywords} from '../table.js';
import {word} from '../values.js';
import {type ScriptDefaults, type ScriptDraft, scriptArgs, toScript, userArgs} from './script.js';

export interface FifoDraft {
	at: Pick<Fifo, 'path' | 'user' | 'group'> | null;
	script: ScriptDraft | null;
}

export type FifoDrafts = Readonly<Record<keyof Fifos, FifoDraft>>;

export function newFifos(): FifoDrafts {
	return {all: {at: null, script: null}, vrrp: {at: null, script: null}, lvs: {at: null, script: null}};
}

const fifoArgs: Args<Pick<Fifo, 'path' | 'user' | 'group'>> = {
	usage: `PATH [${userArgs.usage}]`,
	read(words) {
		const path = one(word).read(words);
		const account = words.peek() === undefined ? {user: null, group: null} : userArgs.read(words);
		return path === undefined || account === undefined ? undefined : {path, ...account};
	},
};

/** `prefix` is '', `vrrp_` or `lvs_`. */
export function fifoKeywords<D extends {readonly fifos: FifoDrafts}>(prefix: string, which: keyof Fifos): Keywords<D> {
	return {
		[`${prefix}notify_fifo`]: full(fifoArgs, ({fifos}: D, at) => {
			fifos[which].at = at;
		}),
		[`${prefix}notify_fifo_script`]: full(scriptArgs, ({fifos}: D, script) => {
			fifos[which].script = script;
		}),
	};
}

const MODE = 0o644;
/** What keepalived takes from it when nobody says otherwise. */
export const UMASK_DEFAULT = 0o177;

/** A fifo without an owner belongs to whom scripts run as. */
export function toFifos(drafts: FifoDrafts, umask: number, defaults: ScriptDefaults): Fifos {
	const fifo = ({at, script}: FifoDraft): Fifo | null => {
		if (at === null) return null;
		const owner = at.user === null ? {user: defaults.user, group: defaults.group} : {user: at.user, group: at.group};
		return {path: at.path, ...owner, mode: MODE & ~umask, script: script && toScript(script, defaults)};
	};
	return {all: fifo(drafts.all), vrrp: fifo(drafts.vrrp), lvs: fifo(drafts.lvs)};
}

const BITS = /^I([RWX])(USR|GRP|OTH)$/;
const OCTAL_DIGIT: Readonly<Record<string, number>> = {R: 4, W: 2, X: 1};
const SHIFT: Readonly<Record<string, number>> = {USR: 6, GRP: 3, OTH: 0};

/** `0177`, `0x7f`, `127` or `IXUSR|IRWXG`-like bits joined by `|`. */
export const umaskArgs: Args<number> = {
	usage: 'NUMBER|BIT|…',
	read(words) {
		const first = words.peek() ?? words.keyword;
		const texts: string[] = [];
		while (words.peek() !== undefined) texts.push(words.take(word) ?? '');
		const umask = parseUmask(texts.join(''));
		if (umask !== null) return umask;
		const wayOut = `write a number, or bits such as 'IRGRP | IWOTH'`;
		words.report.error('bad-value', first.place, `umask cannot be '${texts.join(' ')}'`, wayOut);
		return undefined;
	},
};

function parseUmask(text: string): number | null {
	const number = /^0[0-7]+$/.test(text)
		? Number.parseInt(text, 8)
		: /^(0x[0-9a-f]+|\d+)$/i.test(text)
			? Number(text)
			: null;
	if (number !== null) return number <= 0o777 ? number : null;
	const bits = text.split('|').map(bit => BITS.exec(bit));
	return bits.reduce<number | null>((umask, match) => {
		const [digit, shift] = [OCTAL_DIGIT[match?.[1] ?? ''], SHIFT[match?.[2] ?? '']];
		return umask === null || digit === undefined || shift === undefined ? null : umask | (digit << shift);
	}, 0);
}
