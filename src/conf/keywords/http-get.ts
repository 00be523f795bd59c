import {endpointName} from '../../net/address.js';
import {type Args, none, one, onOff, several} from '../args.js';
import type {HttpCheck, HttpPattern, HttpUrl, Place} from '../model.js';
import {accepted, block, type Draft, draftAt, full, type Keywords, placeOf} from '../table.js';
import {integer, oneOf, Unsupported, type Value, word} from '../values.js';
import {type CheckSetting, newTarget, type TargetDraft, targetKeywords, toChecking, toTarget} from './check-draft.js';

type StatusCodes = HttpUrl['statusCodes'][number];

/** `url` in `HTTP_GET` and `SSL_GET`. */
interface UrlDraft extends Draft {
	path: string | null;
	virtualHost: string | null;
	statusCodes: readonly StatusCodes[];
	digest: string | null;
	pattern: string | null;
	flags: readonly string[];
	inverted: boolean;
	minOffset: number;
	maxOffset: number | null;
}

interface HttpDraft extends TargetDraft {
	virtualHost: string | null;
	protocol: Pick<HttpCheck, 'version' | 'close'>;
	fastRecovery: boolean;
	sni: boolean;
	serverName: string | null;
	readonly urls: UrlDraft[];
}

const STATUS_MIN = 100;
const STATUS_MAX = 999;
const SUCCESS: StatusCodes = [200, 299];

/** `200` or `200-299` */
const statusCodes: Value<StatusCodes> = {
	usage: 'CODE[-CODE]',
	parse(text) {
		const [, first, last = first] = /^(\d{3})(?:-(\d{3}))?$/.exec(text) ?? [];
		const [from, to] = [Number(first), Number(last)];
		if (STATUS_MIN <= from && from <= to && to <= STATUS_MAX) return {value: [from, to]};
		return {why: 'is no status code', wayOut: 'write it like 200 or 200-299'};
	},
};

const digest: Value<string> = {
	usage: 'MD5',
	parse(text) {
		if (/^[0-9a-f]{32}$/i.test(text)) return {value: text.toLowerCase()};
		return {why: 'is no MD5 digest', wayOut: 'write its 32 hexadecimal digits'};
	},
};

/** What goes into a request as it stands must not end its line. */
export const unbrokenWord: Value<string> = {
	usage: 'TEXT',
	parse: text => (/[\p{Cc}\s]/u.test(text) ? {why: 'holds blanks or control characters'} : {value: text}),
};

/** Whose site it is, on any level from `virtual_server` to `url`. */
export const virtualHost = full(one(unbrokenWord), (draft: {virtualHost: string | null}, host) => {
	draft.virtualHost = host;
});

/** Options of PCRE2 that a regular expression of ECMAScript does not have. */
const pcreOnly = `allow_empty_class alt_bsux auto_callout dollar_endonly dupnames extended firstline match_unset_backref
	never_ucp never_utf no_auto_capture ucp ungreedy anchored alt_circumflex alt_verbnames use_offset_limit`;
/** Those that are only about speed, or forbid what nobody can write here. */
const pcreIdle = 'no_auto_possess no_dotstar_anchor no_start_optimize never_backslash_c';

/** The options of a `regex`, as flags of a regular expression. */
const patternOption = oneOf<string>({
	caseless: 'i',
	dotall: 's',
	multiline: 'm',
	utf: 'u',
	...each(pcreOnly, new Unsupported('expressions are those of ECMAScript')),
	...each(pcreIdle, ''),
});

function each<V>(words: string, value: V): Readonly<Record<string, V>> {
	return Object.fromEntries(words.split(/\s+/).map(word => [word, value]));
}

const protocol: Args<HttpDraft['protocol']> = one(
	oneOf<HttpDraft['protocol']>({
		'1.0': {version: '1.0', close: false},
		'1.0C': {version: '1.0', close: true},
		'1.0c': {version: '1.0', close: true},
		'1.1': {version: '1.1', close: true},
	}),
);

const offset = one(integer(0, 2 ** 31 - 1));

const url: Keywords<UrlDraft> = {
	path: full(one(unbrokenWord), (draft, path) => {
		draft.path = path;
	}),
	status_code: full(several(statusCodes), (draft, codes) => {
		draft.statusCodes = codes;
	}),
	digest: full(one(digest), (draft, md5) => {
		draft.digest = md5;
	}),
	virtualhost: virtualHost,
	regex: full(one(word), (draft, pattern) => {
		draft.pattern = pattern;
	}),
	regex_no_match: full(none, draft => {
		draft.inverted = true;
	}),
	regex_options: full(several(patternOption), (draft, flags) => {
		draft.flags = flags;
	}),
	regex_min_offset: full(offset, (draft, bytes) => {
		draft.minOffset = bytes;
	}),
	regex_max_offset: full(offset, (draft, bytes) => {
		draft.maxOffset = bytes;
	}),
	regex_stack: accepted('expressions are those of ECMAScript, which have no stack of their own'),
	tls_compliant: accepted('an answer may end without the farewell of TLS'),
};

const keywords: Keywords<HttpDraft> = {
	...targetKeywords<HttpDraft>(),
	nb_get_retry: full(one(integer(0, 2 ** 31 - 1)), (draft, retry) => {
		draft.retry = retry;
	}),
	virtualhost: virtualHost,
	http_protocol: full(protocol, (draft, value) => {
		draft.protocol = value;
	}),
	fast_recovery: full(onOff, (draft, fast) => {
		draft.fastRecovery = fast;
	}),
	enable_sni: full(onOff, (draft, sni) => {
		draft.sni = sni;
	}),
	sni_name: full(one(unbrokenWord), (draft, name) => {
		draft.serverName = name;
	}),
	tls_compliant: accepted('an answer may end without the farewell of TLS'),
	url: block(url, none, ({urls}, _, place) => {
		const draft = newUrl(place);
		urls.push(draft);
		return draft;
	}),
};

function newUrl(place: Place): UrlDraft {
	return {
		...draftAt(place),
		path: null,
		virtualHost: null,
		statusCodes: [],
		digest: null,
		pattern: null,
		flags: [],
		inverted: false,
		minOffset: 0,
		maxOffset: null,
	};
}

function open(place: Place): HttpDraft {
	return {
		...newTarget(place),
		virtualHost: null,
		protocol: {version: '1.0', close: false},
		fastRecovery: false,
		sni: false,
		serverName: null,
		urls: [],
	};
}

/** `HTTP_GET` and `SSL_GET`. */
export const httpGet = {keywords, open, toChecks: toHttpChecks('http', 'HTTP_GET')};
export const sslGet = {keywords, open, toChecks: toHttpChecks('https', 'SSL_GET')};

function toHttpChecks(kind: HttpCheck['kind'], keyword: string) {
	return (draft: HttpDraft, setting: CheckSetting): readonly HttpCheck[] => {
		const target = toTarget(draft, keyword, setting);
		const urls = draft.urls.flatMap(one =>
			toUrl(one, draft, endpointName(target.connectAddress, target.connectPort, 'tcp'), setting),
		);
		if (urls.length === 0) {
			setting.report.warning(
				'missing',
				draft.place,
				`${keyword} has no url and checks nothing`,
				`add 'url { path / }'`,
			);
			return [];
		}
		return [
			{
				kind,
				...toChecking(draft, setting, {retry: 1, delayBeforeRetryUs: 3_000_000}),
				...target,
				...draft.protocol,
				fastRecovery: draft.fastRecovery,
				urls,
			},
		];
	};
}

/** `endpoint`: what the server is called when it has no name. */
function toUrl(
	draft: UrlDraft,
	check: HttpDraft,
	endpoint: string,
	{virtualHost, report}: CheckSetting,
): readonly HttpUrl[] {
	if (draft.path === null) {
		report.warning('missing', draft.place, 'url has no path and is left out', `add 'path /'`);
		return [];
	}
	const name = draft.virtualHost ?? check.virtualHost ?? virtualHost;
	return [
		{
			path: draft.path,
			host: name ?? endpoint,
			serverName: check.sni ? (check.serverName ?? name) : null,
			statusCodes: draft.statusCodes.length === 0 ? [SUCCESS] : draft.statusCodes,
			digest: draft.digest,
			pattern: toPattern(draft, report),
		},
	];
}

function toPattern(draft: UrlDraft, report: CheckSetting['report']): HttpPattern | null {
	const {pattern: source, inverted, minOffset, maxOffset} = draft;
	if (source === null) return null;
	const flags = [...new Set(draft.flags)].join('');
	try {
		new RegExp(source, flags);
	} catch (error) {
		report.error('bad-value', placeOf(draft, 'regex'), `regex: ${(error as Error).message}`);
		return null;
	}
	if (maxOffset !== null && maxOffset < minOffset) {
		const text = `regex_max_offset ${maxOffset} is below regex_min_offset ${minOffset}`;
		report.error('contradiction', placeOf(draft, 'regex_max_offset'), text, 'raise it');
	}
	return {source, flags, inverted, minOffset, maxOffset};
}
