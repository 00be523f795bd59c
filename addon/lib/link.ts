import {constants} from 'node:os';
import {check, checked} from './check.js';
import {BpfError, type FailureDetail} from './errors.js';
import {type NativeLink, native, type Status} from './native.js';
import {checkedPin, checkPinning} from './pin.js';
import type {BpfProgram} from './program.js';

const {EBADF, EBUSY, EINVAL, EOPNOTSUPP} = constants.errno;

/** In the driver, or later in the kernel's generic receive path: slower, works with every interface. */
const XDP_FLAGS = {generic: 1 << 1, native: 1 << 2} as const;
export type XdpMode = keyof typeof XDP_FLAGS;

export interface LinkInfo {
	readonly id: number;
	readonly programId: number;
	/** 0 once the interface is gone or the link detached. */
	readonly ifindex: number;
}

/** The attachment of a program to an interface. It ends with its last descriptor and pin. Refusals are BpfError. */
export class BpfLink {
	readonly #link: NativeLink;
	/** For messages: the path, or program and interface. */
	readonly #name: string;

	private constructor(link: NativeLink, name: string) {
		this.#link = link;
		this.#name = name;
	}

	/** One interface has one link. */
	static attachXdp(program: BpfProgram, ifindex: number, mode: XdpMode): BpfLink {
		const name = `${program.name} at interface ${ifindex}`;
		const answer = native().attachXdp(openFd('attach xdp', program), ifindex, XDP_FLAGS[mode]);
		return new BpfLink(checked('attach xdp', name, answer, attachDetail(answer)), name);
	}

	/** The id of the program that an interface carries, whoever has put it there; 0 for none. */
	static attachedXdp(ifindex: number): number {
		const id = native().attachedXdp(ifindex);
		check('query xdp', `interface ${ifindex}`, id);
		return id;
	}

	/** Opens the link pinned at a path of a bpffs. */
	static openPinned(path: string): BpfLink {
		return new BpfLink(checkedPin('link', path, native().openLink(path)), path);
	}

	/** The descriptor; -1 when closed. */
	get fd(): number {
		return this.#link.fd;
	}

	/** Puts another program in: no packet sees neither or both. */
	update(program: BpfProgram): void {
		check('link update', this.#name, this.#link.update(openFd('link update', program)));
	}

	/** Keeps the link alive at a path of a bpffs after this process. */
	pin(path: string): void {
		checkPinning('link', path, this.#link.pin(path));
	}

	/** Takes the program off the interface now, whoever else holds the link. */
	detach(): void {
		check('link detach', this.#name, this.#link.detach());
	}

	info(): LinkInfo {
		return checked('link info', this.#name, this.#link.info());
	}

	/** Later calls throw EBADF. Closing again is fine. */
	close(): void {
		this.#link.close();
	}
}

function attachDetail(answer: object | Status): FailureDetail {
	switch (answer) {
		case -EBUSY:
			return {hint: 'the interface has an XDP program already'};
		case -EINVAL:
			return {hint: 'no such interface, or not an XDP program'};
		case -EOPNOTSUPP:
			return {hint: 'its driver has no native XDP: use generic'};
		default:
			return {};
	}
}

function openFd(operation: string, program: BpfProgram): number {
	if (program.fd < 0) throw new BpfError(operation, program.name, EBADF);
	return program.fd;
}
