import {existsSync, rmSync, writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Daemon, tail} from './daemon.js';
import {type Identity, titled, titleOf} from './proc.js';
import {controlSocketOf, vrrpSocketOf} from './record.js';
import {run} from './run.js';
import {type BalancerName, type Device, nodes, port, vips} from './topology.js';

/** What does the balancing: ours, or Debian's keepalived (VRRP only, as this needs no IPVS) to compare and to get along with. */
export type Program = 'lbd' | 'keepalived';

const projectRoot = fileURLToPath(new URL('../../', import.meta.url));

export interface BalancerOptions {
	readonly name: BalancerName;
	readonly program: Program;
	readonly namespace: string;
	readonly switchNamespace: string;
	readonly labDirectory: string;
	readonly daemonName: string;
}

interface Address {
	readonly ifname: string;
	readonly addr_info: readonly {readonly family: string; readonly local: string}[];
}

/** One of the two machines of the pair. */
export class Balancer {
	readonly name: BalancerName;
	readonly program: Program;
	readonly namespace: string;
	/** What `lbctl --name` calls its daemon. */
	readonly daemonName: string;
	readonly configFile: string;
	readonly #logFile: string;
	readonly #options: BalancerOptions;
	#daemon: Daemon | null = null;

	constructor(options: BalancerOptions) {
		this.name = options.name;
		this.program = options.program;
		this.namespace = options.namespace;
		this.daemonName = options.daemonName;
		this.configFile = join(options.labDirectory, `${options.name}.conf`);
		this.#logFile = join(options.labDirectory, `${options.name}.log`);
		this.#options = options;
	}

	get running(): boolean {
		return this.#daemon?.running ?? false;
	}

	/** Exit code or signal of the last daemon, null while it runs. */
	get exitReason(): number | string | null {
		return this.#daemon?.exitReason ?? null;
	}

	/** Replaces the configuration file; takes effect at the next start or reload. */
	configure(text: string): void {
		writeFileSync(this.configFile, text);
	}

	/**
	 * Starts the daemon; resolves when it answers (lbd: on its control socket; keepalived: with its VRRP child's pid file), or
	 * is as far as `isThere` says.
	 */
	async start(isThere?: (pid: number) => boolean): Promise<void> {
		if (this.running) throw new Error(`${this.name}: runs already`);
		this.#daemon = await Daemon.start({
			name: `${this.program} on ${this.name}`,
			namespace: this.namespace,
			logFile: this.#logFile,
			...(this.program === 'lbd' ? this.#lbd() : this.#keepalived()),
			...(isThere === undefined ? {} : {isReady: isThere}),
		});
	}

	/** Sends a signal to the daemon alone (SIGHUP: reload). */
	signal(name: NodeJS.Signals): void {
		this.#daemon?.signal(name);
	}

	/** Lets all programs of the daemon hang, or those that call themselves so, until `thaw`. */
	freeze(title?: string): void {
		this.#daemon?.signalAll('SIGSTOP', title);
	}

	thaw(): void {
		this.#daemon?.signalAll('SIGCONT');
	}

	/** Ends all programs of the daemon at once; addresses, pins and XDP programs stay as they are. */
	async kill(name: NodeJS.Signals = 'SIGKILL'): Promise<void> {
		await this.#daemon?.kill(name);
	}

	/** Ends lbd alone, at once; lbd-vrrp lives on. */
	async killAlone(): Promise<void> {
		await this.#daemon?.killAlone();
	}

	/** Ends the programs of the daemon that call themselves so, at once; the others live on. */
	killProgram(title: string): void {
		this.#daemon?.signalAll('SIGKILL', title);
	}

	/** Of lbd, whoever has started them. */
	vrrpProcesses(): Identity[] {
		return titled(`lbd-vrrp ${vrrpSocketOf(this.daemonName)}`);
	}

	/** All living programs of the daemon, by what they call themselves. */
	programs(): {readonly name: string; readonly identity: Identity}[] {
		// lbd is called what Node calls itself.
		const nameOf = (pid: number) => (pid === this.#daemon?.pid ? this.program : titleOf(pid));
		return (this.#daemon?.programs() ?? []).map(identity => ({name: nameOf(identity.pid), identity}));
	}

	/** Orderly: SIGTERM, and wait for the end. */
	async stop(): Promise<void> {
		await this.#daemon?.stop();
	}

	/** The last lines that its daemons wrote. */
	log(lines?: number): string {
		return tail(this.#logFile, lines);
	}

	/** The VIPs on this machine's NICs now. A killed daemon leaves its own behind. */
	async vips(): Promise<string[]> {
		const links: Address[] = JSON.parse(await run(['ip', '-n', this.namespace, '-j', 'address']));
		const addresses = links.flatMap(link => link.addr_info.map(entry => entry.local));
		return addresses.filter(address => vips.includes(address));
	}

	/** Holds all VIPs, and its daemon is alive to defend them. */
	async isMaster(): Promise<boolean> {
		return this.running && (await this.vips()).length === vips.length;
	}

	/** Pulls the cable: the NIC loses its carrier, the switch its port. */
	async linkDown(device: Device): Promise<void> {
		await this.#setPort(device, 'down');
	}

	async linkUp(device: Device): Promise<void> {
		await this.#setPort(device, 'up');
	}

	/** `lbctl --json …` on this balancer; resolves to what it prints. */
	async lbctl(...args: string[]): Promise<unknown> {
		const argv = [join(projectRoot, 'bin/lbctl'), '--name', this.daemonName, '--json', ...args];
		return JSON.parse(await run(argv));
	}

	async #setPort(device: Device, state: 'up' | 'down'): Promise<void> {
		const nic = nodes[this.name].nics.find(candidate => candidate.device === device);
		if (nic === undefined) throw new Error(`${this.name}: no NIC ${device}`);
		await run(['ip', '-n', this.#options.switchNamespace, 'link', 'set', port(this.name, nic.network), state]);
	}

	#lbd(): {argv: string[]; isReady: () => Promise<boolean>; heirlooms: () => Identity[]} {
		const argv = [join(projectRoot, 'bin/lbd'), '--name', this.daemonName, '-f', this.configFile];
		const isReady = () => isListening(controlSocketOf(this.daemonName));
		return {argv, isReady, heirlooms: () => this.vrrpProcesses()};
	}

	#keepalived(): {argv: string[]; isReady: () => boolean} {
		const pidFile = join(this.#options.labDirectory, `${this.name}.pid`);
		const vrrpPidFile = join(this.#options.labDirectory, `${this.name}-vrrp.pid`);
		for (const file of [pidFile, vrrpPidFile]) rmSync(file, {force: true});
		const argv = ['keepalived', '--dont-fork', '--vrrp', '--log-console', '--log-detail'];
		argv.push('--use-file', this.configFile, '--pid', pidFile, '--vrrp_pid', vrrpPidFile);
		return {argv, isReady: () => existsSync(vrrpPidFile)};
	}
}

/** Somebody answers: the file alone may be left over from a daemon that was killed. */
function isListening(path: string): Promise<boolean> {
	return new Promise(resolve => {
		const socket = connect(path);
		socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
		socket.once('connect', () => socket.destroy());
	});
}
