import {bytesKey} from '../net/bytes.js';
import type {Names} from '../xdp/sharing.js';
import type {BackendName, NicName, ServiceName} from './wire.js';

/** What both balancers call a service, as the key of a Map. */
export function serviceText({address, port, protocol, family}: ServiceName): string {
	return `${family}${bytesKey(address)}${port}/${protocol}`;
}

/** What both balancers call a backend. */
export function backendText({service, address, port}: Omit<BackendName, 'id'>): string {
	return `${serviceText(service)}>${bytesKey(address)}${port}`;
}

/** Our numbers of what has a name, and the names of what has a number. */
export class NameTable {
	readonly backends: readonly BackendName[];
	readonly services: readonly {readonly id: number; readonly name: ServiceName}[];
	readonly nics: readonly NicName[];
	readonly #backendIds: ReadonlyMap<string, number>;
	readonly #serviceIds: ReadonlyMap<string, number>;
	readonly #nicIndexes: ReadonlyMap<string, number>;
	/** The same for the same names and numbers. */
	readonly text: string;

	/** `interfaces`: names by interface index. */
	constructor({backends, services, nics}: Names, interfaces: ReadonlyMap<number, string>) {
		this.services = [...services].map(([id, {addr: address, port, proto: protocol, family}]) => ({
			id,
			name: {address, port, protocol, family: family === 6 ? 6 : 4},
		}));
		const byId = new Map(this.services.map(({id, name}) => [id, name]));
		this.backends = [...backends].flatMap(([id, {addr: address, port, service}]): BackendName[] => {
			const name = byId.get(service);
			return name === undefined ? [] : [{id, service: name, address, port}];
		});
		this.nics = [...nics].flatMap(([index, ifindex]): NicName[] => {
			const name = interfaces.get(ifindex);
			return name === undefined ? [] : [{index, name}];
		});
		this.#serviceIds = new Map(this.services.map(({id, name}) => [serviceText(name), id]));
		this.#backendIds = new Map(this.backends.map(name => [backendText(name), name.id]));
		this.#nicIndexes = new Map(this.nics.map(({index, name}) => [name, index]));
		this.text = [...this.#serviceIds, ...this.#backendIds, ...this.#nicIndexes].join();
	}

	/** 0, which is nobody's, for one that is not ours. */
	backend(text: string): number {
		return this.#backendIds.get(text) ?? 0;
	}

	service(name: ServiceName): number | undefined {
		return this.#serviceIds.get(serviceText(name));
	}

	nic(name: string): number | undefined {
		return this.#nicIndexes.get(name);
	}
}

/** Before anything was read. */
export const noNames = new NameTable({backends: new Map(), services: new Map(), nics: new Map()}, new Map());
