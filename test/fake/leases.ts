import type {Leases, VirtualRouter} from '../../src/host/host.js';

interface Lease {
	readonly sentUs: number;
	readonly untilUs: number;
}

/** Leases in memory, of any router. They outlive whoever holds them. */
export class FakeLeases implements Leases {
	/** By `IFINDEX/FAMILY/VRID`. */
	readonly held = new Map<string, Lease>();
	/** Names of the daemons whose leases were opened. */
	readonly opened: string[] = [];

	open(daemon: string): void {
		this.opened.push(daemon);
	}

	renew(router: VirtualRouter, sentUs: number, untilUs: number): void {
		this.held.set(text(router), {sentUs, untilUs});
	}

	end(router: VirtualRouter): void {
		this.held.delete(text(router));
	}

	heldUntilUs(router: VirtualRouter): number | null {
		return this.held.get(text(router))?.untilUs ?? null;
	}
}

function text({ifindex, family, vrid}: VirtualRouter): string {
	return `${ifindex}/${family}/${vrid}`;
}
