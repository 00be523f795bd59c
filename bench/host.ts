/** The ends of the wires as machines of their own, for programs that speak real TCP. */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {waitFor} from '../lab/wait.js';

const START_MS = 10_000;

/** A network namespace that lives as long as the program that holds it, and that as long as this one. */
export class Host {
	readonly #holder: ChildProcess;

	private constructor(holder: ChildProcess) {
		this.#holder = holder;
	}

	static async open(): Promise<Host> {
		const holder = spawn('unshare', ['--net', 'cat'], {stdio: ['pipe', 'pipe', 'inherit']});
		// It answers when it is in its namespace.
		holder.stdin.write('\n');
		await once(holder.stdout, 'data');
		return new Host(holder);
	}

	/** As `ip link set … netns` wants it. */
	get netns(): string {
		return String(this.#holder.pid);
	}

	/** The start of a command line that runs there. */
	get inside(): readonly string[] {
		return ['nsenter', `--net=/proc/${this.netns}/ns/net`, '--'];
	}

	/** Runs shell commands; the first that fails ends them. */
	script(lines: readonly string[]): void {
		const [command = '', ...args] = this.inside;
		execFileSync(command, [...args, 'sh', '-e'], {input: lines.join('\n')});
	}

	close(): void {
		this.#holder.stdin?.end();
	}
}

/** A program that serves until it is stopped or this one ends, however that may be. */
export class Server {
	readonly #child: ChildProcess;

	private constructor(child: ChildProcess) {
		this.#child = child;
	}

	/** Resolves when it listens on a TCP port; `inside` is where it runs (see `Host.inside`). */
	static async start(inside: readonly string[], argv: readonly string[], port: number): Promise<Server> {
		const [command = '', ...args] = [...inside, 'setpriv', '--pdeathsig', 'KILL', ...argv];
		const child = spawn(command, args, {stdio: ['ignore', 'ignore', 'inherit']});
		const [lister = '', ...which] = [...inside, 'ss', '-Hlnt', 'sport', '=', `:${port}`];
		const look = (): boolean => {
			if (child.exitCode !== null) throw new Error(`${argv[0]} ended with ${child.exitCode}: see above`);
			return execFileSync(lister, which, {encoding: 'utf8'}) !== '';
		};
		await waitFor(`${argv[0]} listens`, look, {timeoutMs: START_MS});
		return new Server(child);
	}

	close(): void {
		this.#child.kill('SIGKILL');
	}
}
