import {setTimeout as pause} from 'node:timers/promises';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import type {Observation} from '../lab/observer.js';
import {addresses, type Lan, type Name, names, type Segment} from './lan.js';
import {Node, type Program} from './node.js';

/** How the routers of a pair speak. */
export interface Setting {
	readonly version: 2 | 3;
	readonly family: 4 | 6;
	readonly cast: 'multicast' | 'unicast';
	/** The other two are version 2's for IPv4. */
	readonly auth: 'none' | 'PASS' | 'AH';
}

/** What befalls a pair, and how it is configured for that; `ailments` preempt, too. */
export type Mode = 'preempt' | 'ailments' | 'nopreempt' | 'preempt_delay';

/** Which programs the two routers are; `a` has the higher priority. */
export type Cast = Readonly<Record<Name, Program>>;

/** What became of one event. */
export interface Outcome {
	readonly event: string;
	/** Who runs and has the addresses in the end: `a`, `b`, `ab` or nobody. */
	readonly masters: string;
	/** How long it took until the new master had announced itself; null where nobody was to, or an end of it was not seen. */
	readonly ms: number | null;
	/** How much of that is chance: when in their intervals the event meets adverts and the script. */
	readonly chanceMs: number;
}

/** Announcements that do not come, and losers that do not let go, are not waited for any longer. */
const WAIT_MS = 15_000;
const SCRIPT_MS = 1000;

export const vips = {4: ['192.168.1.1'], 6: ['fe80::100', '2001:db8::1']} as const;

/** Version 3 is tried with the intervals that version 2 has not. */
export function advertMs({version}: Setting): number {
	return version === 2 ? 1000 : 500;
}

/** The file of one router; `test` is the command of its script. */
export function configuration(name: Name, setting: Setting, mode: Mode, test: string): string {
	const {version, family, cast, auth} = setting;
	const other = name === 'a' ? 'b' : 'a';
	const unicast = `unicast_src_ip ${addresses[name][family]}
	unicast_peer {
		${addresses[other][family]}
	}`;
	const lines = {preempt: '', ailments: '', nopreempt: 'nopreempt', preempt_delay: 'preempt_delay 3'} as const;
	return `global_defs {
	script_user root
}
vrrp_script health {
	script "${test}"
	interval ${SCRIPT_MS / 1000}
	weight -150
	fall 1
	rise 1
}
vrrp_instance external {
	state BACKUP
	interface eth0
	virtual_router_id 91
	version ${version}
	advert_int ${advertMs(setting) / 1000}
	priority ${name === 'a' ? 200 : 100}
	${lines[mode]}
	${auth === 'none' ? '' : `authentication {\n\t\tauth_type ${auth}\n\t\tauth_pass 1215\n\t}`}
	${cast === 'unicast' ? unicast : ''}
	track_script {
		health
	}
	virtual_ipaddress {
		${vips[family].map(vip => `${vip}/${family === 4 ? 24 : 64}`).join('\n\t\t')}
	}
}
`;
}

/** A pair of routers in one setting, through the events of one mode. */
export class Pair {
	readonly #lan: Lan;
	readonly #segment: Segment;
	readonly #setting: Setting;
	readonly #nodes: Readonly<Record<Name, Node>>;
	readonly outcomes: Outcome[] = [];
	/** Whose cable is in. */
	readonly #plugged = {a: true, b: true};

	constructor(lan: Lan, segment: Segment, options: {setting: Setting; mode: Mode; cast: Cast; directory: string}) {
		const {setting, mode, cast, directory} = options;
		this.#lan = lan;
		this.#segment = segment;
		this.#setting = setting;
		const node = (name: Name): Node =>
			new Node(segment.ends[name], {
				program: cast[name],
				directory,
				configure: test => configuration(name, setting, mode, test),
			});
		this.#nodes = {a: node('a'), b: node('b')};
	}

	get a(): Node {
		return this.#nodes.a;
	}

	get b(): Node {
		return this.#nodes.b;
	}

	plug(name: Name, plugged: boolean): Promise<void> {
		this.#plugged[name] = plugged;
		return this.#lan.plug(this.#segment.ends[name], plugged);
	}

	/**
	 * What is done makes a router announce itself: how long after the last word of the master before, or after what was done,
	 * in the interval of what takes notice of it.
	 */
	async takesOver(
		event: string,
		winner: Name,
		act: () => Promise<void> | void,
		since: 'last word' | 'advert' | 'script' = 'advert',
	): Promise<void> {
		const from = this.#segment.seen.length;
		await act();
		const doneMs = monotonicMs();
		const atMs = await this.#announced(winner, from);
		const loser = winner === 'a' ? 'b' : 'a';
		const baseMs = since !== 'last word' || atMs === null ? doneMs : this.#lastWord(loser, atMs);
		const ms = atMs === null || baseMs === undefined ? null : Math.round(atMs - baseMs);
		const intervalMs = advertMs(this.#setting);
		const chanceMs = {'last word': 0, advert: intervalMs, script: intervalMs + SCRIPT_MS}[since];
		this.outcomes.push({event, masters: await this.#settled(winner), ms, chanceMs});
	}

	/** What is done must not change anything for as long as a backup waits, and an interval. */
	async stays(event: string, act: () => Promise<void> | void): Promise<void> {
		await act();
		await pause(5 * advertMs(this.#setting));
		this.outcomes.push({event, masters: await this.#masters(), ms: null, chanceMs: 0});
	}

	/** By how much the adverts of a router came later than the interval says, in milliseconds: of each but the first. */
	lateness(name: Name): number[] {
		const {mac} = this.#segment.ends[name];
		const said = this.#segment.seen.filter(seen => seen.kind === 'advert').filter(seen => seen.mac === mac);
		const gaps = said.map(({atMs}, index) => atMs - (said[index - 1]?.atMs ?? Number.NEGATIVE_INFINITY));
		const intervalMs = advertMs(this.#setting);
		// A gap that is much longer is one without mastery, and a shorter one has another cause.
		return gaps.map(gap => gap - intervalMs).filter(late => Math.abs(late) < 0.9 * intervalMs);
	}

	async end(): Promise<void> {
		await Promise.all(names.map(name => this.#nodes[name].stop()));
		for (const name of names) this.#nodes[name].setAilment(false);
	}

	/** Who has the addresses when the winner alone has them, or in the end. */
	async #settled(winner: Name): Promise<string> {
		const look = async () => (await this.#masters()) === winner && winner;
		return await waitFor('one master', look, {timeoutMs: WAIT_MS}).catch(() => this.#masters());
	}

	async #masters(): Promise<string> {
		const held = await Promise.all(
			names.map(async name => this.#plugged[name] && (await this.#nodes[name].holds(vips[this.#setting.family]))),
		);
		return names.filter((_, index) => held[index]).join('');
	}

	/** When the router first announced one of the addresses; null: not in time. */
	async #announced(name: Name, from: number): Promise<number | null> {
		const {mac} = this.#segment.ends[name];
		const fits = (seen: Observation) =>
			seen.kind === 'announcement' && seen.mac === mac && vips[this.#setting.family].some(vip => vip === seen.address);
		const look = () => this.#segment.seen.slice(from).find(fits);
		try {
			const found = await waitFor('an announcement', look, {timeoutMs: WAIT_MS});
			return 'atMs' in found ? found.atMs : null;
		} catch {
			return null;
		}
	}

	#lastWord(name: Name, beforeMs: number): number | undefined {
		const {mac} = this.#segment.ends[name];
		const said = this.#segment.seen.flatMap(seen => (seen.kind === 'advert' && seen.mac === mac ? [seen.atMs] : []));
		return said.findLast(atMs => atMs < beforeMs);
	}
}

/** What happens to a pair, in order. */
export const scenarios: Readonly<Record<Mode, (pair: Pair) => Promise<void>>> = {
	async preempt(pair) {
		await pair.takesOver('the better one starts alone', 'a', () => pair.a.start());
		await pair.stays('the other one starts', () => pair.b.start());
		await pair.takesOver('orderly stop of the master', 'b', () => pair.a.stop(), 'last word');
		await pair.takesOver('the better one returns', 'a', () => pair.a.start());
		await pair.takesOver('SIGKILL of the master', 'b', () => pair.a.kill(), 'last word');
		await pair.takesOver('it returns, with addresses left on it', 'a', () => pair.a.start());
		await pair.stays('SIGKILL of the backup', () => pair.b.kill());
	},
	async ailments(pair) {
		await pair.takesOver('the better one starts alone', 'a', () => pair.a.start());
		await pair.stays('the other one starts', () => pair.b.start());
		await pair.takesOver('its link fails', 'b', () => pair.plug('a', false), 'last word');
		await pair.takesOver('its link is back', 'a', () => pair.plug('a', true));
		await pair.takesOver('its script fails', 'b', () => pair.a.setAilment(true), 'script');
		await pair.takesOver('its script succeeds', 'a', () => pair.a.setAilment(false), 'script');
	},
	async nopreempt(pair) {
		await pair.takesOver('the worse one starts alone', 'b', () => pair.b.start());
		await pair.stays('the better one starts', () => pair.a.start());
		await pair.takesOver('SIGKILL of the master', 'a', () => pair.b.kill(), 'last word');
		await pair.stays('it returns', () => pair.b.start());
		await pair.takesOver('orderly stop of the master', 'b', () => pair.a.stop(), 'last word');
		await pair.stays('the better one returns', () => pair.a.start());
	},
	async preempt_delay(pair) {
		await pair.takesOver('the worse one starts alone', 'b', () => pair.b.start());
		await pair.takesOver('the better one starts', 'a', () => pair.a.start());
		await pair.takesOver('orderly stop of the master', 'b', () => pair.a.stop(), 'last word');
	},
};
