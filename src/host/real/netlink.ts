import {readFile, writeFile} from 'node:fs/promises';
import {getSystemErrorName} from 'node:util';
import {
	AF_NETLINK,
	NETLINK_GET_STRICT_CHK,
	NETLINK_ROUTE,
	NetError,
	parseSockaddr,
	SO_RCVBUFFORCE,
	SOCK_RAW,
	SOL_NETLINK,
	SOL_SOCKET,
	Socket,
	sockaddrNl,
} from 'libbpf-ts/net';
import {KernelError} from '../../errors.js';
import {FAMILIES} from '../../net/address.js';
import type {Decoded} from '../../net/bytes.js';
import * as ipRoute from '../../net/netlink/ip-route.js';
import * as ipRule from '../../net/netlink/ip-rule.js';
import {
	decodeErrno,
	decodeMessages,
	encodeMessage,
	type NetlinkMessage,
	NLM_F_ACK,
	NLM_F_CREATE,
	NLM_F_DUMP,
	NLM_F_DUMP_INTR,
	NLM_F_EXCL,
	NLM_F_REPLACE,
	NLM_F_REQUEST,
	NLMSG_DONE,
	NLMSG_ERROR,
} from '../../net/netlink/message.js';
import type {RouteReason} from '../../net/netlink/parts.js';
import * as route from '../../net/netlink/route.js';
import type {
	Address,
	AddressEntry,
	Cancel,
	IpRoute,
	IpRule,
	Link,
	LinkSettings,
	Neighbour,
	Netlink,
	NetlinkEvent,
	NewAddress,
	NewMacvlan,
	Route,
	RouteEntry,
} from '../host.js';
import {named, refusal} from './refusal.js';

/** Room for the events of a link flap on a machine with many neighbours. */
const EVENT_BUFFER_BYTES = 4 << 20;
/** Datagrams read in one go. */
const DATAGRAMS_MAX = 4096;
/** How often a dump is asked for again because the table changed below it. */
const DUMP_ATTEMPTS = 5;

export type EventKind = keyof typeof route.EVENT_GROUPS;

/** rtnetlink: one socket for requests, one for the events of the given kinds. Throws `KernelError` when refused. */
export function openNetlink(events: readonly EventKind[]): Netlink {
	return new RealNetlink(events);
}

class RealNetlink implements Netlink {
	readonly #requests: Socket;
	readonly #events: Socket;
	readonly #listeners = new Set<(event: NetlinkEvent) => void>();
	#sequence = 0;

	constructor(events: readonly EventKind[]) {
		const groups = events.reduce((bits, kind) => bits | route.EVENT_GROUPS[kind], 0);
		[this.#requests, this.#events] = named('rtnetlink', () => [open(0), open(groups)]);
		this.#events.onReadable(() => this.#readEvents());
	}

	async links(): Promise<Link[]> {
		return this.#dump(route.RTM_GETLINK, route.encodeLinkDump(), route.decodeLink);
	}

	async addresses(): Promise<AddressEntry[]> {
		return this.#dump(route.RTM_GETADDR, route.encodeAddressDump(), route.decodeAddress);
	}

	async neighbours(): Promise<Neighbour[]> {
		return this.#dump(route.RTM_GETNEIGH, route.encodeNeighbourDump(), route.decodeNeighbour);
	}

	async route(to: string): Promise<Route> {
		const answers = this.#request('route get', to, {
			type: route.RTM_GETROUTE,
			flags: 0,
			body: route.encodeRouteGet(to),
		});
		const [answer] = collect(answers, route.decodeRoute);
		if (answer === undefined) throw refusal('route get', to, 'EBADMSG');
		return {...answer, gateway: answer.gateway ?? to};
	}

	async configureLink(ifindex: number, settings: LinkSettings): Promise<void> {
		const body = route.encodeLinkSettings(ifindex, settings);
		const object = `${Object.keys(settings).join(', ')} of ${ifindex}`;
		this.#request('link set', object, {type: route.RTM_SETLINK, flags: 0, body});
	}

	async addMacvlan(wanted: NewMacvlan): Promise<void> {
		const body = route.encodeNewMacvlan(wanted);
		this.#request('link add', wanted.name, {type: route.RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body});
	}

	async withoutOwnAddress(ifindex: number): Promise<void> {
		const body = route.encodeWithoutOwnAddress(ifindex);
		this.#request('link set', `addr_gen_mode of ${ifindex}`, {type: route.RTM_SETLINK, flags: 0, body});
	}

	async spreadReversePathFilter(): Promise<void> {
		const ofAll = await sysctl('ipv4/conf/all/rp_filter');
		if (ofAll === 0) return;
		for (const {ifindex, reversePathFilter} of await this.links()) {
			if (reversePathFilter < ofAll) await this.configureLink(ifindex, {rp_filter: ofAll});
		}
		await sysctl('ipv4/conf/default/rp_filter', Math.max(ofAll, await sysctl('ipv4/conf/default/rp_filter')));
		await sysctl('ipv4/conf/all/rp_filter', 0);
	}

	async withoutIpv6(name: string): Promise<void> {
		try {
			await sysctl(`ipv6/conf/${name}/disable_ipv6`, 1);
		} catch (error) {
			// A kernel without IPv6 has nothing to disable.
			if (!(error instanceof KernelError && error.code === 'ENOENT')) throw error;
		}
	}

	async setLinkUp(ifindex: number, up: boolean): Promise<void> {
		const body = route.encodeLinkUp(ifindex, up);
		this.#request('link set', `${ifindex} ${up ? 'up' : 'down'}`, {type: route.RTM_NEWLINK, flags: 0, body});
	}

	async deleteLink(ifindex: number): Promise<void> {
		this.#request('link delete', String(ifindex), {
			type: route.RTM_DELLINK,
			flags: 0,
			body: route.linkHeader(ifindex),
		});
	}

	async addAddress(address: NewAddress): Promise<void> {
		const body = route.encodeNewAddress(address);
		this.#request('address add', address.address, {type: route.RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL, body});
	}

	async deleteAddress(address: Address): Promise<void> {
		const body = route.encodeAddress(address);
		this.#request('address delete', address.address, {type: route.RTM_DELADDR, flags: 0, body});
	}

	async routes(protocol: number): Promise<RouteEntry[]> {
		const all = FAMILIES.flatMap(of =>
			this.#dump(route.RTM_GETROUTE, ipRoute.encodeRouteDump(of, protocol), ipRoute.decodeRouteEntry),
		);
		return all.filter(entry => entry.protocol === protocol);
	}

	async addRoute(wanted: IpRoute<number>): Promise<void> {
		const body = ipRoute.encodeIpRoute(wanted);
		const flags = ipRoute.routeFlags(wanted);
		this.#request('route add', ipRoute.destinationText(wanted.destination), {type: route.RTM_NEWROUTE, flags, body});
	}

	async deleteRoute(unwanted: IpRoute<number>): Promise<void> {
		const body = ipRoute.encodeIpRoute(unwanted);
		this.#request('route delete', ipRoute.destinationText(unwanted.destination), {
			type: route.RTM_DELROUTE,
			flags: 0,
			body,
		});
	}

	async rules(): Promise<IpRule[]> {
		return FAMILIES.flatMap(of => this.#dump(route.RTM_GETRULE, ipRule.encodeRuleDump(of), ipRule.decodeIpRule));
	}

	async addRule(wanted: IpRule): Promise<void> {
		const body = ipRule.encodeIpRule(wanted);
		this.#request('rule add', String(wanted.priority), {
			type: route.RTM_NEWRULE,
			flags: NLM_F_CREATE | NLM_F_EXCL,
			body,
		});
	}

	async deleteRule(unwanted: IpRule): Promise<void> {
		const body = ipRule.encodeIpRule(unwanted);
		this.#request('rule delete', String(unwanted.priority), {type: route.RTM_DELRULE, flags: 0, body});
	}

	async resolve(ifindex: number, address: string): Promise<void> {
		const body = route.encodeNeighbourUse(ifindex, address);
		this.#request('neighbour resolve', address, {type: route.RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE, body});
	}

	onEvent(fn: (event: NetlinkEvent) => void): Cancel {
		this.#listeners.add(fn);
		return () => this.#listeners.delete(fn);
	}

	close(): void {
		this.#requests.close();
		this.#events.close();
	}

	/** The whole of a table, asked for again while it changes under our hands. */
	#dump<Value>(type: number, body: Uint8Array, decode: Decode<Value>): Value[] {
		for (let attempt = 1; ; attempt++) {
			const answers = this.#request('dump', `rtnetlink ${type}`, {type, flags: NLM_F_DUMP, body});
			const interrupted = answers.some(answer => (answer.flags & NLM_F_DUMP_INTR) !== 0);
			if (!interrupted || attempt === DUMP_ATTEMPTS) return collect(answers, decode);
		}
	}

	/**
	 * One request and all its answers. rtnetlink works inside the call that sends, and has queued the answer when that
	 * returns (af_netlink.c, netlink_unicast_kernel), so it is read at once: requests take effect in the order in which
	 * they are made, and none is ever outstanding.
	 */
	#request(
		operation: string,
		object: string,
		request: Pick<NetlinkMessage, 'type' | 'flags' | 'body'>,
	): NetlinkMessage[] {
		const sequence = ++this.#sequence >>> 0;
		const flags = NLM_F_REQUEST | NLM_F_ACK | request.flags;
		return named(object, () => {
			this.#requests.send(encodeMessage({...request, flags, sequence}), sockaddrNl());
			return this.#answers(operation, object, sequence);
		});
	}

	#answers(operation: string, object: string, sequence: number): NetlinkMessage[] {
		const answers: NetlinkMessage[] = [];
		for (let count = 0; count < DATAGRAMS_MAX; count++) {
			const received = this.#requests.receive();
			if (received === undefined) break;
			for (const message of messagesOf(received)) {
				if (message.sequence !== sequence) continue;
				if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
					answers.push(message);
					continue;
				}
				const errno = decodeErrno(message.body) ?? 0;
				if (errno > 0) throw refusal(operation, object, getSystemErrorName(-errno));
				return answers;
			}
		}
		throw refusal(operation, object, 'EBADMSG');
	}

	#readEvents(): void {
		for (let count = 0; count < DATAGRAMS_MAX && this.#events.fd >= 0; count++) {
			const received = this.#receiveEvent();
			if (received === undefined) return;
			if (received === 'overrun') this.#emit({kind: 'overrun'});
			else for (const message of messagesOf(received)) this.#emitMessage(message);
		}
	}

	/** ENOBUFS: events came faster than they were read, and some are lost. */
	#receiveEvent(): ReturnType<Socket['receive']> | 'overrun' {
		try {
			return this.#events.receive();
		} catch (error) {
			if (error instanceof NetError && error.code === 'ENOBUFS') return 'overrun';
			throw error;
		}
	}

	#emitMessage(message: NetlinkMessage): void {
		const event = decodeEvent(message);
		if (event !== undefined) this.#emit(event);
	}

	#emit(event: NetlinkEvent): void {
		for (const listener of this.#listeners) listener(event);
	}
}

/** A sysctl that rtnetlink does not know of, or shows only; `value` is written before it is read. */
async function sysctl(name: string, value?: number): Promise<number> {
	const file = `/proc/sys/net/${name}`;
	try {
		if (value !== undefined) await writeFile(file, String(value));
		return Number(await readFile(file, 'utf8'));
	} catch (error) {
		throw refusal('sysctl', `net/${name}`, (error as NodeJS.ErrnoException).code ?? 'EIO', error);
	}
}

type Decode<Value> = (message: NetlinkMessage) => Decoded<Value, RouteReason>;

function open(groups: number): Socket {
	const socket = new Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (groups !== 0) socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, EVENT_BUFFER_BYTES);
	// A dump of all routes of a machine that speaks BGP would take seconds; the kernel chooses those asked for.
	else socket.setOption(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
	socket.bind(sockaddrNl({groups}));
	return socket;
}

/** What the kernel says; other processes may write to the socket too, and are not listened to. */
function messagesOf(received: {bytes: Uint8Array; from: Uint8Array}): NetlinkMessage[] {
	const from = parseSockaddr(received.from);
	if (from?.family !== 'nl' || from.pid !== 0) return [];
	const messages = decodeMessages(received.bytes);
	return messages.ok ? messages.value : [];
}

/** Those that are understood: a dump over all families has more than we ask for. */
function collect<Value>(messages: readonly NetlinkMessage[], decode: Decode<Value>): Value[] {
	return messages.flatMap(message => {
		const decoded = decode(message);
		return decoded.ok ? [decoded.value] : [];
	});
}

function decodeEvent(message: NetlinkMessage): NetlinkEvent | undefined {
	switch (message.type) {
		case route.RTM_NEWLINK:
		case route.RTM_DELLINK: {
			const link = route.decodeLink(message);
			const removed = message.type === route.RTM_DELLINK;
			return link.ok ? {kind: 'link', link: link.value, removed} : undefined;
		}
		case route.RTM_NEWADDR:
		case route.RTM_DELADDR: {
			const address = route.decodeAddress(message);
			const removed = message.type === route.RTM_DELADDR;
			return address.ok ? {kind: 'address', address: address.value, removed} : undefined;
		}
		case route.RTM_NEWNEIGH:
		case route.RTM_DELNEIGH: {
			const neighbour = route.decodeNeighbour(message);
			return neighbour.ok ? {kind: 'neighbour', neighbour: neighbour.value} : undefined;
		}
		case route.RTM_NEWROUTE:
		case route.RTM_DELROUTE: {
			const change = route.decodeRouteChange(message);
			return change === undefined ? undefined : {kind: 'route', ...change};
		}
		case route.RTM_NEWRULE:
		case route.RTM_DELRULE:
			return {kind: 'rule', removed: message.type === route.RTM_DELRULE};
		case route.RTM_NEWNETCONF:
			return {kind: 'setting'};
		default:
			return undefined;
	}
}
