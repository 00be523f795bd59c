import {addressBits, type Family, family} from '../../net/address.js';
import {type Destination, KEEPALIVED} from '../../net/netlink/ip-route.js';
import type {IpRule, NumberRange, RuleAction} from '../../net/netlink/ip-rule.js';
import {type Args, none, one} from '../args.js';
import type {Report} from '../diagnostics.js';
import type {Place, VirtualRule} from '../model.js';
import {full, type Keywords, type Row, readOptions, rows} from '../table.js';
import {integer, interfaceName, oneOf, type Value} from '../values.js';
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
	interfaceGroup,
	type Named,
	type NameResolver,
	type RealmsDraft,
	realms,
	table,
} from './iproute-values.js';
import {addressAndPrefix} from './virtual-address.js';

/** `virtual_rules` and `static_rules`: what `ip rule` takes, with keepalived's defaults. */

/** One line. null: not written. */
export interface RuleDraft extends Tracking {
	/** Of `inet` or `inet6`. */
	family: Family | null;
	priority: number | null;
	inverted: boolean;
	from: Destination | null;
	to: Destination | null;
	tos: Named;
	mark: IpRule['mark'];
	inputInterface: string | null;
	outputInterface: string | null;
	tunnelId: string | null;
	users: NumberRange | null;
	l3mdev: boolean;
	ipProtocol: number | null;
	sourcePorts: NumberRange | null;
	destinationPorts: NumberRange | null;
	table: Named | null;
	/** `goto`, `nop` or a type; with a table or l3mdev, there are too many. */
	readonly actions: RuleAction[];
	target: number | null;
	realms: RealmsDraft | null;
	suppressPrefixLength: number | null;
	suppressGroup: Named | null;
	protocol: number | null;
}

/** The lines of a block, each with its place. */
export type RuleDrafts = Lines<RuleDraft>;

function newRule(): RuleDraft {
	return {
		...newTracking(),
		family: null,
		priority: null,
		inverted: false,
		from: null,
		to: null,
		tos: {number: 0},
		mark: null,
		inputInterface: null,
		outputInterface: null,
		tunnelId: null,
		users: null,
		l3mdev: false,
		ipProtocol: null,
		sourcePorts: null,
		destinationPorts: null,
		table: null,
		actions: [],
		target: null,
		realms: null,
		suppressPrefixLength: null,
		suppressGroup: null,
		protocol: null,
	};
}

/** A network of which other bits may be set, as `ip rule` takes it; null: all. */
const selector: Value<Destination | null> = {
	usage: 'NETWORK|all',
	parse(text) {
		if (text === 'all' || text === 'any' || text === 'default') return {value: null};
		const parsed = addressAndPrefix.parse(text);
		if ('why' in parsed) return parsed;
		const {address, prefix} = parsed.value;
		return {value: {address, prefix: prefix ?? addressBits(family(address))}};
	},
};

const number = anyBase(0xffff_ffff);

/** `MARK[/MASK]` */
const mark: Value<NonNullable<IpRule['mark']>> = {
	usage: 'MARK[/MASK]',
	parse(text) {
		const [value = '', mask = '0xffffffff', ...rest] = text.split('/');
		const [parsed, parsedMask] = [number.parse(value), number.parse(mask)];
		if ('why' in parsed || 'why' in parsedMask || rest.length > 0) {
			return {why: 'is not MARK[/MASK]', wayOut: 'write it like 5 or 0x10/0xff'};
		}
		return {value: {value: parsed.value, mask: parsedMask.value}};
	},
};

/** `FIRST-LAST`; one number where `single`. */
function range(max: number, single: boolean): Value<NumberRange> {
	const usage = single ? 'FIRST[-LAST]' : 'FIRST-LAST';
	return {
		usage,
		parse(text) {
			const [, first = '', last = single ? first : ''] = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(text) ?? [];
			const [from, to] = [Number(first), Number(last)];
			if (first === '' || last === '' || to > max || from > to) return {why: `is not ${usage} within 0-${max}`};
			return {value: [from, to]};
		},
	};
}

/** 64 bits, which no number of JavaScript holds. */
const tunnelId: Value<string> = {
	usage: '0-18446744073709551615',
	parse(text) {
		const valid = /^\d{1,20}$/.test(text) && BigInt(text) < 1n << 64n;
		return valid ? {value: String(BigInt(text))} : {why: 'is not a whole number of at most 64 bits'};
	},
};

const protocolNames = oneOf({icmp: 1, tcp: 6, udp: 17, dccp: 33, gre: 47, esp: 50, ah: 51, 'ipv6-icmp': 58, sctp: 132});
const protocolNumbers = anyBase(255);
/** As `/etc/protocols` has them, of those that have ports or are filtered at all. */
const ipProtocol: Value<number> = {
	usage: `${protocolNames.usage}|${protocolNumbers.usage}`,
	parse: text => (/^\d/.test(text) ? protocolNumbers : protocolNames).parse(text.toLowerCase()),
};

function actionRow(action: RuleAction): Row<RuleDraft> {
	return full(none, (draft: RuleDraft) => {
		draft.actions.push(action);
	});
}

const options: Keywords<RuleDraft> = {
	not: full(none, draft => {
		draft.inverted = true;
	}),
	from: full(one(selector), (draft, from) => {
		draft.from = from;
	}),
	to: full(one(selector), (draft, to) => {
		draft.to = to;
	}),
	...familyOptions,
	...rows(
		'table lookup',
		full(one(table), (draft: RuleDraft, named) => {
			draft.table = named;
		}),
	),
	...rows(
		'preference order priority',
		full(one(number), (draft: RuleDraft, value) => {
			draft.priority = value;
		}),
	),
	...rows(
		'tos dsfield',
		full(one(dsfield), (draft: RuleDraft, named) => {
			draft.tos = named;
		}),
	),
	fwmark: full(one(mark), (draft, value) => {
		draft.mark = value;
	}),
	realms: full(one(realms), (draft, value) => {
		draft.realms = value;
	}),
	...rows(
		'suppress_prefixlength sup_pl',
		full(one(integer(0, 128)), (draft: RuleDraft, length) => {
			draft.suppressPrefixLength = length;
		}),
	),
	...rows(
		'suppress_ifgroup sup_group',
		full(one(interfaceGroup), (draft: RuleDraft, named) => {
			draft.suppressGroup = named;
		}),
	),
	...rows(
		'iif dev',
		full(one(interfaceName), (draft: RuleDraft, device) => {
			draft.inputInterface = device;
		}),
	),
	oif: full(one(interfaceName), (draft, device) => {
		draft.outputInterface = device;
	}),
	'tunnel-id': full(one(tunnelId), (draft, id) => {
		draft.tunnelId = id;
	}),
	uidrange: full(one(range(0xffff_ffff, false)), (draft, users) => {
		draft.users = users;
	}),
	l3mdev: full(none, draft => {
		draft.l3mdev = true;
	}),
	protocol: full(one(protocolNumbers), (draft, value) => {
		draft.protocol = value;
	}),
	ipproto: full(one(ipProtocol), (draft, value) => {
		draft.ipProtocol = value;
	}),
	sport: full(one(range(0xffff, true)), (draft, ports) => {
		draft.sourcePorts = ports;
	}),
	dport: full(one(range(0xffff, true)), (draft, ports) => {
		draft.destinationPorts = ports;
	}),
	type: full(none, () => {}),
	goto: full(one(number), (draft, target) => {
		draft.actions.push('goto');
		draft.target = target;
	}),
	nop: actionRow('nop'),
	blackhole: actionRow('blackhole'),
	unreachable: actionRow('unreachable'),
	prohibit: actionRow('prohibit'),
};

function ruleArgs(tracking: Keywords<Tracking>): Args<RuleDraft> {
	const all: Keywords<RuleDraft> = {...options, ...tracking};
	return {
		usage: '[not] [from NETWORK] [to NETWORK] [fwmark MARK[/MASK]] [iif INTERFACE] … table TABLE|goto NUMBER|nop|TYPE',
		read(words) {
			const draft = newRule();
			return readOptions(words, all, draft) ? draft : undefined;
		},
	};
}

export const virtualRuleArgs = ruleArgs(trackOption);
export const staticRuleArgs = ruleArgs(trackGroupOption);

// Meaning

/** keepalived's: rules without a preference take this and those below it, one after the other. */
const PRIORITY_START = 16_384;

/** The preferences that are left for rules without one, by family. */
export class RulePriorities {
	readonly #next: Record<Family, number> = {4: PRIORITY_START, 6: PRIORITY_START};

	next(of: Family): number {
		return this.#next[of]--;
	}
}

export function toRules(
	drafts: RuleDrafts,
	names: NameResolver,
	priorities: RulePriorities,
	report: Report,
): VirtualRule[] {
	return bounded(drafts, report).map(({place, draft}) => {
		const of = resolveFamily(draft, place, report);
		const action = resolveAction(draft, place, report);
		const {actions, ...said} = draft;
		const {table, suppressGroup, realms, mark, target} = said;
		const priority = draft.priority ?? choosePriority(priorities.next(of), place, report);
		if (target !== null && target <= priority) {
			const text = `goto ${target} does not lead forward: the rule's own preference is ${priority}`;
			report.error('contradiction', place, text, 'choose a greater number');
		}
		return {
			...said,
			place,
			family: of,
			priority,
			mark: mark?.value === 0 && mark.mask === 0 ? null : mark,
			from: narrowing(draft.from),
			to: narrowing(draft.to),
			tos: names.number(draft.tos, place),
			action,
			table: table === null ? 0 : names.number(table, place),
			realms: realms === null ? null : names.realms(realms, place),
			suppressGroup: suppressGroup === null ? null : names.number(suppressGroup, place),
			protocol: ourProtocol('rules', draft.protocol ?? KEEPALIVED, draft, place, report),
		};
	});
}

/** Everything is no condition. */
function narrowing(selector: Destination | null): Destination | null {
	return selector?.prefix === 0 ? null : selector;
}

function resolveFamily({family: said, from, to, realms}: RuleDraft, place: Place, report: Report): Family {
	const families = [from, to].flatMap(selector => (selector === null ? [] : [family(selector.address)]));
	const of = said ?? families[0] ?? 4;
	if (families.some(other => other !== of)) {
		report.error('contradiction', place, 'the rule mixes IPv4 and IPv6', 'write one rule for each');
	}
	if (of === 6 && realms !== null) report.error('contradiction', place, 'realms are for IPv4', 'remove them');
	return of;
}

function resolveAction(draft: RuleDraft, place: Place, report: Report): RuleAction {
	const {table, l3mdev, actions, realms, suppressGroup, suppressPrefixLength} = draft;
	const lookUps = Number(table !== null) + Number(l3mdev);
	if (lookUps + actions.length === 0) {
		report.error('missing', place, 'the rule does not say what to do', `add 'table TABLE', for example`);
	}
	if (lookUps + actions.length > 1) {
		const text = 'the rule has several of table, l3mdev, goto, nop, blackhole, unreachable and prohibit';
		report.error('contradiction', place, text, 'choose one');
	}
	if (table !== null && 'number' in table && table.number === 0) {
		report.error('bad-value', place, 'there is no table 0', 'use 1 or more');
	}
	if (lookUps === 0 && (realms !== null || suppressGroup !== null || suppressPrefixLength !== null)) {
		report.error('contradiction', place, 'realms and suppress_… are for rules with a table', 'remove them');
	}
	return actions[0] ?? 'table';
}

function choosePriority(chosen: number, place: Place, report: Report): number {
	const text = `the rule has no preference; it becomes ${chosen} as in keepalived, which is hardly what you want`;
	report.warning('missing', place, text, `add 'preference NUMBER'`);
	return chosen;
}
