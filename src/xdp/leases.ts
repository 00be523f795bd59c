/** The leases as `lbd-vrrp` holds them: through a mapping, so that an advert costs no system call more. See struct lease. */
import {BpfError, type MapMemory, RawMap} from 'libbpf-ts';
import {KernelError} from '../errors.js';
import type {Leases, VirtualRouter} from '../host/host.js';
import {type Lease, lease, virtualRouter} from './layout.gen.js';
import {Pins} from './pins.js';
import type {LeaseView} from './view.js';

/** Bytes into a lease. */
const SENT = 8;
const SENT_UNTIL = 16;
const NS_PER_US = 1000n;

/** In the map that a daemon has pinned and fills. Routers without one are passed over in silence, as `lbd` has told of them. */
export class PinnedLeases implements Leases {
	#memory: MapMemory | null = null;
	/** Where each router's was last, by its number. */
	readonly #offsets = new Map<bigint, number>();

	open(daemon: string): void {
		this.close();
		const path = new Pins(daemon).map('leases');
		try {
			const map = RawMap.openPinned(path);
			this.#memory = map.mmap({writable: true});
			map.close();
		} catch (cause) {
			if (!(cause instanceof BpfError)) throw cause;
			throw new KernelError('open leases', path, cause.code, '', {cause});
		}
	}

	renew(router: VirtualRouter, sentUs: number, untilUs: number): void {
		this.#write(router, BigInt(sentUs) * NS_PER_US, BigInt(untilUs) * NS_PER_US);
	}

	end(router: VirtualRouter): void {
		this.#write(router, 0n, 0n);
	}

	heldUntilUs(router: VirtualRouter): number | null {
		const offset = this.#find(router);
		const until = offset === null ? 0n : (this.#memory?.u64(offset + SENT_UNTIL) ?? 0n);
		return until === 0n ? null : Number(until / NS_PER_US);
	}

	close(): void {
		this.#memory?.close();
		this.#memory = null;
		this.#offsets.clear();
	}

	#write(router: VirtualRouter, sent: bigint, until: bigint): void {
		const offset = this.#find(router);
		if (offset === null) return;
		this.#memory?.setU64(offset + SENT, sent);
		this.#memory?.setU64(offset + SENT_UNTIL, until);
	}

	/** The daemon may have given an entry to another router meanwhile. */
	#find(router: VirtualRouter): number | null {
		const number = numberOf(router);
		const known = this.#offsets.get(number);
		if (known !== undefined && this.#memory?.u64(known) === number) return known;
		return this.#search(number);
	}

	#search(number: bigint): number | null {
		const memory = this.#memory;
		if (memory === null) return null;
		for (let offset = 0; offset < memory.size; offset += lease.size) {
			if (memory.u64(offset) !== number) continue;
			this.#offsets.set(number, offset);
			return offset;
		}
		return null;
	}
}

/** The lease as people see it, by the rules of bpf/virtual.h: is_taken_over(). */
export function leaseState({sentUntilNs, heardNs, heardUntilNs}: Lease, nowNs: bigint): LeaseView['state'] {
	if (sentUntilNs === 0n) return 'none';
	if (nowNs <= sentUntilNs) return 'held';
	return heardNs > sentUntilNs && nowNs < heardUntilNs ? 'taken' : 'lapsed';
}

/** A router as the first word of its lease. */
function numberOf(router: VirtualRouter): bigint {
	const view = new DataView(new ArrayBuffer(virtualRouter.size));
	virtualRouter.encode(router, view);
	return view.getBigUint64(0, true);
}
