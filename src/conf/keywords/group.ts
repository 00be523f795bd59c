import {addressBehind, addressBits, family, rangeSize} from '../../net/address.js';
import type {Args, Arguments} from '../args.js';
import type {Place} from '../model.js';
import {type Draft, draftAt} from '../table.js';
import {integer, ip, network, type Parsed, type Value} from '../values.js';

/** Addresses that share a port: a line of a `virtual_server_group`, or the one address of a `virtual_server`. */
export interface ServiceAddresses {
	readonly addresses: readonly string[];
	readonly port: number;
}

/** With the place where they are written. */
export interface PlacedAddresses extends ServiceAddresses {
	readonly place: Place;
}

/** `virtual_server_group`. */
export interface GroupDraft extends Draft {
	readonly name: string;
	readonly lines: PlacedAddresses[];
	/** The first line that had no room. */
	excess: Place | null;
}

export function newGroup(name: string, place: Place): GroupDraft {
	return {...draftAt(place), name, lines: [], excess: null};
}

/** The most that `services` in the `lbd` block can make room for. */
export const SERVICES_MAX = 4095;

export function addLine(group: GroupDraft, line: ServiceAddresses, place: Place): void {
	const size = group.lines.reduce((sum, {addresses}) => sum + addresses.length, line.addresses.length);
	if (size <= SERVICES_MAX) group.lines.push({...line, place});
	else group.excess ??= place;
}

/** 0: all ports. */
export const port = integer(0, 65_535);

/** An address, or some in a row, in keepalived's forms. */
const addresses: Value<readonly string[]> = {
	usage: 'IP|IP-LAST|IP-IP|IP/LENGTH',
	parse(text) {
		if (text.includes('/')) return subnet(text);
		const [start = '', end, ...rest] = text.split('-');
		const first = ip.parse(start);
		if ('why' in first) return first;
		if (end === undefined) return {value: [first.value]};
		const last = ip.parse(withLastNumber(first.value, end));
		return 'why' in last || rest.length > 0 ? {why: 'is not a range of addresses'} : range(first.value, last.value);
	},
};

function subnet(text: string): Parsed<readonly string[]> {
	const parsed = network.parse(text);
	if ('why' in parsed) return parsed;
	const {address, prefix} = parsed.value;
	return inARow(address, 2n ** BigInt(addressBits(family(address)) - prefix));
}

/** `192.0.2.1-9`: what is no address replaces the last number of the first, which is hexadecimal in IPv6. */
function withLastNumber(first: string, end: string): string {
	const [separator, digits] = family(first) === 4 ? ['.', /^\d+$/] : [':', /^[\da-f]+$/i];
	return digits.test(end) ? first.slice(0, first.lastIndexOf(separator) + 1) + end : end;
}

function range(first: string, last: string): Parsed<readonly string[]> {
	if (family(first) !== family(last)) return {why: 'begins and ends in different families'};
	const size = rangeSize(first, last);
	return size > 0n ? inARow(first, size) : {why: 'ends before it begins'};
}

function inARow(first: string, size: bigint): Parsed<readonly string[]> {
	if (size > SERVICES_MAX) {
		return {code: 'too-many', why: `is ${size} addresses, and there is room for ${SERVICES_MAX} services`};
	}
	return {value: Array.from({length: Number(size)}, (_, steps) => addressBehind(first, steps))};
}

export const groupLineArgs: Args<ServiceAddresses> = {
	usage: `${addresses.usage} [PORT]`,
	read: words => (refusesFwmark(words) ? undefined : readAddresses(words, addresses)),
};

/** An address or several, and a port; without one, or with 0, all ports. */
export function readAddresses(words: Arguments, value: Value<readonly string[]>): ServiceAddresses | undefined {
	const addresses = words.take(value);
	const number = words.peek() === undefined ? 0 : words.take(port);
	return addresses === undefined || number === undefined ? undefined : {addresses, port: number};
}

/** Refuses `fwmark N`, if that is what comes next. */
export function refusesFwmark(words: Arguments): boolean {
	const word = words.peek();
	if (word?.text !== 'fwmark') return false;
	const text = `${words.keyword.text} fwmark is not supported: packets are taken before netfilter could mark them`;
	words.report.error(
		'not-supported',
		word.place,
		text,
		'name addresses and ports, many of them in a virtual_server_group',
	);
	return true;
}
