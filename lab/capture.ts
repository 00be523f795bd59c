import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {inside} from './namespace.js';
import {monotonicMs, PATIENCE_MS, waitFor} from './wait.js';

export interface Frame {
	/** CLOCK_MONOTONIC, from the kernel's time stamp of the frame. */
	readonly atMs: number;
	/** As tcpdump -e prints it: MAC addresses, type, and what is inside. */
	readonly text: string;
}

/**
 * Watches a NIC with tcpdump: an observer that shares no code with what it observes. Blind to frames that XDP takes away
 * before the kernel sees them, as tcpdump is everywhere.
 */
export class Capture {
	readonly frames: Frame[] = [];
	readonly #child: ChildProcess;
	readonly #closed: Promise<unknown>;

	private constructor(child: ChildProcess) {
		this.#child = child;
		this.#closed = once(child, 'close');
	}

	/** Resolves when frames are being watched. `filter` is tcpdump's, e.g. `arp or vrrp`. */
	static async open(namespace: string, device: string, filter: string): Promise<Capture> {
		const [command = '', ...args] = inside(namespace);
		const child = spawn(command, [...args, 'tcpdump', '-lnett', '--immediate-mode', '-i', device, filter], {
			stdio: ['ignore', 'pipe', 'pipe'],
			detached: true,
		});
		const capture = new Capture(child);
		const wallAheadMs = Date.now() - monotonicMs();
		createInterface(child.stdout).on('line', line => {
			// It takes leave with an empty one.
			if (line === '') return;
			const space = line.indexOf(' ');
			const atMs = Number(line.slice(0, space)) * 1000 - wallAheadMs;
			capture.frames.push({atMs, text: line.slice(space + 1)});
		});
		let complaints = '';
		child.stderr.setEncoding('utf8').on('data', (text: string) => {
			complaints += text;
		});
		const look = () => {
			if (child.exitCode !== null) throw new Error(`tcpdump: exit ${child.exitCode}: ${complaints.trim()}`);
			return complaints.includes('listening on');
		};
		await waitFor(`tcpdump listens on ${device} in ${namespace}`, look);
		return capture;
	}

	matching(pattern: RegExp): Frame[] {
		return this.frames.filter(frame => pattern.test(frame.text));
	}

	/** The first frame that matches, of those seen already or to come. */
	frame(pattern: RegExp, timeoutMs = PATIENCE_MS): Promise<Frame> {
		return waitFor(`a frame like ${pattern}`, () => this.matching(pattern)[0], {
			timeoutMs,
			seen: () => `last of ${this.frames.length} frames: ${this.frames.at(-1)?.text ?? 'none'}`,
		});
	}

	/** Resolves when `frames` has all that were seen. */
	async close(): Promise<void> {
		this.#child.kill('SIGTERM');
		await this.#closed;
	}
}
