/**
 * What is different between two configurations, in the words of the file: what `lbctl plan` prints and a reload applies.
 * Pure. A field that this file does not know is compared and shown like the others, under its own name.
 */
import type {Backend, Check, Config, Service} from '../conf/model.js';
import {isSame} from './same.js';

/** One difference. */
export interface Change {
	/** The blocks that it is in, outermost first: `virtual_server 192.168.1.1:80`, `real_server 10.0.0.71:80`. */
	readonly blocks: readonly string[];
	readonly kind: 'added' | 'removed' | 'changed';
	/** The keyword, or the block with its name. */
	readonly what: string;
	/** Values as text; null where a whole block comes or goes. */
	readonly before: string | null;
	readonly after: string | null;
	/** Names of the service and the backend that it is about; null: of none, or of all of the service. */
	readonly service: string | null;
	readonly backend: string | null;
	/** The service or the backend itself comes or goes, not a part of it. */
	readonly itself: boolean;
}

/** Everything that is different, in the order of the blocks. */
export function changes(before: Config, after: Config): readonly Change[] {
	const found = new Comparison();
	found.fields(['global_defs'], before.globals, after.globals);
	found.fields(['lbd'], before.settings, after.settings);
	found.fields([], before.statics, after.statics);
	found.named('track_group', before.trackGroups, after.trackGroups);
	found.named('vrrp_script', before.trackers.scripts, after.trackers.scripts);
	found.named('track_file', before.trackers.files, after.trackers.files);
	found.named('vrrp_track_process', before.trackers.processes, after.trackers.processes);
	found.named('interface_up_down_delays', before.linkDelays, after.linkDelays);
	found.named('vrrp_sync_group', before.syncGroups, after.syncGroups);
	found.named('vrrp_instance', before.instances, after.instances);
	found.services(before.services, after.services);
	return found.changes;
}

/** What a block of each kind of check is called. */
const CHECKS: Readonly<Record<Check['kind'], string>> = {
	tcp: 'TCP_CHECK',
	http: 'HTTP_GET',
	https: 'SSL_GET',
	smtp: 'SMTP_CHECK',
	dns: 'DNS_CHECK',
	udp: 'UDP_CHECK',
	ping: 'PING_CHECK',
	misc: 'MISC_CHECK',
	file: 'FILE_CHECK',
};

/** Keywords of fields that are not called like them, by name or by the field that they are in and their name. */
const KEYWORDS: Readonly<Record<string, string>> = {
	scheduler: 'lb_algo',
	forwarding: 'lb_kind',
	'forwarding.method': 'lb_kind',
	persistence: 'persistence_timeout',
	'persistence.timeoutS': 'persistence_timeout',
	'persistence.granularity': 'persistence_granularity',
	hashPort: 'sh-port',
	hashFallback: 'sh-fallback',
	perSource: 'new_connections_per_source',
	'perSource.perSecond': 'new_connections_per_source',
	'perSource.burst': 'new_connections_per_source at once',
	perService: 'new_connections_per_service',
	'perService.perSecond': 'new_connections_per_service',
	'perService.burst': 'new_connections_per_service at once',
	upperThreshold: 'uthreshold',
	lowerThreshold: 'lthreshold',
	'timeoutsS.tcp': 'lvs_timeouts tcp',
	'timeoutsS.tcpFin': 'lvs_timeouts tcpfin',
	'timeoutsS.udp': 'lvs_timeouts udp',
	connectAddress: 'connect_ip',
	bindAddress: 'bindto',
	urls: 'url',
	timeoutUs: 'timeout',
	initialState: 'state',
	vrid: 'virtual_router_id',
	advertUs: 'advert_int',
	password: 'auth_pass',
	'authHmac.keys': 'auth_hmac key',
	'authHmac.activeKeyId': 'auth_hmac active_key',
	'authHmac.antiReplay': 'auth_hmac anti_replay',
	'authHmac.windowS': 'auth_hmac time_window',
	'authHmac.mode': 'auth_hmac mode',
	'instance.addresses': 'virtual_ipaddress',
	excludedAddresses: 'virtual_ipaddress_excluded',
	'instance.routes': 'virtual_routes',
	'instance.rules': 'virtual_rules',
	'statics.addresses': 'static_ipaddress',
	'statics.routes': 'static_routes',
	'statics.rules': 'static_rules',
	sourceAddress: 'mcast_src_ip',
	trackSourceAddress: 'track_src_ip',
	'garp.masterRepeat': 'garp_master_repeat',
	'garp.masterDelayUs': 'garp_master_delay',
	'garp.masterRefreshUs': 'garp_master_refresh',
	'garp.masterRefreshRepeat': 'garp_master_refresh_repeat',
	'garp.lowerPriorityRepeat': 'garp_lower_prio_repeat',
	'garp.lowerPriorityDelayUs': 'garp_lower_prio_delay',
	tracks: 'track',
	'mail.to': 'notification_email',
	'mail.from': 'notification_email_from',
	'mail.server': 'smtp_server',
	'mail.heloName': 'smtp_helo_name',
	'mail.timeoutUs': 'smtp_connect_timeout',
	blocked: 'block',
};

/** Values that are not for screens and logs. */
const SECRET = /password|secret|key$/i;
/** The ends of names that tell a unit. */
const UNIT = /(?:Us|S)$/;
/** Of the source text or said by others: no difference of their own. */
const PLACE = 'place';
/** As they name the block, or are compared as blocks of their own. */
const NAMES: ReadonlySet<string> = new Set([PLACE, 'name', 'realServer', 'backends', 'checks', 'sorryServer']);

type Blocks = readonly string[];
type Struct = Readonly<Record<string, unknown>>;
type Owner = Pick<Change, 'service' | 'backend'>;

const NOBODY: Owner = {service: null, backend: null};

class Comparison {
	readonly changes: Change[] = [];

	services(before: readonly Service[], after: readonly Service[]): void {
		this.#pairs(
			before,
			after,
			({name}) => name,
			(old, now, name) => {
				const owner = {service: name, backend: null};
				if (old === undefined || now === undefined)
					this.#block([], `virtual_server ${name}`, now !== undefined, owner, true);
				else this.#service(old, now, [`virtual_server ${name}`], owner);
			},
		);
	}

	#service(before: Service, after: Service, blocks: Blocks, owner: Owner): void {
		this.fields(blocks, before, after, '', owner);
		this.#backends('real_server', before.backends, after.backends, blocks, owner);
		const sorry = ({sorryServer}: Service): readonly Backend[] => (sorryServer === null ? [] : [sorryServer.backend]);
		this.#backends('sorry_server', sorry(before), sorry(after), blocks, owner);
		this.#value(blocks, 'inhibit', before.sorryServer?.inhibit, after.sorryServer?.inhibit, owner);
		const order = inCommon(before.backends, after.backends);
		this.#value(blocks, 'order of real_server', order(before.backends), order(after.backends), owner);
	}

	#backends(word: string, before: readonly Backend[], after: readonly Backend[], blocks: Blocks, owner: Owner): void {
		this.#pairs(
			before,
			after,
			({name}) => name,
			(old, now, name) => {
				const of = {service: owner.service, backend: name};
				const title = `${word} ${name}`;
				if (old === undefined || now === undefined) return this.#block(blocks, title, now !== undefined, of, true);
				this.fields([...blocks, title], old, now, '', of);
				this.#checks(old.checks, now.checks, [...blocks, title], of);
			},
		);
	}

	/** Those of one kind are paired by their order. */
	#checks(before: readonly Check[], after: readonly Check[], blocks: Blocks, owner: Owner): void {
		const titles = (checks: readonly Check[]) => numbered(checks, ({kind}) => CHECKS[kind]);
		this.#pairs(
			titles(before),
			titles(after),
			({title}) => title,
			(old, now, title) => {
				if (old === undefined || now === undefined) this.#block(blocks, title, now !== undefined, owner);
				else this.fields([...blocks, title], old.value, now.value, '', owner);
			},
		);
	}

	/** Blocks that have names. */
	named<T extends {readonly name: string}>(word: string, before: readonly T[], after: readonly T[]): void {
		this.#pairs(
			before,
			after,
			({name}) => name,
			(old, now, name) => {
				const title = `${word} ${name}`;
				if (old === undefined || now === undefined) this.#block([], title, now !== undefined, NOBODY);
				else this.fields([title], old, now, word.replace(/^vrrp_/, ''));
			},
		);
	}

	/** The fields of a block, or of a part of it that is called `within`. */
	fields(
		blocks: Blocks,
		before: object,
		after: object,
		within = blocks.length === 0 ? 'statics' : '',
		owner = NOBODY,
	): void {
		const [old, now] = [before as Struct, after as Struct];
		for (const field in old) this.#field(blocks, field, old[field], now[field], within, owner);
		for (const field in now) if (!(field in old)) this.#field(blocks, field, undefined, now[field], within, owner);
	}

	#field(blocks: Blocks, field: string, old: unknown, now: unknown, within: string, owner: Owner): void {
		if (!NAMES.has(field) && !isSame(old, now, PLACE)) this.#difference(blocks, field, old, now, within, owner);
	}

	#difference(blocks: Blocks, field: string, old: unknown, now: unknown, within: string, owner: Owner): void {
		const keyword = keywordOf(within, field);
		if (Array.isArray(old) && Array.isArray(now)) return this.#lines(blocks, keyword, old, now, owner);
		if (isStruct(old) && isStruct(now) && haveSameFields(old, now)) return this.fields(blocks, old, now, field, owner);
		const unit = UNIT.test(field) ? field : within;
		const show = (value: unknown): string => (SECRET.test(field) ? secret(value) : text(value, unit));
		this.#changed(blocks, keyword, show(old), show(now), owner);
	}

	/** Lines of a block, such as addresses: which come and which go. A great many are only counted. */
	#lines(blocks: Blocks, keyword: string, before: readonly unknown[], after: readonly unknown[], owner: Owner): void {
		const [old, now] = [before, after].map(list => new Set(list.map(value => text(value, keyword))));
		const gone = [...(old ?? [])].filter(line => !now?.has(line));
		const come = [...(now ?? [])].filter(line => !old?.has(line));
		if (gone.length + come.length > LINES_MAX) {
			this.#changed(blocks, keyword, `${before.length} entries`, `${after.length} entries`, owner);
			return;
		}
		for (const line of gone) this.#block(blocks, `${keyword} ${line}`, false, owner);
		for (const line of come) this.#block(blocks, `${keyword} ${line}`, true, owner);
		if (gone.length + come.length > 0) return;
		const [was, is] = [[...(old ?? [])].join(', '), [...(now ?? [])].join(', ')];
		// Lines that only a secret tells apart are not in another order.
		this.#changed(blocks, was === is ? keyword : `order of ${keyword}`, was, is, owner);
	}

	#value(blocks: Blocks, what: string, before: unknown, after: unknown, owner: Owner): void {
		if (before === after || before === undefined || after === undefined) return;
		this.#changed(blocks, what, text(before, ''), text(after, ''), owner);
	}

	#changed(blocks: Blocks, what: string, before: string, after: string, owner: Owner): void {
		this.changes.push({blocks, kind: 'changed', what, before, after, itself: false, ...owner});
	}

	#block(blocks: Blocks, what: string, isNew: boolean, owner: Owner, itself = false): void {
		this.changes.push({blocks, kind: isNew ? 'added' : 'removed', what, before: null, after: null, itself, ...owner});
	}

	/** Visits all of two lists by their keys: first what was there, then what is new. */
	#pairs<T>(
		before: readonly T[],
		after: readonly T[],
		keyOf: (value: T) => string,
		visit: (old: T | undefined, now: T | undefined, key: string) => void,
	): void {
		const rest = new Map<string, T>();
		for (const value of after) rest.set(keyOf(value), value);
		for (const old of before) {
			const key = keyOf(old);
			visit(old, rest.get(key), key);
			rest.delete(key);
		}
		for (const [key, now] of rest) visit(undefined, now, key);
	}
}

/** Lines of a list that are told one by one. */
const LINES_MAX = 32;

/** Of those that stand in both lists, the names in the order of a list. */
function inCommon(before: readonly Backend[], after: readonly Backend[]): (list: readonly Backend[]) => string {
	const [old, now] = [before, after].map(list => new Set(list.map(({name}) => name)));
	return list =>
		list
			.map(({name}) => name)
			.filter(name => old?.has(name) && now?.has(name))
			.join(' ');
}

/** `TCP_CHECK`, and `TCP_CHECK 2` for the second of the kind. */
function numbered<T>(
	values: readonly T[],
	titleOf: (value: T) => string,
): {readonly title: string; readonly value: T}[] {
	const seen = new Map<string, number>();
	return values.map(value => {
		const title = titleOf(value);
		const number = (seen.get(title) ?? 0) + 1;
		seen.set(title, number);
		return {title: number === 1 ? title : `${title} ${number}`, value};
	});
}

function isStruct(value: unknown): value is object {
	return typeof value === 'object' && value !== null;
}

function haveSameFields(a: object, b: object): boolean {
	return Object.keys(a).sort().join() === Object.keys(b).sort().join();
}

/** `delayLoopUs` is `delay_loop`. */
function keywordOf(within: string, field: string): string {
	const snake = field.replace(UNIT, '').replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
	return KEYWORDS[`${within}.${field}`] ?? KEYWORDS[field] ?? snake;
}

/** A value as short text; the name of its field tells the unit. */
function text(value: unknown, field: string): string {
	if (value === null || value === undefined) return 'none';
	if (typeof value === 'boolean') return value ? 'on' : 'off';
	if (typeof value === 'number' && field.endsWith('Us')) return `${value / 1e6} s`;
	if (typeof value === 'number' && field.endsWith('S')) return `${value} s`;
	if (Array.isArray(value)) return value.map(one => text(one, field)).join(' ');
	if (typeof value !== 'object') return String(value);
	return Object.entries(withShortAddress(value))
		.filter(([name, part]) => name !== PLACE && part !== null && part !== false && part !== USUAL[name])
		.map(([name, part]) => (SECRET.test(name) ? secret(part) : partText(name, part)))
		.filter(part => part !== '')
		.join(' ');
}

/** What goes without saying in a line of addresses, routes or rules. */
const USUAL: Readonly<Record<string, unknown>> = {tracked: true, scope: 0, tos: 0};

/** An address of a link as `ip` writes it. */
function withShortAddress(value: object): object {
	const {address, prefix, device, ...rest} = value as {address?: unknown; prefix?: unknown; device?: unknown};
	return prefix === undefined
		? value
		: {address: `${address}/${prefix}${device === undefined ? '' : ` dev ${device}`}`, ...rest};
}

/** `name` alone says nothing that text would not; numbers and flags need it. */
function partText(name: string, part: unknown): string {
	if (part === true) return keywordOf('', name);
	return typeof part === 'number' ? `${keywordOf('', name)} ${text(part, name)}` : text(part, name);
}

function secret(value: unknown): string {
	return value === null ? 'none' : '(secret)';
}
