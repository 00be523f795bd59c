/** One connection through the balancer, as both of its ends see it. */
import type {ExecutionContext} from 'ava';
import {endpointName, type Family, family} from '../../src/net/address.js';
import {
	type Balancer,
	backendMac,
	CLIENT_MAC,
	type Outcome,
	type Transport,
	type VerdictName,
	XDP,
} from './balancer.js';
import {describe, destinationOf, endpoint, tcpFrame, translated, udpFrame} from './frame.js';

/** The server's initial sequence number; low half 0xbeef. */
export const SERVER_ISN = 0xdeadbeef;

const build = {tcp: tcpFrame, udp: udpFrame} as const;

/** Of TCP unless told; then flags say nothing. */
export class Connection {
	readonly #balancer: Balancer;
	readonly #protocol: Transport;
	readonly client: string;
	readonly service: string;
	/** `10.0.0.71:80`, once a SYN was forwarded. */
	backend = '';

	constructor(balancer: Balancer, client: string, service: string, protocol: Transport = 'tcp') {
		this.#balancer = balancer;
		this.#protocol = protocol;
		this.client = client;
		this.service = service;
	}

	/** A packet of the client's as it arrives. */
	request(flags = '', fields: {seq?: number; ack?: number; ttl?: number; payload?: Uint8Array} = {}): Uint8Array {
		const {external} = this.#balancer.ports;
		const parts = {toMac: external.mac, fromMac: CLIENT_MAC, from: this.client, to: this.service, flags, ...fields};
		return build[this.#protocol](parts);
	}

	/** A packet of the server's as it arrives. */
	answer(flags = '', fields: {seq?: number; ack?: number; ttl?: number; payload?: Uint8Array} = {}): Uint8Array {
		const {internal} = this.#balancer.ports;
		const fromMac = backendMac(endpoint(this.backend)[0]);
		return build[this.#protocol]({toMac: internal.mac, fromMac, from: this.backend, to: this.client, flags, ...fields});
	}

	/** Sends the client's packet; a forwarded one tells which backend it went to. */
	fromClient(flags = '', fields: {seq?: number; ack?: number} = {}): Outcome {
		const outcome = this.#balancer.send(this.request(flags, fields));
		if (outcome.verdict.startsWith('V_FORWARD')) this.backend = destinationOf(outcome.frame);
		return outcome;
	}

	fromServer(flags = '', fields: {seq?: number; ack?: number} = {}): Outcome {
		return this.#balancer.send(this.answer(flags, fields), 'internal');
	}

	/** The three packets of the handshake. */
	establish(): this {
		this.fromClient('S');
		this.fromServer('SA', {seq: SERVER_ISN});
		this.fromClient('A', {ack: SERVER_ISN + 1});
		return this;
	}

	/** Asserts that a client's packet reaches the backend, rewritten as it should be. */
	assertForwarded(t: ExecutionContext, frame: Uint8Array, verdict: VerdictName = 'V_FORWARD'): void {
		const outcome = this.#balancer.send(frame);
		t.is(outcome.verdict, verdict);
		this.backend = destinationOf(outcome.frame);
		t.is(outcome.action, XDP.redirect);
		const toMac = backendMac(endpoint(this.backend)[0]);
		const fromMac = this.#balancer.ports.internal.mac;
		t.deepEqual(describe(outcome.frame), describe(translated(frame, {toMac, fromMac, to: this.backend})));
	}

	/** Asserts that a server's packet reaches the client, rewritten as it should be. */
	assertReplied(t: ExecutionContext, frame: Uint8Array): void {
		const outcome = this.#balancer.send(frame, 'internal');
		t.is(outcome.verdict, 'V_REPLY');
		t.is(outcome.action, XDP.redirect);
		const rewritten = {toMac: CLIENT_MAC, fromMac: this.#balancer.ports.external.mac, from: this.service};
		t.deepEqual(describe(outcome.frame), describe(translated(frame, rewritten)));
	}
}

/** The n-th of many clients: another address and port each. */
export function client(n: number, of: Family = 4): string {
	const [high, low] = [(n >> 8) & 255, n & 255];
	return endpointName(of === 4 ? `172.16.${high}.${low}` : `2001:db8:ac10:${high}::${low}`, 1024 + (n % 60000), 'tcp');
}

/** Backends of `count` new connections, each from a client of its own; names start at client `from`. '': refused. */
export function deal(b: Balancer, count: number, from = 0, service = '192.168.1.1:80'): string[] {
	return Array.from({length: count}, (_, index) => {
		const connection = new Connection(b, client(from + index, family(endpoint(service)[0])), service);
		connection.fromClient('S');
		return connection.backend;
	});
}
