/** The program on NICs, by links that are pinned so that they outlive the daemon. */
import {existsSync} from 'node:fs';
import {BpfError, BpfLink, type BpfProgram} from 'libbpf-ts';
import {ExitCode, KernelError} from '../errors.js';
import type {Log} from '../log.js';
import {type AttachMode, type PinnedLink, Pins} from './pins.js';

interface Attachment extends PinnedLink {
	readonly link: BpfLink;
}

type Attached = Pick<Attachment, 'link' | 'mode'>;

/** The interfaces that there are, by index. */
export type Presence = Pick<ReadonlySet<number>, 'has'>;

/** A program's attachments, by interface index. */
export class Attachments {
	readonly #program: BpfProgram;
	readonly #pins: Pins;
	readonly #log: Log;
	/** Of an earlier run; they carry its program until `attach` asks for them. */
	readonly #inherited = new Map<number, Attachment>();
	readonly #current = new Map<number, Attachment>();
	/** What this run has pinned. */
	readonly #pinned = new Set<string>();
	/** How often in a row a NIC has not taken the program back, by interface index. */
	readonly #refusals = new Map<number, number>();

	/** Opens the links of an earlier run and drops those whose NIC is gone. Throws BpfError when one cannot be opened. */
	constructor(program: BpfProgram, pins: Pins, log: Log) {
		this.#program = program;
		this.#pins = pins;
		this.#log = log;
		try {
			for (const pinned of pins.links()) this.#inherit(pinned);
		} catch (error) {
			this.close();
			throw error;
		}
	}

	/** A NIC has one living link, but dead ones may be left from earlier NICs of its index. */
	#inherit(pinned: PinnedLink): void {
		const link = BpfLink.openPinned(pinned.path);
		if (link.info().ifindex === pinned.ifindex) {
			this.#inherited.set(pinned.ifindex, {...pinned, link});
			return;
		}
		link.close();
		this.#pins.removeLink(pinned.path);
	}

	/**
	 * Attaches the program to a NIC, or puts it into the link of an earlier run, which keeps its mode. `wanted` native: or
	 * generic, if need be. KernelError when the NIC refuses it.
	 */
	attach(ifindex: number, nic: string, wanted: AttachMode): AttachMode {
		const known = this.#current.get(ifindex);
		if (known !== undefined) return known.mode;
		try {
			const attachment = this.#adopt(ifindex) ?? this.#create(ifindex, nic, wanted);
			this.#current.set(ifindex, attachment);
			return attachment.mode;
		} catch (error) {
			throw attachFailure(ifindex, nic, error);
		}
	}

	/** Whether a NIC carries the program of an earlier run. */
	isInherited(ifindex: number): boolean {
		return this.#inherited.has(ifindex);
	}

	/** How each NIC carries the program. */
	modes(): ReadonlyMap<number, AttachMode> {
		return new Map([...this.#current].map(([ifindex, {mode}]) => [ifindex, mode]));
	}

	/**
	 * Moves the program out of all drivers into the kernel's generic receive path. A NIC has none for the moment between the
	 * two, as one cannot carry both. Throws BpfError when a NIC refuses.
	 */
	leaveDrivers(): void {
		for (const {ifindex, mode, path, link} of [...this.#current.values()]) {
			if (mode === 'generic') continue;
			takeOff(link, this.#pins, path);
			this.#current.delete(ifindex);
			const {link: next, mode: generic} = this.#attachGeneric(ifindex);
			const moved = this.#pin(next, ifindex, generic);
			if (this.#pinned.delete(path)) this.#pinned.add(moved.path);
			this.#current.set(ifindex, moved);
		}
	}

	/** Puts the program back on NICs from which somebody has taken it. Returns how many that was. */
	reattach(present: Presence): number {
		const bare = [...this.#current.values()].filter(({ifindex, link}) => link.info().ifindex !== ifindex);
		return bare.filter(attachment => present.has(attachment.ifindex) && this.#reattach(attachment)).length;
	}

	/** Puts pins of links back to where they were. Returns how many that was. */
	repin(): number {
		const lost = [...this.#current.values()].filter(({path, ifindex, link}) => {
			return !existsSync(path) && link.info().ifindex === ifindex;
		});
		for (const {link, path} of lost) link.pin(path);
		return lost.length;
	}

	/** False where the NIC does not take it. One that is about to go refuses before we hear of that, so the second time is told. */
	#reattach({ifindex, mode, path, link}: Attachment): boolean {
		try {
			const next = BpfLink.attachXdp(this.#program, ifindex, mode);
			link.close();
			this.#pins.removeLink(path);
			this.#current.set(ifindex, {ifindex, mode, path, link: next});
			this.#refusals.delete(ifindex);
			next.pin(path);
			return true;
		} catch (error) {
			if (!(error instanceof BpfError)) throw error;
			const refusals = (this.#refusals.get(ifindex) ?? 0) + 1;
			this.#refusals.set(ifindex, refusals);
			if (refusals === 2)
				this.#log.warn({ifindex, error}, 'the program was taken off a NIC and could not be put back yet');
			return false;
		}
	}

	/**
	 * Lets go of NICs that are gone and returns their indexes. The kernel has taken the program off them, and may give
	 * their index to another NIC.
	 */
	forgetGone(): ReadonlySet<number> {
		const gone = new Set<number>();
		for (const attachments of [this.#current, this.#inherited]) {
			for (const [ifindex, {link, path}] of attachments) {
				if (link.info().ifindex === ifindex) continue;
				link.close();
				this.#pins.removeLink(path);
				attachments.delete(ifindex);
				this.#refusals.delete(ifindex);
				gone.add(ifindex);
			}
		}
		return gone;
	}

	/** Lets go of the links; those that are pinned work on. */
	close(): void {
		for (const {link} of [...this.#current.values(), ...this.#inherited.values()]) link.close();
	}

	/** After `close`: takes the program off the NICs that this run has put it on. */
	unpin(): void {
		for (const {path} of this.#pins.links())
			if (this.#pinned.has(path)) takeOff(BpfLink.openPinned(path), this.#pins, path);
	}

	#adopt(ifindex: number): Attachment | null {
		const inherited = this.#inherited.get(ifindex);
		if (inherited === undefined) return null;
		inherited.link.update(this.#program);
		this.#inherited.delete(ifindex);
		return inherited;
	}

	#create(ifindex: number, nic: string, wanted: AttachMode): Attachment {
		const {link, mode} = wanted === 'native' ? this.#attachBest(ifindex, nic) : this.#attachGeneric(ifindex);
		if (wanted === 'generic') this.#log.warn({nic}, 'attached in generic mode, which is slower: this is no plain NIC');
		const attachment = this.#pin(link, ifindex, mode);
		this.#pinned.add(attachment.path);
		return attachment;
	}

	#pin(link: BpfLink, ifindex: number, mode: AttachMode): Attachment {
		const path = this.#pins.link(ifindex, mode);
		try {
			link.pin(path);
		} catch (error) {
			link.close();
			throw error;
		}
		return {path, ifindex, mode, link};
	}

	#attachBest(ifindex: number, nic: string): Attached {
		try {
			return {link: BpfLink.attachXdp(this.#program, ifindex, 'native'), mode: 'native'};
		} catch (error) {
			if (!(error instanceof BpfError) || isForeign(error)) throw error;
			const attached = this.#attachGeneric(ifindex);
			this.#log.warn({nic, error}, 'no native XDP on this NIC: attached in generic mode, which is slower');
			return attached;
		}
	}

	#attachGeneric(ifindex: number): Attached {
		return {link: BpfLink.attachXdp(this.#program, ifindex, 'generic'), mode: 'generic'};
	}
}

/**
 * Takes the program off the NIC of a pinned link, closes the link, and takes the pin away. Of a link that only loses its
 * pin, the kernel lets go when it comes to it (bpf_link_put, kernel/bpf/syscall.c), and the NIC may still refuse the next
 * program.
 */
export function takeOff(link: BpfLink, pins: Pins, path: string): void {
	try {
		link.detach();
	} finally {
		link.close();
	}
	pins.removeLink(path);
}

/** Whether the NIC carries somebody else's program, in the mode that was asked for (EBUSY) or in the other one (EEXIST). */
function isForeign({code}: BpfError): boolean {
	return code === 'EBUSY' || code === 'EEXIST';
}

function attachFailure(ifindex: number, nic: string, cause: unknown): unknown {
	if (!(cause instanceof BpfError)) return cause;
	const hint = isForeign(cause) ? foreignHint(ifindex, nic) : '';
	return new KernelError('attach program', nic, cause.code, hint, {cause, exitCode: ExitCode.kernel});
}

function foreignHint(ifindex: number, nic: string): string {
	const daemon = holderOf(ifindex);
	if (daemon === null)
		return `it carries another XDP program, see ip link show ${nic}; ip link set ${nic} xdp off, or xdpgeneric off, removes it`;
	return `the daemon named "${daemon}" has it: a NIC serves one daemon; stop that one, then lbctl --name ${daemon} unload`;
}

/** The daemon whose link has put the program on this NIC, by the program: an index alone is that of many namespaces' NICs. */
function holderOf(ifindex: number): string | null {
	try {
		const program = BpfLink.attachedXdp(ifindex);
		return Pins.all().find(pins => programsOf(pins).includes(program))?.name ?? null;
	} catch {
		// Who is removing his pins at this moment is not worth a name.
		return null;
	}
}

/** What the links of a daemon carry. */
function programsOf(pins: Pins): number[] {
	return pins.links().map(({path}) => {
		const link = BpfLink.openPinned(path);
		const {programId} = link.info();
		link.close();
		return programId;
	});
}
