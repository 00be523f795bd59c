/**
 * Maps that another version of the program has pinned, an earlier or a later one: what becomes of each of them is decided
 * by its name and its layout before anything is touched.
 */
import {type BpfMap, MapType, type RawMap} from 'libbpf-ts';
import type {MapDefinition, Shape, StructLayout} from 'libbpf-ts/btf';
import {Bug} from '../errors.js';
import {FilterSide, nic, type Settings} from './layout.gen.js';
import {type Convert, converter, type MapLayouts, sameMeaning} from './layouts.js';

/**
 * What becomes of a map: it goes on, a new one gets what it holds, the program is told what it held (see `fieldsIn`), or a new
 * one begins empty.
 */
export type MapFate = 'kept' | 'carried over' | 'told anew' | 'begun anew';

interface Kind {
	/**
	 * `plan`: the configuration decides what it holds. `state`: connections and their like, which nobody can make again.
	 * `count`: what the past amounts to. `passing`: what is over in seconds.
	 */
	readonly role: 'plan' | 'state' | 'count' | 'passing';
	/** What is lost with it. */
	readonly holds: string;
	/** The enums that say what its numbers mean. */
	readonly enums?: readonly string[];
	/** Packets change it while it is read, and one word means several things: nobody can carry it over. */
	readonly packed?: true;
	/** Fields of what earlier versions had in a hash, from which the program can be told it. */
	readonly told?: readonly string[];
	/** Fields by which others know its entries. */
	readonly identity?: readonly string[];
}

const FLOWS: Kind = {role: 'state', holds: 'all connections', enums: ['flow_state', 'flow_shift'], packed: true};
const PLAN: Kind = {role: 'plan', holds: 'what the configuration says'};
const PASSING: Kind = {role: 'passing', holds: 'what is over in seconds'};

/** By the name of the map; that of IPv6 is of the same kind. */
const KINDS: Readonly<Record<string, Kind>> = {
	flows: FLOWS,
	persistence: {
		role: 'state',
		holds: 'all persistence entries',
		enums: ['flow_shift', 'entry_state', 'entry_timeout'],
		packed: true,
		told: ['client', 'service', 'backend', 'expires'],
	},
	tickets: {role: 'state', holds: 'the place of every turn'},
	services: {
		...PLAN,
		enums: ['scheduler', 'failed_backend', 'no_backend', 'service_flag'],
		identity: ['addr', 'port', 'proto', 'family', 'turn'],
	},
	backends: {
		...PLAN,
		enums: ['backend_state', 'method', 'tunnel_flag'],
		identity: ['addr', 'port', 'proto', 'family', 'service', 'state'],
	},
	services_by_key: PLAN,
	turns: PLAN,
	endpoints: PLAN,
	/** These two are a part of `settings` since layout 6. */
	local_filter: PLAN,
	nics: PLAN,
	nic_ports: PLAN,
	router_roles: {...PLAN, enums: ['router_role']},
	lease_of_router: PLAN,
	virtual_addresses: {...PLAN, enums: ['virtual_flag']},
	blocked: PLAN,
	settings: {...PLAN, enums: ['setting_flag']},
	programs: {...PLAN, enums: ['program']},
	verdicts: {role: 'count', holds: 'the counters of packets', enums: ['verdict', 'event']},
	traffic: {role: 'count', holds: 'the counters of backends'},
	openings: {role: 'count', holds: 'the numbers of connections'},
	census: PASSING,
	fragments: {...PASSING, enums: ['verdict']},
	service_limits: PASSING,
	source_limits: PASSING,
	answers: PASSING,
	service_hints: PASSING,
	new_flows: PASSING,
	leases: PASSING,
	shared_flows: {...PASSING, enums: ['flow_state', 'flow_shift'], packed: true},
	share_heads: PASSING,
};
/** One that this version has not heard of, or that nobody has put into the table yet: better say too much. */
const UNKNOWN: Kind = {role: 'state', holds: 'what it holds'};

function kindOf(map: string): Kind {
	return KINDS[map] ?? KINDS[map.replace(/6$/, '')] ?? UNKNOWN;
}

/** Those whose ids flows, persistence entries and counters are made of. */
const GIVERS_OF_IDS = ['services', 'backends'];

export interface Upgrade {
	/** Of the maps of this version. */
	readonly fates: ReadonlyMap<string, MapFate>;
	/** What would be lost that cannot be made again, map by map: `flows: all connections (its layout is another)`. */
	readonly losses: readonly string[];
}

/** A map as it is, and what the version that made it says of it. */
export interface PinnedMap {
	readonly map: RawMap;
	readonly layouts: MapLayouts;
}

/** `sized`: maps whose number of entries the daemon decides; others have those of their definition. */
export async function planUpgrade(
	pinned: ReadonlyMap<string, PinnedMap>,
	now: MapLayouts,
	sized: ReadonlySet<string>,
): Promise<Upgrade> {
	const fates = new Map<string, MapFate>();
	for (const definition of now.maps.values()) {
		fates.set(definition.name, fateOf(definition, pinned.get(definition.name), now, sized.has(definition.name)));
	}
	const hasIds = GIVERS_OF_IDS.every(name => fates.get(name) !== 'begun anew');
	const losses: string[] = [];
	for (const name of new Set([...pinned.keys(), ...STATE_MAPS])) {
		const {role, holds} = kindOf(name);
		if (role === 'plan' || role === 'passing') continue;
		if (!hasIds && fates.has(name)) fates.set(name, 'begun anew');
		const fate = fates.get(name);
		if (role === 'count' || (fate !== undefined && fate !== 'begun anew')) continue;
		const map = pinned.get(name)?.map;
		if (map === undefined) losses.push(`${name}: ${holds} (it is not pinned)`);
		else if (!(await isEmpty(map))) losses.push(`${name}: ${holds} (${whyLost(fate, hasIds)})`);
	}
	return {fates, losses};
}

/** Without which nothing of ours was ever pinned. */
const STATE_MAPS = ['flows', 'flows6'];

function whyLost(fate: MapFate | undefined, hasIds: boolean): string {
	if (fate === undefined) return 'this version has no such map';
	return hasIds ? 'its layout is another' : 'the services and backends that it names cannot be read';
}

function fateOf(definition: MapDefinition, pinned: PinnedMap | undefined, now: MapLayouts, isSized: boolean): MapFate {
	const {name} = definition;
	const {enums = [], packed, told, identity = []} = kindOf(name);
	const before = pinned?.layouts.maps.get(name);
	if (pinned === undefined || before === undefined || !isMadeAs(pinned.map, before)) return 'begun anew';
	const {map, layouts: old} = pinned;
	if (!enums.every(one => sameMeaning(one, old, now))) return 'begun anew';
	const isLargeEnough = isSized || map.maxEntries === definition.maxEntries;
	if (isLargeEnough && sameLayout(before, old, definition, now)) return 'kept';
	if (told?.every(field => isInHash(field, before, old))) return 'told anew';
	if (packed || !isReadable(before.type) || !isReadable(definition.type)) return 'begun anew';
	const isKnown = identity.every(field => hasField(field, before, old) && hasField(field, definition, now));
	return isKnown && convertersOf(before, old, definition, now) !== null ? 'carried over' : 'begun anew';
}

function convertersOf(
	before: MapDefinition,
	old: MapLayouts,
	after: MapDefinition,
	now: MapLayouts,
): readonly [key: Convert, value: Convert] | null {
	const key = converter(old, before.key, now, after.key);
	const value = converter(old, before.value, now, after.value);
	return key === null || value === null ? null : [key, value];
}

function sameLayout(a: MapDefinition, ofA: MapLayouts, b: MapDefinition, ofB: MapLayouts): boolean {
	if (a.type !== b.type || a.flags !== b.flags) return false;
	return ofA.text(a.key) === ofB.text(b.key) && ofA.text(a.value) === ofB.text(b.value);
}

/** Somebody may have pinned something else under the name. */
function isMadeAs(map: RawMap, {type, key, value}: MapDefinition): boolean {
	return map.type === type && map.keySize === key.size && map.valueSize === value.size;
}

function isReadable(type: number): boolean {
	return type === MapType.array || type === MapType.hash || type === MapType.lruHash || type === MapType.lpmTrie;
}

function hasField(field: string, {value}: MapDefinition, layouts: MapLayouts): boolean {
	return fieldsOf(value, layouts).some(({name}) => name === field);
}

function isInHash(field: string, {type, key, value}: MapDefinition, layouts: MapLayouts): boolean {
	return type === MapType.hash && [key, value].some(shape => fieldsOf(shape, layouts).some(({name}) => name === field));
}

function fieldsOf(shape: Shape, layouts: MapLayouts): StructLayout['fields'] {
	return shape.kind === 'struct' ? layouts.fields(shape.name) : [];
}

async function isEmpty(map: RawMap): Promise<boolean> {
	if (map.type !== MapType.array) return map.nextKey() === undefined;
	const {values} = await map.dump();
	return values.every(byte => byte === 0);
}

/** Fills a new map with what an old one holds; returns how many entries no longer fit. */
export async function carryOver(
	name: string,
	{map, layouts: old}: PinnedMap,
	to: RawMap,
	now: MapLayouts,
): Promise<number> {
	const [before, after] = [old.maps.get(name), now.maps.get(name)];
	const converters = before && after ? convertersOf(before, old, after, now) : null;
	if (!before || !after || converters === null) throw new Bug(`${name} cannot be carried over`);
	const [convertKey, convertValue] = converters;
	const {keys, values, count} = await map.dump();
	const fitting: (readonly [key: Uint8Array, value: Uint8Array])[] = [];
	let used = 0;
	for (let n = 0; n < count; n++) {
		const value = slice(values, n, before.value.size);
		if (map.type === MapType.array && value.every(byte => byte === 0)) continue;
		used++;
		const next = [new Uint8Array(after.key.size), new Uint8Array(after.value.size)] as const;
		const fits = convertKey(viewOf(slice(keys, n, before.key.size)), viewOf(next[0]));
		if (fits && convertValue(viewOf(value), viewOf(next[1]))) fitting.push(next);
	}
	to.updateBatch(joined(fitting.map(([key]) => key)), joined(fitting.map(([, value]) => value)), fitting.length);
	return used - fitting.length;
}

/**
 * Puts into the settings what layouts before the sixth had in maps of their own: the NICs, and a filter, whose places were
 * others, so it says yes to everything until the plan is in force.
 */
export async function carryApart(pinned: ReadonlyMap<string, PinnedMap>, to: BpfMap<number, Settings>): Promise<void> {
	const former = pinned.get('nics')?.map;
	const settings = to.get(0);
	if (settings === undefined || former?.valueSize !== nic.size) return;
	const {values, count} = await former.dump();
	const nics = settings.nics.map((unused, slot) =>
		slot < count ? nic.decode(viewOf(slice(values, slot, nic.size))) : unused,
	);
	to.set(0, {
		...settings,
		nics,
		filter: settings.filter.map(() => FilterSide.FILTER_SERVICE | FilterSide.FILTER_BACKEND),
	});
}

/** The bytes of an entry's fields, by their names. */
export type Fields = ReadonlyMap<string, DataView>;

/** What a map of structs holds, with the fields of key and value. */
export async function fieldsIn(name: string, {map, layouts}: PinnedMap): Promise<readonly Fields[]> {
	const definition = layouts.maps.get(name);
	if (definition === undefined) throw new Bug(`${name} cannot be read`);
	const {key, value} = definition;
	const {keys, values, count} = await map.dump();
	const parts = (bytes: Uint8Array, shape: Shape): [string, DataView][] =>
		fieldsOf(shape, layouts).map(({name: field, offset, shape: {size}}) => [
			field,
			viewOf(bytes.subarray(offset, offset + size)),
		]);
	return Array.from({length: count}, (_, n) => {
		return new Map([...parts(slice(keys, n, key.size), key), ...parts(slice(values, n, value.size), value)]);
	});
}

function slice(bytes: Uint8Array, index: number, size: number): Uint8Array {
	return bytes.subarray(index * size, (index + 1) * size);
}

function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
	return new Uint8Array(Buffer.concat(parts));
}
