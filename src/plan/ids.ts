/** Which id a service or backend has in the maps. Flows name backends by id, so an id outlives restarts and reloads. */
import type {Backend as ConfBackend, Service as ConfService} from '../conf/model.js';
import {addressBytes} from '../net/address.js';
import {bytesKey} from '../net/bytes.js';
import {addressKey, type BackendId, type ServiceId, type Tables} from '../xdp/tables.js';
import {protocolNumber} from './key.js';

/** The lowest numbers from 1 that are not taken; 0 means "none" in the maps. */
class Numbers {
	readonly #byIdentity = new Map<string, number>();
	readonly #taken = new Set<number>();
	readonly #limit: number;
	#next = 1;

	constructor(limit: number) {
		this.#limit = limit;
	}

	keep(identity: string, id: number): void {
		this.#byIdentity.set(identity, id);
		this.#taken.add(id);
	}

	/** The number of an identity, a new one if it has none; null when all are taken. */
	of(identity: string): number | null {
		const known = this.#byIdentity.get(identity);
		if (known !== undefined) return known;
		while (this.#taken.has(this.#next)) this.#next++;
		if (this.#next >= this.#limit) return null;
		this.keep(identity, this.#next);
		return this.#next;
	}
}

/** How many entries the maps were made for; index 0 of each is never used. */
export interface Capacity {
	readonly services: number;
	readonly backends: number;
	readonly turns: number;
}

/** Ids of everything that the maps already hold, and new ones for the rest. */
export class Ids {
	readonly #services: Numbers;
	readonly #backends: Numbers;

	constructor(actual: Tables, capacity: Capacity) {
		this.#services = new Numbers(capacity.services);
		this.#backends = new Numbers(capacity.backends);
		for (const [id, service] of actual.services) {
			this.#services.keep(serviceIdentity(addressKey(service), service), id);
		}
		for (const [id, backend] of actual.backends) {
			this.#backends.keep(backendIdentity(backend.service, addressKey(backend), backend.port), id);
		}
	}

	/** null: no id is left. */
	service(service: ConfService): ServiceId | null {
		const proto = protocolNumber(service.protocol);
		return this.#services.of(serviceIdentity(bytesKey(addressBytes(service.address)), {port: service.port, proto}));
	}

	/** null: no id is left. */
	backend(service: ServiceId, {address, port}: ConfBackend, addr = addressBytes(address)): BackendId | null {
		return this.#backends.of(backendIdentity(service, bytesKey(addr), port));
	}
}

function serviceIdentity(address: string, {port, proto}: {readonly port: number; readonly proto: number}): string {
	return `${address}:${port}/${proto}`;
}

function backendIdentity(service: ServiceId, address: string, port: number): string {
	return `${service} ${address}:${port}`;
}
