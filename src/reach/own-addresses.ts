/** Which addresses this machine has at the moment: virtual ones come and go with VRRP, and the kernel knows. */
import type {Cancel, Clock, Netlink} from '../host/host.js';
import type {Log} from '../log.js';

/** After the kernel has refused to tell. */
const AGAIN_US = 1_000_000;

export class OwnAddresses {
	readonly #seams: {readonly netlink: Netlink; readonly clock: Clock; readonly log: Log};
	readonly #unsubscribe: Cancel;
	#addresses: ReadonlySet<string> = new Set();
	#cancelRetry: Cancel = () => {};
	#isLooking = false;
	#isStale = false;
	#closed = false;

	constructor(seams: {readonly netlink: Netlink; readonly clock: Clock; readonly log: Log}) {
		this.#seams = seams;
		this.#unsubscribe = seams.netlink.onEvent(({kind}) => {
			if (kind === 'address' || kind === 'overrun') void this.look();
		});
	}

	has(address: string): boolean {
		return this.#addresses.has(address);
	}

	/** Asks the kernel; what changes while it answers is asked for again. */
	async look(): Promise<void> {
		this.#isStale = true;
		if (this.#isLooking) return;
		this.#isLooking = true;
		while (this.#isStale && !this.#closed) {
			this.#isStale = false;
			await this.#read();
		}
		this.#isLooking = false;
	}

	close(): void {
		this.#closed = true;
		this.#unsubscribe();
		this.#cancelRetry();
	}

	async #read(): Promise<void> {
		const {netlink, clock, log} = this.#seams;
		try {
			const entries = await netlink.addresses();
			this.#addresses = new Set(entries.map(({address}) => address));
		} catch (error) {
			if (this.#closed) return;
			log.error({error}, 'the addresses of this machine could not be read');
			this.#cancelRetry();
			this.#cancelRetry = clock.after(AGAIN_US, 'read addresses', () => void this.look());
		}
	}
}
