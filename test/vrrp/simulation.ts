import type {Track, TrackerReport} from '../../src/conf/model.js';
import type {AuthHmac} from '../../src/net/vrrp-hmac.js';
import {ANY_TTL, type Unicast} from '../../src/net/vrrp-packet.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLan, type FakeStation, seeded} from '../fake/lan.js';
import {Balancer, group, instance, instance6, internal, kernelEvents} from './segment.js';

/** What a run of the simulation came to. */
export interface Story {
	readonly virtualHours: number;
	readonly disturbances: number;
	/** Sent by all routers. */
	readonly adverts: number;
	readonly transitions: number;
	/** What happened, oldest first, each line with its time; the last ones only. */
	readonly lines: readonly string[];
	/** What must not have happened, or null. */
	readonly violation: string | null;
}

const ROUTERS_MAX = 5;
const LINES_KEPT = 60;
const INTERFACES = {eth0: 2, eth1: 3} as const;
const OWNER = 255;
/** Nobody who resigned keeps the addresses for longer, whatever the skew of its successor. */
const LINGER_MAX_US = seconds(10);
/** What a late timer of the successor's may take. */
const LINGER_MARGIN_US = milliseconds(250);
/** On a segment within a second; ten times what all of them say that advertise every tenth of it and answer one another. */
const STORM_ADVERTS = 1000;
/** Whole seconds for version 2, hundredths for version 3; up to the longest that the field holds. */
const ADVERT_SECONDS = {2: [1, 1, 1, 2, 5, 20, 255], 3: [0.1, 0.1, 1, 1, 1, 5, 40.95]} as const;
type Interface = keyof typeof INTERFACES;

function authHmacFor(advertUs: number): AuthHmac {
	const windowS = Math.min(300, Math.max(5, (3 * advertUs) / seconds(1)));
	return {keys: [{id: 1, secret: '5a'.repeat(32)}], activeKeyId: 1, antiReplay: 'time', windowS, mode: 'enforce'};
}

/** What is drawn once for a run; all routers agree in it. */
interface Setting {
	readonly version: 2 | 3;
	readonly family: 4 | 6;
	readonly unicast: boolean;
	readonly advertUs: number;
	readonly grouped: boolean;
	/** By `auth_hmac`. */
	readonly signed: boolean;
	readonly lans: Readonly<Partial<Record<Interface, FakeLan>>> & {readonly eth0: FakeLan};
}

/** One router, through all its lives. */
interface Seat {
	readonly name: string;
	readonly host: number;
	/** Its configuration; a reload draws another one. */
	wish: Wish;
	/** Version 3 learns the interval of a master that has another one. */
	readonly advertUs: number;
	balancer: Balancer | null;
	/** One that has stopped in good order, and may linger. */
	leaving: Balancer | null;
	/** Virtual addresses that a crash has left on its interfaces. */
	left: readonly string[];
	stalled: boolean;
	readonly down: Set<Interface>;
	/** By how much its script of a weight changes its priority while it is up, or down where negative. */
	readonly weight: number;
	/** What its scripts have found; null: nothing yet. They outlive it. */
	readonly scripts: Record<Script, 'up' | 'down' | null>;
}

interface Wish {
	readonly priority: number;
	readonly preempt: boolean;
	readonly preemptDelayUs: number;
}

/** One has a weight; the other's failure is a fault. */
type Script = 'graded' | 'fatal';

/** Something that lasts, and until when it may. */
interface Lasting {
	readonly sinceUs: number;
	readonly what: string;
}

/**
 * Two to five routers on one segment, or on two with a sync group, of either version and family, by multicast or unicast,
 * through random partitions, losses, stalls, crashes, restarts, reloads, releases, broken links, stolen addresses, and
 * scripts that fail or change priorities. What must hold whatever happens: two masters that hear each other are so for one
 * advert interval at most, and a healthy router is not without a master, itself or one that it hears, for longer than it
 * waits before it becomes one; who lingers is as good as one, and does so for long enough for any backup and no longer.
 * All count from the last disturbance on; while packets are lost, nothing is promised. Soon after, nobody moves any more,
 * and who preempts and is not released has no worse master. Nobody answers adverts with adverts without end. At all times a master has its addresses, and nobody else has
 * but who lingers; and when all was well and mastership moves on purpose, somebody has them at every moment.
 */
export class Simulation {
	readonly #clock = new FakeClock();
	readonly #random: () => number;
	readonly #setting: Setting;
	readonly #seats: readonly Seat[];
	readonly #lasting = new Map<string, Lasting>();
	readonly #lines: string[] = [];
	/** Of each segment: the island that each seat is on; null: they all hear each other. */
	readonly #islands = new Map<Interface, readonly number[]>();
	#endLoss: () => void = () => {};
	#disturbedUs = 0;
	/** Before the last disturbance. */
	#wasCalm = false;
	/** The only master, when it was asked by the last disturbance to stop or to release, which saves the others the wait. */
	#handsOver: Seat | null = null;
	/** All was well before the last disturbance, and it took nothing away. */
	#seamless = false;
	#disturbances = 0;
	#adverts = 0;
	#transitions = 0;
	#violation: string | null = null;

	constructor(seed: number) {
		this.#random = seeded(seed);
		const grouped = this.#random() < 0.4;
		const version = this.#random() < 0.5 ? 2 : 3;
		const eth0 = new FakeLan(this.#clock, seed);
		this.#setting = {
			version,
			family: version === 3 && !grouped && this.#random() < 0.5 ? 6 : 4,
			unicast: !grouped && this.#random() < 0.3,
			advertUs: seconds(this.#pick(ADVERT_SECONDS[version])),
			grouped,
			signed: seed % 2 === 0,
			lans: grouped ? {eth0, eth1: new FakeLan(this.#clock, seed + 1)} : {eth0},
		};
		for (const lan of this.#lans()) {
			lan.latencyUs = milliseconds(this.#pick([0.1, 1, 20]));
			lan.onSent = what => what === 'advert' && this.#listenForStorm(lan);
		}
		this.#seats = Array.from({length: 2 + this.#below(ROUTERS_MAX - 1)}, (_, index) => this.#seat(index));
	}

	/** Runs through so many disturbances, or up to the first violation. */
	async run(disturbances: number): Promise<Story> {
		for (const seat of this.#seats) await this.#start(seat);
		this.#examine();
		while (this.#disturbances < disturbances && this.#violation === null) {
			this.#pass(this.#pause());
			await this.#disturb();
			this.#examine();
		}
		this.#pass(4 * this.#patienceUs());
		return {
			virtualHours: this.#clock.nowUs() / seconds(3600),
			disturbances: this.#disturbances,
			adverts: this.#adverts,
			transitions: this.#transitions,
			lines: this.#lines,
			violation: this.#violation,
		};
	}

	#seat(index: number): Seat {
		const {version, advertUs} = this.#setting;
		const slower = version === 3 && advertUs <= seconds(5) && this.#random() < 0.2;
		return {
			name: 'abcde'[index] ?? '',
			host: 10 + index,
			wish: this.#wish(),
			advertUs: slower ? 3 * advertUs : advertUs,
			balancer: null,
			leaving: null,
			left: [],
			stalled: false,
			down: new Set(),
			weight: this.#pick([-200, -60, -1, 1, 60, 200]),
			scripts: {graded: null, fatal: this.#random() < 0.8 ? 'up' : null},
		};
	}

	/** An owner of the addresses always preempts. */
	#wish(): Wish {
		const priority = this.#pick([OWNER, 254, 200, 150, 100, 100, 50, 1]);
		const preempt = priority === OWNER || this.#random() < 0.7;
		return {priority, preempt, preemptDelayUs: preempt && this.#random() < 0.2 ? seconds(this.#pick([1, 10, 60])) : 0};
	}

	// What happens

	async #disturb(): Promise<void> {
		this.#wasCalm = this.#isCalm();
		this.#handsOver = null;
		this.#seamless = false;
		this.#disturbedUs = this.#clock.nowUs();
		const happened = await (this.#random() < 0.4 ? this.#disturbSegment() : this.#disturbRouter());
		await kernelEvents();
		this.#disturbances++;
		this.#tell(happened);
		for (const lan of this.#lans()) {
			this.#adverts += lan.adverts.length;
			lan.adverts.length = 0;
			lan.frames.length = 0;
		}
	}

	#disturbSegment(): string {
		return this.#pick([() => this.#partition(), () => this.#heal(), () => this.#lose()])();
	}

	/** One that is not there starts; one that has not quite gone dies. */
	#disturbRouter(): string | Promise<string> {
		const seat = this.#pick(this.#seats);
		if (seat.leaving !== null && lingers(seat.leaving)) return this.#crash(seat, seat.leaving);
		if (seat.balancer === null) return this.#start(seat);
		const disturbance = this.#pick<(seat: Seat, balancer: Balancer) => string | Promise<string>>([
			(...victim) => this.#stallOrWake(...victim),
			(...victim) => this.#crash(...victim),
			(...victim) => this.#stop(...victim),
			(...victim) => this.#flip(...victim),
			(...victim) => this.#runScript(...victim),
			(...victim) => this.#reload(...victim),
			(...victim) => this.#steal(...victim),
			(...victim) => this.#release(...victim),
		]);
		return disturbance(seat, seat.balancer);
	}

	#partition(): string {
		const eth = this.#pick(this.#interfaces());
		const islands = this.#seats.map(() => this.#below(3));
		this.#islands.set(eth, islands);
		const names = [0, 1, 2].map(island => this.#seats.filter((_, at) => islands[at] === island).map(seat => seat.name));
		this.#lan(eth).partition(...names);
		return `${eth} is in parts: ${names.map(part => part.join('')).join(' | ')}`;
	}

	#heal(): string {
		for (const eth of this.#interfaces()) this.#lan(eth).heal();
		this.#islands.clear();
		return 'all segments are whole';
	}

	/** The next disturbance may be hours away, so a loss ends by itself, or with the next one. */
	#lose(): string {
		const lan = this.#lan(this.#pick(this.#interfaces()));
		this.#endLoss();
		lan.loss = this.#pick([0.05, 0.3, 0.9]);
		const us = seconds(this.#pick([1, 10, 100]));
		const cancel = this.#clock.after(us, 'loss', () => this.#endLoss());
		this.#endLoss = () => {
			cancel();
			lan.loss = 0;
			this.#disturbedUs = this.#clock.nowUs();
		};
		return `${lan.loss * 100} % of packets are lost for ${us / seconds(1)} s`;
	}

	#stallOrWake(seat: Seat, {station}: Balancer): string {
		seat.stalled = !seat.stalled;
		if (seat.stalled) station.stall();
		else this.#wake(seat, station);
		return `${seat.name} ${seat.stalled ? 'hangs' : 'goes on'}`;
	}

	/** What has waited in its sockets shows a backup that it still has a master. */
	#wake(seat: Seat, station: FakeStation): void {
		const follows = this.#wasCalm && this.#hasBetterMaster(seat);
		const transitions = this.#transitions;
		station.wake();
		if (follows && this.#transitions > transitions) this.#violate(`${seat.name} wakes up and takes over`);
	}

	#crash(seat: Seat, {station, netlink}: Balancer): string {
		station.kill();
		this.#leave(seat);
		seat.left = this.#vips().filter(vip => netlink.owned().includes(vip));
		return `${seat.name} dies`;
	}

	async #stop(seat: Seat, balancer: Balancer): Promise<string> {
		if (seat.stalled) return this.#stallOrWake(seat, balancer);
		if (this.#isOnlyMaster(seat)) this.#handsOver = seat;
		this.#seamless = this.#isWell() && this.#hasSuccessor(seat);
		void balancer.router.stop();
		await kernelEvents();
		this.#leave(seat);
		seat.leaving = balancer;
		return `${seat.name} stops`;
	}

	#leave(seat: Seat): void {
		seat.balancer = null;
		seat.leaving = null;
		seat.stalled = false;
		seat.down.clear();
	}

	async #start(seat: Seat): Promise<string> {
		const balancer = new Balancer(seat.name, seat.host, this.#clock, this.#setting.lans, () => this.#transitioned());
		for (const vip of seat.left) balancer.netlink.give(vip.startsWith('10.') ? 3 : 2, vip, vip.includes(':') ? 64 : 24);
		seat.left = [];
		this.#seamless = this.#isWell();
		balancer.netlink.onAddresses = () => this.#addressesMoved();
		seat.leaving = null;
		seat.balancer = balancer;
		balancer.router.track(reportsOf(seat));
		await this.#configure(seat, balancer);
		return `${seat.name} starts with ${wishText(seat)}`;
	}

	async #reload(seat: Seat, balancer: Balancer): Promise<string> {
		if (seat.stalled) return this.#stallOrWake(seat, balancer);
		seat.wish = this.#wish();
		this.#seamless = this.#isWell();
		await this.#configure(seat, balancer);
		return `${seat.name} goes on with ${wishText(seat)}`;
	}

	#configure(seat: Seat, balancer: Balancer): Promise<void> {
		const {version, family, grouped, signed} = this.#setting;
		const password = version === 2 && !signed ? '1215' : null;
		const authHmac = signed ? authHmacFor(seat.advertUs) : null;
		const unicast = this.#setting.unicast ? this.#othersThan(seat) : null;
		const common = {
			...seat.wish,
			advertUs: seat.advertUs,
			version,
			password,
			authHmac,
			tracks: tracksOf(seat),
			unicast,
		};
		const external = family === 4 ? instance(common) : instance6(common);
		return balancer.configure(grouped ? [external, internal(common)] : [external], grouped ? [group] : []);
	}

	#othersThan(seat: Seat): Unicast {
		const network = this.#setting.family === 4 ? '192.168.1.' : 'fe80::';
		const others = this.#seats.filter(other => other !== seat);
		const peers = others.map(({host}) => ({address: `${network}${host}`, ttl: ANY_TTL}));
		return {peers, ttl: 255, checkSource: true};
	}

	/** Somebody takes a virtual address off the interface. One that lingers would not fetch it back. */
	#steal(seat: Seat, balancer: Balancer): string {
		if (seat.stalled) return this.#stallOrWake(seat, balancer);
		const vip = this.#pick(this.#vips());
		if (balancer.owns(vip) && !lingers(balancer)) balancer.netlink.take(vip);
		return `${vip} is taken from ${seat.name}`;
	}

	/** Or back again, if it has been. */
	#release(seat: Seat, balancer: Balancer): string {
		if (seat.stalled) return this.#stallOrWake(seat, balancer);
		const released = isReleased(seat);
		this.#seamless = this.#isWell();
		if (!released && this.#isOnlyMaster(seat)) this.#handsOver = seat;
		if (released) balancer.router.reclaim('external');
		else void balancer.router.release('external');
		return `${seat.name} is ${released ? 'reclaimed' : 'released'}`;
	}

	#flip(seat: Seat, {netlink}: Balancer): string {
		const eth = this.#pick(this.#interfaces());
		const running = seat.down.has(eth);
		if (running) seat.down.delete(eth);
		else seat.down.add(eth);
		netlink.setLink({ifindex: INTERFACES[eth], name: eth, running});
		return `${eth} of ${seat.name} is ${running ? 'up' : 'down'}`;
	}

	/** Scripts are run by another process, which does not stall with this one: a router that hangs hears of it later. */
	#runScript(seat: Seat, balancer: Balancer): string {
		if (seat.stalled) return this.#stallOrWake(seat, balancer);
		const script = this.#pick(['graded', 'fatal'] as const);
		seat.scripts[script] = seat.scripts[script] === 'up' ? 'down' : 'up';
		balancer.router.track(reportsOf(seat));
		return `${script} of ${seat.name} is ${seat.scripts[script]}, weight ${seat.weight}`;
	}

	// What must hold

	#transitioned(): void {
		this.#transitions++;
		if (this.#isCalm()) this.#violate('somebody moves though nothing has happened');
		this.#examine();
	}

	/** Looks who is master; durations are exact, as this is called whenever anything changes. */
	#examine(): void {
		this.#examineAddresses();
		this.#examineLingering();
		const masters = this.#seats.filter(seat => this.#isMaster(seat));
		for (const [at, a] of this.#seats.entries()) {
			const heard = masters.filter(other => other !== a && this.#hears(a, other));
			this.#watch(`${a.name} has no master`, this.#isHealthy(a) && heard.length === 0 && !serves(a));
			for (const b of this.#seats.slice(at + 1)) {
				const both = masters.includes(a) && heard.includes(b);
				this.#watch(`${a.name} and ${b.name} are both master`, both);
			}
		}
	}

	/** A process that hangs, or that has yet to read what the kernel says, may be behind. */
	#examineAddresses(): void {
		for (const {name, balancer, leaving, stalled} of this.#seats) {
			const there = stalled ? null : (leaving ?? balancer);
			if (there !== null) this.#examineHoldings(name, there);
		}
	}

	#examineHoldings(name: string, balancer: Balancer): void {
		for (const [index, {role, lingers}] of balancer.router.status().instances.entries()) {
			const held = this.#vips(index).filter(vip => balancer.owns(vip));
			const due = role === 'master' || lingers ? this.#vips(index) : [];
			if (held.length !== due.length) this.#violate(`${name} is ${role} and holds ${held.length} addresses`);
		}
	}

	#examineLingering(): void {
		for (const {name, balancer, leaving, stalled} of this.#seats) {
			const there = stalled ? null : (leaving ?? balancer);
			this.#watch(`${name} lingers`, there !== null && lingers(there));
		}
	}

	/** Called whenever one has come or gone, so that no moment is missed. */
	#addressesMoved(): void {
		this.#examineLingering();
		if (!this.#seamless) return;
		const there = this.#seats.flatMap(({balancer, leaving}) => balancer ?? leaving ?? []);
		for (const vip of this.#vips()) {
			if (!there.some(balancer => balancer.owns(vip))) this.#violate(`nobody has ${vip}`);
		}
	}

	/** Of all instances, or of one. */
	#vips(index?: number): readonly string[] {
		const {family, grouped} = this.#setting;
		const external = family === 4 ? ['192.168.1.1'] : ['fe80::100', '2001:db8::1'];
		const all = grouped ? [external, ['10.0.0.100']] : [external];
		return index === undefined ? all.flat() : (all[index] ?? []);
	}

	#watch(what: string, lasts: boolean): void {
		const lasting = this.#lasting.get(what);
		if (lasting !== undefined) this.#judge(lasting);
		if (!lasts) this.#lasting.delete(what);
		else if (lasting === undefined) this.#lasting.set(what, {sinceUs: this.#clock.nowUs(), what});
	}

	#judge({sinceUs, what}: Lasting): void {
		if (this.#violation !== null || this.#lans().some(lan => lan.loss > 0)) return;
		const lastedUs = this.#clock.nowUs() - Math.max(sinceUs, this.#disturbedUs);
		const allowedUs = this.#allowedUs(what);
		if (lastedUs <= allowedUs) return;
		this.#violate(`${what} for ${lastedUs} us, where ${allowedUs} us are allowed`);
	}

	#allowedUs(what: string): number {
		if (what.endsWith('both master')) return this.#intervalUs();
		if (what.endsWith('lingers')) return 2 * (Math.min(this.#skewMaxUs(), LINGER_MAX_US) + LINGER_MARGIN_US);
		return this.#handsOver === null ? this.#patienceUs() : this.#skewMaxUs() + this.#slackUs();
	}

	/** Ends one as well, so that time can pass. */
	#listenForStorm(lan: FakeLan): void {
		const before = lan.adverts.at(-STORM_ADVERTS);
		if (before === undefined || this.#clock.nowUs() - before.atUs >= seconds(1)) return;
		this.#violate(`more than ${STORM_ADVERTS} adverts within a second`);
		lan.partition([]);
	}

	#violate(what: string): void {
		this.#violation ??= what;
		this.#tell(what);
	}

	/** Whether all has been said and done since the last disturbance: a master is there, and `preempt_delay` is over. */
	#isCalm(): boolean {
		const delayUs = Math.max(...this.#seats.map(({wish}) => wish.preemptDelayUs));
		const calmUs = 2 * this.#patienceUs() + delayUs;
		return this.#lans().every(lan => lan.loss === 0) && this.#clock.nowUs() - this.#disturbedUs > calmUs;
	}

	/** A master has the addresses of all, and no backup waits for longer than who hands over to it. */
	#isWell(): boolean {
		return this.#wasCalm && this.#seats.some(seat => this.#isOnlyMaster(seat)) && this.#skewMaxUs() <= LINGER_MAX_US;
	}

	#hasSuccessor(to: Seat): boolean {
		return this.#seats.some(seat => seat !== to && this.#isHealthy(seat));
	}

	#isOnlyMaster(seat: Seat): boolean {
		return this.#wasCalm && this.#islands.size === 0 && this.#isMaster(seat);
	}

	/** Members of a group may each hear others, and then the group waits for all. */
	#examineRanks(): void {
		if (!this.#isCalm() || (this.#setting.grouped && this.#islands.size > 0)) return;
		const leaver = this.#handsOver;
		if (this.#seamless && leaver !== null && this.#isMaster(leaver) && this.#hasSuccessor(leaver)) {
			this.#violate(`${leaver.name} is master again`);
		}
		const master = (of: Seat) => this.#seats.find(seat => this.#isMaster(seat) && this.#hears(of, seat));
		const preempting = this.#seats.filter(seat => seat.wish.preempt && !isReleased(seat));
		for (const seat of preempting.filter(one => this.#isHealthy(one))) {
			if (priorityOf(master(seat)) < priorityOf(seat)) this.#violate(`${seat.name} has a worse master`);
		}
	}

	/** Within which masters that hear each other have become one. */
	#intervalUs(): number {
		return this.#advertUsMax() + this.#slackUs();
	}

	/** Within which somebody becomes master: three intervals and the longest skew. */
	#patienceUs(): number {
		return 3 * this.#advertUsMax() + this.#skewMaxUs() + this.#slackUs();
	}

	#skewMaxUs(): number {
		return this.#setting.version === 2 ? seconds(1) : this.#advertUsMax();
	}

	#advertUsMax(): number {
		return Math.max(...this.#seats.map(({advertUs}) => advertUs));
	}

	#slackUs(): number {
		return 2 * Math.max(...this.#lans().map(lan => lan.latencyUs));
	}

	#isHealthy(seat: Seat): boolean {
		return seat.balancer !== null && !seat.stalled && seat.down.size === 0 && seat.scripts.fatal === 'up';
	}

	#isMaster(seat: Seat): boolean {
		const roles = seat.balancer?.roles() ?? [];
		// None while it is just starting.
		return this.#isHealthy(seat) && roles.length > 0 && roles.every(role => role === 'master');
	}

	/** It is a backup of one that it hears and that does not rank below it. */
	#hasBetterMaster(seat: Seat): boolean {
		if (this.#islands.size > 0 || seat.down.size > 0 || seat.scripts.fatal !== 'up') return false;
		const isBackup = seat.balancer?.roles().every(role => role === 'backup') ?? false;
		const master = this.#seats.find(other => this.#isMaster(other));
		return isBackup && master !== undefined && priorityOf(master) >= priorityOf(seat);
	}

	#hears(a: Seat, b: Seat): boolean {
		return this.#interfaces().some(eth => {
			const islands = this.#islands.get(eth);
			return islands === undefined || islands[this.#seats.indexOf(a)] === islands[this.#seats.indexOf(b)];
		});
	}

	// Time and chance

	#pass(us: number): void {
		this.#clock.advance(us);
		this.#examine();
		this.#examineRanks();
	}

	/** Mostly about as long as the routers' own times, at times much shorter or longer. */
	#pause(): number {
		return Math.floor(this.#setting.advertUs * this.#pick([0.001, 0.1, 0.9, 1, 3, 3.5, 10, 100]) * this.#random());
	}

	#tell(line: string): void {
		const roles = this.#seats.map(seat => `${seat.name}:${seat.balancer?.roles().join('+') ?? '-'}`).join(' ');
		this.#lines.push(`${(this.#clock.nowUs() / seconds(1)).toFixed(6)} ${line} [${roles}]`);
		if (this.#lines.length > LINES_KEPT) this.#lines.shift();
	}

	#interfaces(): readonly Interface[] {
		return this.#setting.grouped ? ['eth0', 'eth1'] : ['eth0'];
	}

	#lan(eth: Interface): FakeLan {
		return this.#setting.lans[eth] ?? this.#setting.lans.eth0;
	}

	#lans(): readonly FakeLan[] {
		return this.#interfaces().map(eth => this.#lan(eth));
	}

	#below(count: number): number {
		return Math.floor(this.#random() * count);
	}

	#pick<T>(among: readonly T[]): T {
		return among[this.#below(among.length)] as T;
	}
}

const place = {file: 'keepalived.conf', line: 1, column: 1};

/** Of each of its instances, as a sync group has it. */
function tracksOf({weight}: Seat): Track[] {
	const script = {place, kind: 'script', reverse: false} as const;
	return [
		{...script, name: 'graded', weight},
		{...script, name: 'fatal', weight: 0},
	];
}

function wishText({wish: {priority, preempt, preemptDelayUs}}: Seat): string {
	return `priority ${priority}${preempt ? '' : ', nopreempt'}, delay ${preemptDelayUs / seconds(1)} s`;
}

function reportsOf({scripts}: Seat): TrackerReport[] {
	return Object.entries(scripts).flatMap(([name, result]) => (result === null ? [] : [{kind: 'script', name, result}]));
}

/** In effect now. */
function priorityOf(seat: Seat | undefined): number {
	return seat?.balancer?.router.status().instances[0]?.priority ?? 0;
}

function isReleased({balancer}: Seat): boolean {
	return balancer?.router.status().instances.some(({released}) => released) ?? false;
}

/** As a master, or as one that waits for its successor. */
function serves({balancer}: Seat): boolean {
	return balancer?.router.status().instances.every(({role, lingers}) => role === 'master' || lingers) ?? false;
}

function lingers({router, station}: Balancer): boolean {
	return !station.dead && router.status().instances.some(({lingers}) => lingers);
}
