/**
 * HTTP through the balancer: wrk and nginx at the ends of the wires, each with a network stack of its own. Client,
 * balancer and server share one CPU and keep it busy, so that the time of a request is the CPU time that all of them take
 * for it. Most of it is the client's and the server's: the balancer's own is what remains of it when the time of a
 * request over a plain cable is subtracted, and that is what the goals are about.
 */
import {execFile, execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {BpfLink} from 'libbpf-ts';
import {type Figure, figures, type Row} from '../src/bench/figure.js';
import {FOREIGN, Plane, SERVERS_OF_SERVICE, SERVICE} from '../src/bench/plane.js';
import {type Case, interleave} from '../src/bench/statistics.js';
import {realClock} from '../src/host/real/clock.js';
import {Host, Server} from './host.js';
import {dnat, EXTERNAL, INTERNAL, noDnat, ROUTER, type Wiring} from './wiring.js';

const CONNECTIONS = 32;
const SECONDS = 1;
/** Room for every port that the client has. */
const FLOWS = 2 ** 16;
const SERVER_PORT = 8080;
/** What HAProxy serves is no service of the others. */
const PROXY = FOREIGN;

/** A cable from the client to the server, with no balancer in between. */
const CABLE = {client: '192.0.3.1', server: '192.0.3.2'};

const DIRECT = 'no balancer';
const SLUICE = 'sluice';
const DNAT = 'nftables DNAT';
const HAPROXY = 'HAProxy, TCP mode';
const BALANCERS = [SLUICE, DNAT, HAPROXY];

const KEEP_ALIVE = 'keep-alive';
const ONE_EACH = 'one connection each';
const USES = [KEEP_ALIVE, ONE_EACH];

const named = (use: string, way: string): string => `${use}: ${way}`;

/** Measures requests a second, and the CPU time that the balancers take for one. */
export async function http(wiring: Wiring, rounds: number): Promise<Figure[]> {
	const bench = await Http.open(wiring);
	try {
		const samples = await interleave(bench.cases(), rounds);
		return [
			...figures('HTTP over veth, all on one CPU', 'req/s', samples, USES.flatMap(rateRows)),
			...figures("the balancer's CPU time of a request", 'µs', ownTime(samples), USES.flatMap(timeRows)),
		];
	} finally {
		bench.close();
	}
}

function rateRows(use: string): Row[] {
	const goals = [{ratio: named(use, DNAT), bound: 'at least', value: 1} as const];
	const yardsticks = [DIRECT, DNAT, HAPROXY].map(way => named(use, way));
	const others = [DNAT, HAPROXY].map(way => ({name: named(use, way)}));
	return [{name: named(use, DIRECT)}, {name: named(use, SLUICE), yardsticks, goals}, ...others];
}

function timeRows(use: string): Row[] {
	const [kernel, proxy] = [named(use, DNAT), named(use, HAPROXY)];
	const goals = [
		{ratio: kernel, bound: 'at most', value: 1} as const,
		{ratio: proxy, bound: 'at most', value: 0.5} as const,
	];
	return [{name: named(use, SLUICE), yardsticks: [kernel, proxy], goals}, {name: kernel}, {name: proxy}];
}

/** From requests a second of a round, what a request takes longer with each balancer than without one, in µs. */
export function ownTime(samples: ReadonlyMap<string, readonly number[]>): Map<string, number[]> {
	const microseconds = (name: string): number[] => (samples.get(name) ?? []).map(rate => 1e6 / rate);
	return new Map(
		USES.flatMap(use => {
			const without = microseconds(named(use, DIRECT));
			return BALANCERS.map(way => {
				const own = microseconds(named(use, way)).map((time, round) => time - (without[round] ?? Number.NaN));
				return [named(use, way), own] as const;
			});
		}),
	);
}

class Http {
	readonly #wiring: Wiring;
	readonly #client: Host;
	readonly #plane: Plane;
	readonly #closeables: readonly {close(): void}[];

	private constructor(wiring: Wiring, client: Host, plane: Plane, closeables: readonly {close(): void}[]) {
		this.#wiring = wiring;
		this.#client = client;
		this.#plane = plane;
		this.#closeables = closeables;
	}

	/** Gives the ends of the wires to machines of their own, for good, and starts the programs. */
	static async open(wiring: Wiring): Promise<Http> {
		const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
		const closeables: {close(): void}[] = [{close: () => rmSync(directory, {recursive: true})}];
		try {
			const [client, server] = [await Host.open(), await Host.open()];
			closeables.push(client, server);
			furnish(wiring, client, server);
			closeables.push(
				await Server.start(server.inside, ['nginx', '-e', 'stderr', '-c', nginx(directory)], SERVER_PORT),
				await Server.start([], ['haproxy', '-q', '-f', haproxy(directory)], 80),
			);
			const plane = await Plane.open(wiring, {clock: realClock, connections: FLOWS});
			closeables.push(plane);
			plane.serveThrough(wiring.internal, wiring.server);
			return new Http(wiring, client, plane, closeables);
		} catch (error) {
			for (const closeable of closeables) closeable.close();
			throw error;
		}
	}

	cases(): Case[] {
		return USES.flatMap(use => [
			{name: named(use, DIRECT), sample: () => this.#rate(use, `${CABLE.server}:${SERVER_PORT}`)},
			{name: named(use, SLUICE), sample: () => this.#throughPlane(use)},
			{name: named(use, DNAT), sample: () => this.#throughDnat(use)},
			{name: named(use, HAPROXY), sample: () => this.#rate(use, PROXY)},
		]);
	}

	async #throughPlane(use: string): Promise<number> {
		const {external, internal} = this.#wiring;
		const links = [external, internal].map(({ifindex}) => BpfLink.attachXdp(this.#plane.program, ifindex, 'native'));
		const seen = (): number => this.#plane.count(use === KEEP_ALIVE ? 'V_REPLY' : 'V_FORWARD_NEW');
		const before = seen();
		try {
			const rate = await this.#rate(use, SERVICE);
			if (seen() - before < rate * SECONDS) throw new Error(`${use}: not every request went through the program`);
			return rate;
		} finally {
			for (const link of links) link.close();
		}
	}

	async #throughDnat(use: string): Promise<number> {
		dnat(SERVICE, SERVERS_OF_SERVICE);
		try {
			return await this.#rate(use, SERVICE);
		} finally {
			noDnat();
		}
	}

	/** Requests a second that are answered. */
	async #rate(use: string, target: string): Promise<number> {
		const options = ['-t', '1', '-c', String(CONNECTIONS), '-d', String(SECONDS)];
		if (use === ONE_EACH) options.push('-H', 'Connection: close');
		const [command = '', ...args] = [...this.#client.inside, 'wrk', ...options, `http://${target}/`];
		const {stdout} = await promisify(execFile)(command, args);
		return requestsPerSecond(stdout);
	}

	close(): void {
		for (const closeable of [...this.#closeables].reverse()) closeable.close();
	}
}

/** What wrk measured. Throws when a request failed: then it has not measured what it was asked to. */
export function requestsPerSecond(report: string): number {
	const rate = /^Requests\/sec: +([\d.]+)$/m.exec(report)?.[1];
	if (rate === undefined || Number(rate) === 0 || /Socket errors|Non-2xx/.test(report))
		throw new Error(`requests have failed:\n${report}`);
	return Number(rate);
}

/** The wires' ends move, so whatever needs them in this network namespace has to come before. */
function furnish({client, server}: Wiring, clients: Host, servers: Host): void {
	const addresses = SERVERS_OF_SERVICE.map(name => name.split(':')[0]);
	const up = (name: string): string => `ip link set ${name} up; ethtool -K ${name} gro on tx off >/dev/null`;
	noDnat();
	for (const line of [
		`link set ${client.name} netns ${clients.netns}`,
		`link set ${server.name} netns ${servers.netns}`,
		`link add d0 netns ${clients.netns} type veth peer name d1 netns ${servers.netns}`,
		'link set lo up',
		`address add ${PROXY.split(':')[0]}/32 dev lo`,
	])
		execFileSync('ip', line.split(' '));
	clients.script([
		up(client.name),
		up('d0'),
		`ip address add ${ROUTER}/24 dev ${client.name}`,
		`ip address add ${CABLE.client}/24 dev d0`,
		`ip route add default via ${EXTERNAL}`,
		'echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range',
	]);
	servers.script([
		up(server.name),
		up('d1'),
		...addresses.map(address => `ip address add ${address}/16 dev ${server.name}`),
		`ip address add ${CABLE.server}/24 dev d1`,
		`ip route add default via ${INTERNAL}`,
	]);
}

/** Writes a configuration and returns its path. */
function nginx(directory: string): string {
	const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
	return written(
		directory,
		'nginx.conf',
		`
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr;
events { worker_connections 8192; }
http {
	${scratch.map(kind => `${kind}_temp_path ${directory}/${kind};`).join('\n\t')}
	access_log off;
	keepalive_requests 1000000000;
	server {
		listen ${SERVER_PORT} backlog=4096;
		location / { return 200 "served\n"; }
	}
}
`,
	);
}

/** The same: one thread, and everything else as it comes. */
function haproxy(directory: string): string {
	return written(
		directory,
		'haproxy.cfg',
		`
global
	nbthread 1
	maxconn 2000
defaults
	mode tcp
	timeout connect 5s
	timeout client 60s
	timeout server 60s
listen bench
	bind ${PROXY}
	balance roundrobin
	${SERVERS_OF_SERVICE.map((server, n) => `server s${n} ${server}`).join('\n\t')}
`,
	);
}

function written(directory: string, name: string, text: string): string {
	const file = join(directory, name);
	writeFileSync(file, text);
	return file;
}
