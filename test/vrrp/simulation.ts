import type {Track, TrackerReport} from '../../src/conf/model.js';
import {FakeClock, milliseconds, seconds} from '../fake/clock.js';
import {FakeLan, seeded} from '../fake/lan.js';
import {Balancer, group, instance, internal, kernelEvents} from './segment.js';

/** What a run of the simulation came to. */
export interface Story {
	readonly virtualHours: number;
	readonly disturbances: number;
	readonly transitions: number;
	/** What happened, oldest first, each line with its time; the last ones only. */
	readonly lines: readonly string[];
	/** What must not have happened, or null. */
	readonly violation: string | null;
}

const ROUTERS_MAX = 5;
const LINES_KEPT = 60;
const INTERFACES = {eth0: 2, eth1: 3} as const;
type Interface = keyof typeof INTERFACES;

/** What is drawn once for a run; all routers agree in it. */
interface Setting {
	readonly version: 2 | 3;
	readonly advertUs: number;
	readonly grouped: boolean;
	readonly lans: Readonly<Partial<Record<Interface, FakeLan>>> & {readonly eth0: FakeLan};
}

/** One router, through all its lives. */
interface Seat {
	readonly name: string;
	readonly host: number;
	readonly priority: number;
	readonly preempt: boolean;
	readonly preemptDelayUs: number;
	balancer: Balancer | null;
	stalled: boolean;
	readonly down: Set<Interface>;
	/** By how much its script of a weight changes its priority while it is up, or down where negative. */
	readonly weight: number;
	/** What its scripts have found; null: nothing yet. They outlive it. */
	readonly scripts: Record<Script, 'up' | 'down' | null>;
}

/** One has a weight; the other's failure is a fault. */
type Script = 'graded' | 'fatal';

/** Something that lasts, and until when it may. */
interface Lasting {
	readonly sinceUs: number;
	readonly what: string;
}

/**
 * Two to five routers on one segment, or on two with a sync group, through random partitions, losses, stalls, crashes,
 * restarts, releases, broken links, and scripts that fail or change priorities. Two things must hold whatever happens: two masters that hear each other are so for one advert
 * interval at most, and a healthy router is not without a master, itself or one that it hears, for longer than it waits
 * before it becomes one. Both count from the last disturbance on; while packets are lost, nothing is promised. Soon after,
 * nobody moves any more, and who preempts has no worse master.
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
	#disturbances = 0;
	#transitions = 0;
	#violation: string | null = null;

	constructor(seed: number) {
		this.#random = seeded(seed);
		const grouped = this.#random() < 0.4;
		const eth0 = new FakeLan(this.#clock, seed);
		this.#setting = {
			version: this.#random() < 0.5 ? 2 : 3,
			advertUs: seconds(this.#pick([1, 1, 2, 5, 20])),
			grouped,
			lans: grouped ? {eth0, eth1: new FakeLan(this.#clock, seed + 1)} : {eth0},
		};
		for (const lan of this.#lans()) lan.latencyUs = milliseconds(this.#pick([0.1, 1, 20]));
		this.#seats = Array.from({length: 2 + this.#below(ROUTERS_MAX - 1)}, (_, index) => this.#seat(index));
	}

	/** Runs through so many disturbances, or up to the first violation. */
	async run(disturbances: number): Promise<Story> {
		for (const seat of this.#seats) await this.#start(seat);
		while (this.#disturbances < disturbances && this.#violation === null) {
			this.#pass(this.#pause());
			await this.#disturb();
			this.#examine();
		}
		this.#pass(4 * this.#patienceUs());
		return {
			virtualHours: this.#clock.nowUs() / seconds(3600),
			disturbances: this.#disturbances,
			transitions: this.#transitions,
			lines: this.#lines,
			violation: this.#violation,
		};
	}

	#seat(index: number): Seat {
		return {
			name: 'abcde'[index] ?? '',
			host: 10 + index,
			priority: this.#pick([254, 200, 150, 100, 100, 50, 1]),
			preempt: this.#random() < 0.7,
			preemptDelayUs: this.#random() < 0.2 ? seconds(this.#pick([1, 10, 60])) : 0,
			balancer: null,
			stalled: false,
			down: new Set(),
			weight: this.#pick([-200, -60, -1, 1, 60, 200]),
			scripts: {graded: null, fatal: this.#random() < 0.8 ? 'up' : null},
		};
	}

	// What happens

	async #disturb(): Promise<void> {
		this.#disturbedUs = this.#clock.nowUs();
		const happened = await (this.#random() < 0.4 ? this.#disturbSegment() : this.#disturbRouter());
		await kernelEvents();
		this.#disturbances++;
		this.#tell(happened);
		for (const lan of this.#lans()) {
			lan.adverts.length = 0;
			lan.frames.length = 0;
		}
	}

	#disturbSegment(): string {
		return this.#pick([() => this.#partition(), () => this.#heal(), () => this.#lose()])();
	}

	/** One that is not there starts. */
	#disturbRouter(): string | Promise<string> {
		const seat = this.#pick(this.#seats);
		if (seat.balancer === null) return this.#start(seat);
		const disturbance = this.#pick<(seat: Seat, balancer: Balancer) => string | Promise<string>>([
			(...victim) => this.#stallOrWake(...victim),
			(...victim) => this.#crash(...victim),
			(...victim) => this.#stop(...victim),
			(...victim) => this.#flip(...victim),
			(...victim) => this.#runScript(...victim),
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
		else station.wake();
		return `${seat.name} ${seat.stalled ? 'hangs' : 'goes on'}`;
	}

	#crash(seat: Seat, {station}: Balancer): string {
		station.kill();
		this.#leave(seat);
		return `${seat.name} dies`;
	}

	async #stop(seat: Seat, balancer: Balancer): Promise<string> {
		if (seat.stalled) return this.#stallOrWake(seat, balancer);
		// It lingers, but counts for nothing any more.
		void balancer.router.stop();
		await kernelEvents();
		this.#leave(seat);
		return `${seat.name} stops`;
	}

	#leave(seat: Seat): void {
		seat.balancer = null;
		seat.stalled = false;
		seat.down.clear();
	}

	async #start(seat: Seat): Promise<string> {
		const {advertUs, version, grouped, lans} = this.#setting;
		const balancer = new Balancer(seat.name, seat.host, this.#clock, lans, () => this.#transitioned());
		seat.balancer = balancer;
		const {priority, preempt, preemptDelayUs} = seat;
		const tracks = tracksOf(seat);
		const password = version === 2 ? '1215' : null;
		const common = {priority, preempt, preemptDelayUs, advertUs, version, password, tracks};
		balancer.router.track(reportsOf(seat));
		await balancer.configure(
			grouped ? [instance(common), internal(common)] : [instance(common)],
			grouped ? [group] : [],
		);
		return `${seat.name} starts with priority ${priority}${preempt ? '' : ', nopreempt'}, delay ${preemptDelayUs / seconds(1)} s`;
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

	/** Or back again, if it has been. */
	#release(seat: Seat, balancer: Balancer): string {
		if (seat.stalled) return this.#stallOrWake(seat, balancer);
		const released = isReleased(seat);
		if (released) balancer.router.reclaim('external');
		else void balancer.router.release('external');
		return `${seat.name} is ${released ? 'reclaimed' : 'released'}`;
	}

	// What must hold

	#transitioned(): void {
		this.#transitions++;
		if (this.#isCalm()) this.#violate('somebody moves though nothing has happened');
		this.#examine();
	}

	/** Looks who is master; durations are exact, as this is called whenever anything changes. */
	#examine(): void {
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

	#watch(what: string, lasts: boolean): void {
		const lasting = this.#lasting.get(what);
		if (lasting !== undefined) this.#judge(lasting);
		if (!lasts) this.#lasting.delete(what);
		else if (lasting === undefined) this.#lasting.set(what, {sinceUs: this.#clock.nowUs(), what});
	}

	#judge({sinceUs, what}: Lasting): void {
		if (this.#violation !== null || this.#lans().some(lan => lan.loss > 0)) return;
		const lastedUs = this.#clock.nowUs() - Math.max(sinceUs, this.#disturbedUs);
		const allowedUs = what.endsWith('both master') ? this.#intervalUs() : this.#patienceUs();
		if (lastedUs <= allowedUs) return;
		this.#violate(`${what} for ${lastedUs} us, where ${allowedUs} us are allowed`);
	}

	#violate(what: string): void {
		this.#violation ??= what;
		this.#tell(what);
	}

	/** Whether all has been said and done since the last disturbance: a master is there, and `preempt_delay` is over. */
	#isCalm(): boolean {
		const delayUs = Math.max(...this.#seats.map(seat => seat.preemptDelayUs));
		const calmUs = 2 * this.#patienceUs() + delayUs;
		return this.#lans().every(lan => lan.loss === 0) && this.#clock.nowUs() - this.#disturbedUs > calmUs;
	}

	/** Members of a group may each hear others, and then the group waits for all. */
	#examineRanks(): void {
		if (!this.#isCalm() || (this.#setting.grouped && this.#islands.size > 0)) return;
		const master = (of: Seat) => this.#seats.find(seat => this.#isMaster(seat) && this.#hears(of, seat));
		for (const seat of this.#seats.filter(seat => seat.preempt && !isReleased(seat) && this.#isHealthy(seat))) {
			if (priorityOf(master(seat)) < priorityOf(seat)) this.#violate(`${seat.name} has a worse master`);
		}
	}

	/** Within which masters that hear each other have become one. */
	#intervalUs(): number {
		return this.#setting.advertUs + this.#slackUs();
	}

	/** Within which somebody becomes master: three intervals and the longest skew. */
	#patienceUs(): number {
		const {advertUs, version} = this.#setting;
		return 3 * advertUs + (version === 2 ? seconds(1) : advertUs) + this.#slackUs();
	}

	#slackUs(): number {
		return 2 * Math.max(...this.#lans().map(lan => lan.latencyUs));
	}

	#isHealthy(seat: Seat): boolean {
		return seat.balancer !== null && !seat.stalled && seat.down.size === 0 && seat.scripts.fatal === 'up';
	}

	#isMaster(seat: Seat): boolean {
		return this.#isHealthy(seat) && (seat.balancer?.roles().every(role => role === 'master') ?? false);
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

function reportsOf({scripts}: Seat): TrackerReport[] {
	return Object.entries(scripts).flatMap(([name, result]) => (result === null ? [] : [{kind: 'script', name, result}]));
}

function isReleased({balancer}: Seat): boolean {
	return balancer?.router.status().instances.some(({released}) => released) ?? false;
}

/** As a master, or as one that waits for its successor. */
function serves({balancer}: Seat): boolean {
	return balancer?.router.status().instances.every(({role, lingers}) => role === 'master' || lingers) ?? false;
}

/** In effect now. */
function priorityOf(seat: Seat | undefined): number {
	return seat?.balancer?.router.status().instances[0]?.priority ?? 0;
}
