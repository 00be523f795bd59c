import {type Annex, type AnnexOptions, furnishAnnex} from './annex.js';
import {Balancer, type Program} from './balancer.js';
import {Capture} from './capture.js';
import {Client} from './client.js';
import {inside, script} from './namespace.js';
import {claim, daemonNameOf, keep, namespaceOf, namespacesOf, remove, sweep} from './record.js';
import {run} from './run.js';
import {type BalancerName, type Device, furnishNode, furnishSwitches, type NodeName, nodes} from './topology.js';
import {waitFor} from './wait.js';
import {WebServer} from './web-server.js';

export interface LabOptions {
	/** 1 to 12 lower-case letters and digits; default: one that nobody else has. */
	readonly id?: string;
	/** Text of each balancer's configuration file; may also come later by `lab.lb1.configure`. */
	readonly configs?: Partial<Record<BalancerName, string>>;
	/** What runs on each balancer; default lbd. */
	readonly programs?: Partial<Record<BalancerName, Program>>;
	/** Of every cable; Ethernet's 1,500 bytes unless told. */
	readonly mtu?: number;
}

const ETHERNET_MTU = 1500;

const present = new Set<string>();
let created = 0;

function removeAll(): void {
	for (const id of present) remove(id);
	present.clear();
}

/** However this program ends, short of SIGKILL, it takes its laboratories along; after SIGKILL the next `sweep` does. */
function cleanUpAtExit(): void {
	process.once('exit', removeAll);
	const numbers = {SIGHUP: 1, SIGINT: 2, SIGTERM: 15} as const;
	for (const [name, number] of Object.entries(numbers)) process.once(name, () => process.exit(128 + number));
}

/**
 * The network of figure 17.3 in network namespaces, with real web servers and clients. Several can exist at once.
 * The web servers run when it is created, the balancers do not.
 */
export class Lab {
	readonly id: string;
	/** Configuration files, logs and pid files. */
	readonly directory: string;
	readonly lb1: Balancer;
	readonly lb2: Balancer;
	readonly web1: WebServer;
	readonly web2: WebServer;
	readonly client: Client;

	private constructor(id: string, directory: string, options: LabOptions) {
		this.id = id;
		this.directory = directory;
		this.lb1 = this.#balancer('lb1', options);
		this.lb2 = this.#balancer('lb2', options);
		this.web1 = new WebServer('web1', this.namespace('web1'), directory);
		this.web2 = new WebServer('web2', this.namespace('web2'), directory);
		this.client = new Client(this.namespace('client'));
	}

	/** Builds a laboratory, after removing those that crashed programs left behind. */
	static async create(options: LabOptions = {}): Promise<Lab> {
		if (created === 0) cleanUpAtExit();
		created++;
		sweep();
		const id = options.id ?? `${process.pid.toString(36)}x${created}`;
		const directory = claim(id);
		present.add(id);
		try {
			await build(id, options.mtu ?? ETHERNET_MTU);
			const lab = new Lab(id, directory, options);
			await Promise.all([lab.web1.start(), lab.web2.start()]);
			return lab;
		} catch (error) {
			remove(id);
			present.delete(id);
			throw error;
		}
	}

	namespace(node: NodeName): string {
		return namespaceOf(this.id, node);
	}

	/** Watches a NIC; resolves when frames are being seen. `filter` is tcpdump's, e.g. `arp or vrrp`. */
	capture(node: NodeName, device: Device, filter: string): Promise<Capture> {
		return Capture.open(this.namespace(node), device, filter);
	}

	/** Runs a command on a node and resolves to its output. */
	run(node: NodeName, ...argv: string[]): Promise<string> {
		return run([...inside(this.namespace(node)), ...argv]);
	}

	/** Adds a machine behind a node, which becomes its router. */
	annex(node: NodeName, options: Omit<AnnexOptions, 'namespace' | 'router'>): Promise<Annex> {
		const router = this.namespace(node);
		return furnishAnnex({...options, router, namespace: `${router}-annex`});
	}

	/** Leaves everything as it is when this program ends, until `clean.ts` removes it. */
	keep(): void {
		keep(this.id);
		present.delete(this.id);
	}

	async destroy(): Promise<void> {
		await this.client.end();
		remove(this.id);
		present.delete(this.id);
	}

	#balancer(name: BalancerName, options: LabOptions): Balancer {
		const balancer = new Balancer({
			name,
			program: options.programs?.[name] ?? 'lbd',
			namespace: this.namespace(name),
			switchNamespace: namespaceOf(this.id, 'switch'),
			labDirectory: this.directory,
			daemonName: daemonNameOf(this.id, name),
		});
		const text = options.configs?.[name];
		if (text !== undefined) balancer.configure(text);
		return balancer;
	}
}

async function build(id: string, mtu: number): Promise<void> {
	const switches = namespaceOf(id, 'switch');
	const additions = namespacesOf(id).map(name => `netns add ${name}\n`);
	await run(['ip', '-batch', '-'], {input: additions.join('')});
	await Promise.all(
		Object.values(nodes).map(node => script(namespaceOf(id, node.name), furnishNode(node, {switches, mtu}))),
	);
	await script(switches, furnishSwitches());
	await waitFor('every switch port forwards', () => allForward(switches));
}

async function allForward(switches: string): Promise<boolean> {
	const ports: {readonly state: string}[] = JSON.parse(await run(['bridge', '-n', switches, '-j', 'link']));
	return ports.every(port => port.state === 'forwarding');
}
