/** Programs and whom they run as, read alike wherever a keyword names one. */
import {type Args, pair} from '../args.js';
import type {Script} from '../model.js';
import {type Value, word} from '../values.js';

type Account = Pick<Script, 'user' | 'group'>;
type Argv = Script['argv'];

/** What a keyword says of a script. */
export interface ScriptDraft extends Account {
	readonly argv: Argv;
}

/** What `global_defs` says of all scripts. */
export interface ScriptDefaults {
	user: string | null;
	group: string | null;
	secured: boolean;
}

/** `USER [GROUP]` */
export const userArgs: Args<Account> = {
	usage: 'USER [GROUP]',
	read(words) {
		const names = pair(word, word, null).read(words);
		return names === undefined ? undefined : {user: names[0], group: names[1]};
	},
};

/** `/usr/bin/notify` or `"/usr/bin/notify one 'the other'"`: one word of the file, several of a command. */
export const command: Value<Argv> = {
	usage: 'PROGRAM|"PROGRAM ARGUMENT …"',
	parse(text) {
		const argv = splitCommand(text);
		if (argv === null) return {why: 'has a quote that is not closed'};
		const [program = '', ...args] = argv;
		return program === '' ? {why: 'names no program'} : {value: [program, ...args]};
	},
};

/** A command, and whom it runs as if that is not what holds for all. */
export const scriptArgs: Args<ScriptDraft> = {
	usage: `${command.usage} [${userArgs.usage}]`,
	read(words) {
		const argv = words.take(command);
		const account = words.peek() === undefined ? {user: null, group: null} : userArgs.read(words);
		return argv === undefined || account === undefined ? undefined : {argv, ...account};
	},
};

/** With what holds for all scripts where the keyword says nothing. */
export function toScript({argv, user, group}: ScriptDraft, defaults: ScriptDefaults): Script {
	const account = user === null ? {user: defaults.user, group: defaults.group} : {user, group};
	return {argv, ...account, secured: defaults.secured};
}

/** A blank, a quote, an escape, or a run of other characters. */
const PIECE = /(\s+)|(["'])|\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|c.|.)|[^\s"'\\]+|\\$/gsu;
const ESCAPES: Readonly<Record<string, string>> = {
	a: '\x07',
	b: '\b',
	E: '\x1b',
	f: '\f',
	n: '\n',
	r: '\r',
	t: '\t',
	v: '\v',
};

/** The words of a command, by keepalived's rules: blanks part them, quotes of both kinds hold them together; null: one is open. */
function splitCommand(text: string): string[] | null {
	const words: string[] = [];
	let current: string | null = null;
	let open = '';
	for (const [piece, blank, quote, escaped] of text.matchAll(PIECE)) {
		if (quote !== undefined && (open === '' || open === quote)) {
			open = open === '' ? quote : '';
			current ??= '';
		} else if (blank !== undefined && open === '') {
			if (current !== null) words.push(current);
			current = null;
		} else {
			current = (current ?? '') + (escaped === undefined ? piece : escapedText(escaped));
		}
	}
	if (current !== null) words.push(current);
	return open === '' ? words : null;
}

/** What stands for `escaped` behind a backslash. */
function escapedText(escaped: string): string {
	if (escaped.length > 1 && escaped.startsWith('x')) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
	if (escaped.length > 1 && escaped.startsWith('c')) return String.fromCharCode(escaped.charCodeAt(1) & 0x1f);
	if (/^[0-7]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8) & 0xff);
	return ESCAPES[escaped] ?? escaped;
}
