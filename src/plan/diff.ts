/** From what is to what should be: the map changes, in an order in which no packet sees a hole. Pure. */
import {FAMILIES} from '../net/address.js';
import {emptyTables, type Op, type Tables} from '../xdp/tables.js';
import {isSame} from './same.js';

/**
 * The ops that turn `actual` into `wanted`. What is added appears from the leaves up (NICs, backends, endpoints, the
 * filter, turns, services, service keys; leases, virtual addresses) and what goes disappears from the root down, so that
 * nothing in force ever names an entry that is not there.
 */
export function diff(actual: Tables, wanted: Tables): Op[] {
	return [...additions(actual, wanted), ...removals(actual, wanted)];
}

/** The ops that would write all that tables have, in that order. What changes before it is its turn comes as it is then. */
export function entriesIn(tables: Tables): Iterator<Op, void> {
	return additions(emptyTables(), tables);
}

function* additions(actual: Tables, wanted: Tables): Generator<Op, void> {
	for (const [index, value] of changed(actual.nics, wanted.nics)) yield {map: 'nics', index, value};
	for (const [index, value] of changed(actual.routerRoles, wanted.routerRoles)) {
		yield {map: 'routerRoles', index, value};
	}
	for (const [index, value] of changed(actual.backends, wanted.backends)) yield {map: 'backends', index, value};
	for (const family of FAMILIES) {
		for (const [index, value] of changed(actual.endpoints[family], wanted.endpoints[family])) {
			yield {map: 'endpoints', family, index, value};
		}
	}
	const both = new Set([...actual.filter, ...wanted.filter]);
	if (both.size > actual.filter.size) yield {map: 'filter', value: both};
	for (const [index, value] of changed(actual.turns, wanted.turns)) yield {map: 'turns', index, value};
	for (const [index, value] of changed(actual.services, wanted.services)) yield {map: 'services', index, value};
	for (const [, {key, id}] of changed(actual.serviceKeys, wanted.serviceKeys)) {
		yield {map: 'serviceKeys', key, value: id};
	}
	for (const [index, value] of changed(actual.leases, wanted.leases)) yield {map: 'leases', index, value};
	for (const [, entry] of changed(actual.virtualAddresses, wanted.virtualAddresses)) {
		yield {map: 'virtualAddresses', ...entry};
	}
}

function* removals(actual: Tables, wanted: Tables): Generator<Op> {
	for (const {key} of gone(actual.virtualAddresses, wanted.virtualAddresses).values()) {
		yield {map: 'virtualAddresses', key, value: null};
	}
	for (const index of gone(actual.leases, wanted.leases).keys()) yield {map: 'leases', index, value: null};
	for (const {key} of gone(actual.serviceKeys, wanted.serviceKeys).values()) {
		yield {map: 'serviceKeys', key, value: null};
	}
	for (const index of gone(actual.services, wanted.services).keys()) yield {map: 'services', index, value: null};
	for (const [index, {length}] of gone(actual.turns, wanted.turns)) {
		if (!overlaps(index, length, wanted.turns)) yield {map: 'turns', index, value: null, length};
	}
	if ([...actual.filter].some(bit => !wanted.filter.has(bit))) yield {map: 'filter', value: wanted.filter};
	for (const family of FAMILIES) {
		for (const index of gone(actual.endpoints[family], wanted.endpoints[family]).keys()) {
			yield {map: 'endpoints', family, index, value: []};
		}
	}
	for (const index of gone(actual.backends, wanted.backends).keys()) yield {map: 'backends', index, value: null};
	for (const index of gone(actual.routerRoles, wanted.routerRoles).keys()) {
		yield {map: 'routerRoles', index, value: null};
	}
	for (const index of gone(actual.nics, wanted.nics).keys()) yield {map: 'nics', index, value: null};
}

function* changed<K, V>(actual: ReadonlyMap<K, V>, wanted: ReadonlyMap<K, V>): Generator<[K, V]> {
	for (const [key, value] of wanted) {
		if (!isSame(actual.get(key), value)) yield [key, value];
	}
}

/** Whether a stretch of turns is in the way of one that is wanted, as after maps were written by somebody else. */
function overlaps(offset: number, length: number, wanted: Tables['turns']): boolean {
	for (const [start, turns] of wanted) if (start < offset + length && offset < start + turns.length) return true;
	return false;
}

function gone<K, V>(actual: ReadonlyMap<K, V>, wanted: ReadonlyMap<K, V>): Map<K, V> {
	return new Map([...actual].filter(([key]) => !wanted.has(key)));
}
