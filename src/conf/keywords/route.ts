import {type Family, family} from '../../net/address.js';
import {
	type Destination,
	type Hop,
	KEEPALIVED,
	ROUTE_PREFERENCES,
	ROUTE_TYPES,
	type RouteMetric,
	type RoutePlacement,
	type RouteType,
	UNSPECIFIED,
} from '../../net/netlink/ip-route.js';
import {type Args, none, one} from '../args.js';
import type {Report} from '../diagnostics.js';
import type {Place, VirtualRoute} from '../model.js';
import {accepted, each, full, type Keywords, type Row, readOptions, refused, rows} from '../table.js';
import {integer, interfaceName, ip, network, oneOf, suggestion, type Value, word} from '../values.js';
import {
	bounded,
	type Lines,
	newTracking,
	ourProtocol,
	type Tracking,
	trackGroupOption,
	trackOption,
} from './holding.js';
import {
	anyBase,
	dsfield,
	familyOptions,
	type Named,
	type NameResolver,
	protocol,
	type RealmsDraft,
	realms,
	scope,
	table,
} from './iproute-values.js';

/** `virtual_routes` and `static_routes`: what `ip route` takes, with keepalived's defaults. */

type HopDraft = {-readonly [K in keyof Omit<Hop<string>, 'realms'>]: Hop<string>[K]} & {realms: RealmsDraft | null};

/** One line. null: not written. */
export interface RouteDraft extends Tracking {
	type: RouteType;
	/** Of `inet` or `inet6`. */
	family: Family | null;
	destination: Destination | 'default' | null;
	from: Destination | null;
	source: string | null;
	table: Named;
	protocol: Named;
	scope: Named | null;
	tos: Named;
	priority: number | null;
	readonly metrics: {[M in RouteMetric]?: M extends 'congctl' ? string : number};
	readonly locked: Set<RouteMetric>;
	expiresS: number | null;
	preference: number | null;
	propagatesTtl: boolean | null;
	placement: RoutePlacement;
	/** What is written outside of any `nexthop`. */
	readonly only: HopDraft;
	readonly hops: HopDraft[];
}

/** The lines of a block, each with its place. */
export type RouteDrafts = Lines<RouteDraft>;

function newHop(): HopDraft {
	return {device: null, gateway: null, weight: 1, onlink: false, realms: null};
}

function newRoute(): RouteDraft {
	return {
		...newTracking(),
		type: 'unicast',
		family: null,
		destination: null,
		from: null,
		source: null,
		table: {number: TABLE_MAIN},
		protocol: {number: KEEPALIVED},
		scope: null,
		tos: {number: 0},
		priority: null,
		metrics: {},
		locked: new Set(),
		expiresS: null,
		preference: null,
		propagatesTtl: null,
		placement: 'prepend',
		only: newHop(),
		hops: [],
	};
}

const TABLE_MAIN = 254;
const SCOPE_LINK = 253;
const SCOPE_HOST = 254;

const destination: Value<Destination | 'default'> = {
	usage: 'NETWORK|default',
	parse(text) {
		if (text === 'default') return {value: text};
		if (/[.:]/.test(text)) return network.parse(text);
		return {why: 'is no option of a route, and no network', wayOut: suggestion(text, Object.keys(options))};
	},
};

/** `via [inet|inet6] IP` */
const gateway: Args<string> = {
	usage: '[inet|inet6] IP',
	read(words) {
		const next = words.peek()?.text;
		if (next === 'inet' || next === 'inet6') words.shift();
		return words.take(ip);
	},
};

const enabled = oneOf({enabled: true, disabled: false});

// Metrics

/** `[lock] VALUE` */
function lockable<V>(value: Value<V>): Args<{readonly value: V; readonly locked: boolean}> {
	return {
		usage: `[lock] ${value.usage}`,
		read(words) {
			const locked = words.peek()?.text === 'lock';
			if (locked) words.shift();
			const said = words.take(value);
			return said === undefined ? undefined : {value: said, locked};
		},
	};
}

function metric(name: Exclude<RouteMetric, 'congctl'>, value: Value<number>): Row<RouteDraft> {
	return full(lockable(value), (draft: RouteDraft, {value: number, locked}) => {
		draft.metrics[name] = number;
		if (locked) draft.locked.add(name);
	});
}

/** Below this, keepalived and `ip` would make a connection repeat itself for nothing. */
const TIME_MIN_MS = 200;

/**
 * A time: with `ms` or `s` behind it, or in the kernel's own unit, of which there are `perMs`. Shorter ones become 200 ms
 * as in keepalived.
 */
function roundTrip(perMs: number): Value<number> {
	return {
		usage: 'TIME[ms|s]',
		parse(text) {
			const [, digits, unit] = /^(\d{1,7}(?:\.\d{1,3})?)(ms|s|)$/.exec(text) ?? [];
			if (digits === undefined) return {why: 'is not a time', wayOut: 'write it like 300ms or 1.5s'};
			const perUnit = {s: 1000 * perMs, ms: perMs, '': 1}[unit ?? ''] ?? 1;
			return {value: Math.max(Math.round(Number(digits) * perUnit), TIME_MIN_MS * perMs)};
		},
	};
}

const u32 = integer(0, 0xffff_ffff);
/** RTAX_FEATURE_ECN */
const features = oneOf({ecn: 1});

/** TCP_CA_NAME_MAX holds 15 characters and the end. */
const congestionControl: Value<string> = {
	usage: 'NAME',
	parse: text => (/^[\w-]{1,15}$/.test(text) ? {value: text} : {why: 'cannot be the name of an algorithm'}),
};

const metrics: Keywords<RouteDraft> = {
	mtu: metric('mtu', u32),
	advmss: metric('advmss', u32),
	hoplimit: metric('hoplimit', integer(0, 255)),
	rtt: metric('rtt', roundTrip(8)),
	rttvar: metric('rttvar', roundTrip(4)),
	rto_min: metric('rto_min', roundTrip(1)),
	reordering: metric('reordering', u32),
	window: metric('window', u32),
	cwnd: metric('cwnd', u32),
	ssthresh: metric('ssthresh', u32),
	initcwnd: metric('initcwnd', u32),
	initrwnd: metric('initrwnd', u32),
	quickack: metric('quickack', integer(0, 1)),
	fastopen_no_cookie: metric('fastopen_no_cookie', integer(0, 1)),
	features: metric('features', features),
	congctl: full(lockable(congestionControl), (draft: RouteDraft, {value: name, locked}) => {
		draft.metrics.congctl = name;
		if (locked) draft.locked.add('congctl');
	}),
};

// Ways

/** What may be said of a way, be it the only one or one of several. */
const hopOptions: Keywords<HopDraft> = {
	...rows(
		'via gw',
		full(gateway, (draft: HopDraft, address) => {
			draft.gateway = address;
		}),
	),
	...rows(
		'dev oif',
		full(one(interfaceName), (draft: HopDraft, device) => {
			draft.device = device;
		}),
	),
	onlink: full(none, draft => {
		draft.onlink = true;
	}),
	realms: full(one(realms), (draft, value) => {
		draft.realms = value;
	}),
	encap: refused('routes make no tunnels: a virtual_server with lb_kind TUN does'),
};

const nextHop: Args<HopDraft> = {
	usage: '[via IP] [dev INTERFACE] [weight 1-256] [onlink] [realms REALMS]',
	read(words) {
		const hop = newHop();
		const options: Keywords<HopDraft> = {
			...hopOptions,
			weight: full(one(integer(1, 256)), (draft, weight) => {
				draft.weight = weight;
			}),
		};
		return readOptions(words, options, hop, 'end') ? hop : undefined;
	},
};

// Lines

function placement(where: RoutePlacement): Row<RouteDraft> {
	return full(none, (draft: RouteDraft) => {
		draft.placement = where;
	});
}

function typeRow(type: RouteType): Row<RouteDraft> {
	return full(none, (draft: RouteDraft) => {
		draft.type = type;
	});
}

const toRow: Row<RouteDraft> = full(one(destination), (draft: RouteDraft, to) => {
	draft.destination = to;
});

const {nat, ...types} = ROUTE_TYPES;

const options: Keywords<RouteDraft> = {
	...Object.fromEntries(Object.keys(types).map(type => [type, typeRow(type as RouteType)])),
	nat: refused('Linux has no NAT routes since 2.6'),
	to: toRow,
	from: full(one(network), (draft, from) => {
		draft.from = from;
	}),
	...familyOptions,
	src: full(one(ip), (draft, address) => {
		draft.source = address;
	}),
	...Object.fromEntries(Object.entries(hopOptions).map(([keyword, row]) => [keyword, ofOnlyHop(row)])),
	nexthop: each(nextHop, (draft, hop) => {
		draft.hops.push(hop);
	}),
	or: full(gateway, (draft, address) => {
		draft.hops.push({...newHop(), gateway: address});
	}),
	table: full(one(table), (draft, named) => {
		draft.table = named;
	}),
	protocol: full(one(protocol), (draft, named) => {
		draft.protocol = named;
	}),
	scope: full(one(scope), (draft, named) => {
		draft.scope = named;
	}),
	...rows(
		'tos dsfield',
		full(one(dsfield), (draft: RouteDraft, named) => {
			draft.tos = named;
		}),
	),
	...rows(
		'metric priority preference',
		full(one(anyBase(0xffff_ffff)), (draft: RouteDraft, value) => {
			draft.priority = value;
		}),
	),
	...metrics,
	expires: full(one(integer(1, 0x7fff_ffff)), (draft, secondsLeft) => {
		draft.expiresS = secondsLeft;
	}),
	pref: full(one(oneOf(ROUTE_PREFERENCES)), (draft, value) => {
		draft.preference = value;
	}),
	'ttl-propagate': full(one(enabled), (draft, propagates) => {
		draft.propagatesTtl = propagates;
	}),
	prepend: placement('prepend'),
	append: placement('append'),
	add: placement('add'),
	as: accepted('only routes of MPLS have labels', one(word)),
	vrf: refused('name the table of the VRF'),
};

function ofOnlyHop(row: Row<HopDraft>): Row<RouteDraft> {
	return {...row, body: null, set: (draft, value, place) => row.set(draft.only, value, place)};
}

function routeArgs(tracking: Keywords<Tracking>): Args<RouteDraft> {
	const all: Keywords<RouteDraft> = {...options, ...tracking};
	return {
		usage: '[TYPE] [to] NETWORK|default [via IP] [dev INTERFACE] [table TABLE] [metric NUMBER] … [nexthop …] …',
		read(words) {
			const draft = newRoute();
			return readOptions(words, all, draft, toRow) ? draft : undefined;
		},
	};
}

export const virtualRouteArgs = routeArgs(trackOption);
export const staticRouteArgs = routeArgs(trackGroupOption);

// Meaning

export function toRoutes(drafts: RouteDrafts, names: NameResolver, report: Report): VirtualRoute[] {
	return bounded(drafts, report).map(({place, draft}) => new RouteCompiler(place, draft, names, report).route());
}

/** Types that lead nowhere. */
const DEAD_ENDS: readonly RouteType[] = ['blackhole', 'unreachable', 'prohibit', 'throw'];

class RouteCompiler {
	readonly #place: Place;
	readonly #draft: RouteDraft;
	readonly #names: NameResolver;
	readonly #report: Report;

	constructor(place: Place, draft: RouteDraft, names: NameResolver, report: Report) {
		this.#place = place;
		this.#draft = draft;
		this.#names = names;
		this.#report = report;
	}

	route(): VirtualRoute {
		const {type, source, priority, metrics, locked, preference, propagatesTtl, placement, trackGroup} = this.#draft;
		const of = this.#family();
		const tos = this.#names.number(this.#draft.tos, this.#place);
		this.#checkIpv6Options(of);
		return {
			place: this.#place,
			tracked: this.#draft.tracked && this.#draft.expiresS === null,
			trackGroup,
			family: of,
			type,
			destination: this.#destination(of),
			from: this.#draft.from,
			table: this.#table(),
			protocol: ourProtocol(
				'routes',
				this.#names.number(this.#draft.protocol, this.#place),
				this.#draft,
				this.#place,
				this.#report,
			),
			scope: this.#scope(of),
			// The kernel drops it from IPv6 routes without a word.
			tos: of === 4 ? tos : 0,
			priority,
			source,
			hops: this.#hops(of),
			metrics,
			locked: [...locked],
			expiresS: this.#draft.expiresS,
			preference,
			propagatesTtl,
			placement,
		};
	}

	/** keepalived's choice: the first address decides, and IPv4 where there is none. */
	#family(): Family {
		const {family: said, destination, from, source, only, hops} = this.#draft;
		const to = destination === 'default' ? null : destination;
		const addresses = [to?.address, from?.address, source ?? undefined].filter(address => address !== undefined);
		const gateways = [only, ...hops].map(hop => hop.gateway).filter(address => address !== null);
		const [telling] = [...addresses, ...gateways];
		const of = said ?? (telling === undefined ? 4 : family(telling));
		const strange =
			addresses.some(address => family(address) !== of) ||
			(of === 6 && gateways.some(address => family(address) === 4));
		if (strange) {
			this.#error('contradiction', 'the route mixes IPv4 and IPv6', 'only a gateway of an IPv4 route may be of IPv6');
		}
		return of;
	}

	#destination(of: Family): Destination {
		const {destination} = this.#draft;
		if (destination === null) this.#error('missing', 'the route has no destination', `write a network, or 'default'`);
		if (destination === null || destination === 'default') return {address: UNSPECIFIED[of], prefix: 0};
		return destination;
	}

	#table(): number {
		const number = this.#names.number(this.#draft.table, this.#place);
		if (number === 0 && 'number' in this.#draft.table) this.#error('bad-value', 'there is no table 0', 'use 1 or more');
		return number;
	}

	/** keepalived's default is `global`; the kernel has these types in narrower scopes only. */
	#scope(of: Family): number {
		const {type, scope} = this.#draft;
		const said = scope === null ? null : this.#names.number(scope, this.#place);
		if (of === 6) return 0;
		if (said !== null) return said;
		if (type === 'local') return SCOPE_HOST;
		return type === 'broadcast' || type === 'anycast' ? SCOPE_LINK : 0;
	}

	#hops(of: Family): Hop<string>[] {
		const {type, only, hops} = this.#draft;
		const isSaid = only.device !== null || only.gateway !== null;
		if (DEAD_ENDS.includes(type)) {
			if (isSaid || hops.length > 0) {
				this.#error('contradiction', `a route of type ${type} leads nowhere`, `remove 'via', 'dev' and 'nexthop'`);
			}
			return [];
		}
		const all = this.#withAlternative(only, hops);
		if (!isSaid && all.length === 0) {
			this.#error('missing', `the route does not say where it leads`, `add 'via IP' or 'dev INTERFACE'`);
		}
		for (const {device, gateway} of all) {
			if (device !== null || gateway !== null) continue;
			this.#error('missing', `a nexthop of the route says neither 'via' nor 'dev'`, 'add one of them');
		}
		if (all.length === 0) return [this.#hop(only)];
		if (of === 4 || all.every(hop => hop.realms === null)) return all.map(hop => this.#hop(hop));
		this.#error('contradiction', 'realms are for IPv4', 'remove them');
		return [];
	}

	/** `via A or B` are two ways; a `nexthop` list stands for itself. */
	#withAlternative(only: HopDraft, hops: readonly HopDraft[]): readonly HopDraft[] {
		if (hops.length === 0 || (only.gateway === null && only.device === null)) return hops;
		if (only.gateway !== null) return [only, ...hops.map(hop => ({...hop, device: hop.device ?? only.device}))];
		this.#error('contradiction', `the route has both 'dev' and 'nexthop'`, `write 'dev' behind each 'nexthop'`);
		return hops;
	}

	#hop({realms, ...hop}: HopDraft): Hop<string> {
		return {...hop, realms: realms === null ? null : this.#names.realms(realms, this.#place)};
	}

	#checkIpv6Options(of: Family): void {
		if (of === 6) return;
		const {expiresS, preference, from} = this.#draft;
		const said = [expiresS !== null && 'expires', preference !== null && 'pref', from !== null && 'from'];
		for (const option of said.filter(option => option !== false)) {
			this.#error('contradiction', `${option} is for IPv6 routes`, 'remove it');
		}
	}

	#error(code: 'missing' | 'contradiction' | 'bad-value', text: string, wayOut: string): void {
		this.#report.error(code, this.#place, text, wayOut);
	}
}
