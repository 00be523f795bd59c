import {setImmediate} from 'node:timers/promises';
import type {Instance, LinkDelay, MulticastGroups, Place, SyncGroup, VirtualAddress} from '../../src/conf/model.js';
import {family} from '../../src/net/address.js';
import type {PriorityChange, Rival, Transition, VrrpConfig} from '../../src/vrrp/protocol.js';
import {Router} from '../../src/vrrp/router.js';
import {type FakeClock, seconds} from '../fake/clock.js';
import {type FakeLan, FakeStation} from '../fake/lan.js';
import {FakeLeases} from '../fake/leases.js';
import {FakeLog} from '../fake/log.js';
import {FakeNetlink} from '../fake/netlink.js';

const place: Place = {file: 'keepalived.conf', line: 1, column: 1};

export const multicastGroups: MulticastGroups = {4: '224.0.0.18', 6: 'ff02::12'};

/** Of a configuration without static blocks, whose interfaces must be there, and which waits for nobody's connections. */
export const noStatics: Pick<
	VrrpConfig,
	'daemon' | 'statics' | 'trackGroups' | 'linkDelays' | 'dynamicInterfaces' | 'graceUs' | 'waits'
> = {
	daemon: 'test',
	statics: {addresses: [], routes: [], rules: []},
	trackGroups: [],
	linkDelays: [],
	dynamicInterfaces: false,
	graceUs: seconds(10),
	waits: false,
};

/** A line of `interface_up_down_delays`, in seconds. */
export function linkDelay(name: string, down: number, up: number): LinkDelay {
	return {place, name, downUs: seconds(down), upUs: seconds(up)};
}

export function virtualAddress(address: string, device: string): VirtualAddress {
	const prefix = family(address) === 4 ? 24 : 64;
	return {
		place,
		address,
		prefix,
		device,
		peer: null,
		label: null,
		scope: 0,
		broadcast: null,
		preferredS: null,
		flags: [],
		detectDuplicates: false,
		tracked: true,
		trackGroup: null,
	};
}

/** The external instance of the reference job, with changes. */
export function instance(changes: Partial<Instance> = {}): Instance {
	const device = changes.interface ?? 'eth0';
	return {
		place,
		name: 'external',
		initialState: 'master',
		interface: device,
		virtualMac: null,
		vrid: 91,
		priority: 100,
		family: 4,
		version: 2,
		advertUs: seconds(1),
		password: '1215',
		usesAuthHeader: false,
		authHmac: null,
		addresses: [virtualAddress('192.168.1.1', device)],
		excludedAddresses: [],
		routes: [],
		rules: [],
		promoteSecondaries: false,
		accept: true,
		preempt: true,
		preemptDelayUs: 0,
		garp: {
			masterRepeat: 5,
			masterDelayUs: seconds(5),
			masterRefreshUs: 0,
			masterRefreshRepeat: 1,
			lowerPriorityRepeat: 5,
			lowerPriorityDelayUs: seconds(5),
		},
		sourceAddress: null,
		trackSourceAddress: false,
		multicastGroup: null,
		unicast: null,
		trackPrimary: true,
		tracks: [],
		notify: null,
		...changes,
	};
}

/** The external instance of an IPv6 copy of the reference job, with changes. */
export function instance6(changes: Partial<Instance> = {}): Instance {
	const device = changes.interface ?? 'eth0';
	return instance({
		family: 6,
		version: 3,
		password: null,
		addresses: [virtualAddress('fe80::100', device), virtualAddress('2001:db8::1', device)],
		...changes,
	});
}

/** The internal instance of the reference job, with changes. */
export function internal(changes: Partial<Instance> = {}): Instance {
	return instance({
		name: 'internal',
		interface: 'eth1',
		vrid: 92,
		addresses: [virtualAddress('10.0.0.100', 'eth1')],
		...changes,
	});
}

export const group: SyncGroup = {place, name: 'VRRP1', instances: ['external', 'internal'], notify: null};

/**
 * A balancer on fake segments: `192.168.1.HOST` and `fe80::HOST` on eth0 and, with an internal segment, `10.0.0.HOST` on
 * eth1.
 */
export class Balancer {
	readonly name: string;
	readonly station: FakeStation;
	readonly netlink = new FakeNetlink();
	readonly leases = new FakeLeases();
	readonly log = new FakeLog();
	readonly transitions: Transition[] = [];
	readonly rivals: Rival[] = [];
	readonly priorityChanges: PriorityChange[] = [];
	readonly router: Router;

	constructor(
		name: string,
		host: number,
		clock: FakeClock,
		lans: {readonly eth0: FakeLan; readonly eth1?: FakeLan; readonly 'vrrp.91'?: FakeLan},
		onTransition: () => void = () => {},
	) {
		this.name = name;
		this.station = new FakeStation(name, clock, lans);
		this.netlink.setLink({ifindex: 2, name: 'eth0', mac: `02:00:00:00:00:${host}`});
		this.netlink.give(2, `192.168.1.${host}`, 24);
		this.netlink.give(2, `2001:db8::${host}`, 64);
		this.netlink.give(2, `fe80::${host}`, 64);
		if (lans.eth1 !== undefined) {
			this.netlink.setLink({ifindex: 3, name: 'eth1', mac: `02:00:00:00:01:${host}`});
			this.netlink.give(3, `10.0.0.${host}`, 24);
		}
		const {station, netlink, leases} = this;
		this.router = new Router({clock: station.clock, sockets: station, netlink, leases}, this.log, {
			transition: transition => {
				this.transitions.push(transition);
				onTransition();
			},
			rival: rival => this.rivals.push(rival),
			priorityChanged: change => this.priorityChanges.push(change),
		});
	}

	async configure(
		instances: readonly Instance[],
		syncGroups: readonly SyncGroup[] = [],
		more: Partial<typeof noStatics> = {},
	): Promise<void> {
		await this.router.configure({instances, syncGroups, multicastGroups, ...noStatics, ...more});
		// As on a real machine, where no timer comes between an event and what it leads to.
		await kernelEvents();
	}

	/** Stops it in good order, and lets the time pass that it lingers where nobody takes over. */
	async stop(clock: FakeClock): Promise<void> {
		const stopped = this.router.stop();
		await kernelEvents();
		clock.advance(seconds(1.3));
		await stopped;
	}

	/** What a neighbour would find here. */
	owns(address: string): boolean {
		return !this.station.dead && this.netlink.owned().includes(address);
	}

	roles(): string[] {
		return this.router.status().instances.map(status => status.role);
	}
}

/** Lets events of the kernel arrive that a test has just caused. */
export async function kernelEvents(): Promise<void> {
	await setImmediate();
}

/** Names of those that have the address. */
export function owners(balancers: readonly Balancer[], address = '192.168.1.1'): string[] {
	return balancers.filter(balancer => balancer.owns(address)).map(balancer => balancer.name);
}
