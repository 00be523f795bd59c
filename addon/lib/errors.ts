import {constants} from 'node:os';

/** The kernel's own number for "this map type cannot do that". */
export const ENOTSUPP = 524;

/** What the native side answers for a pin of another kind: the kernel would open it. */
export const EMEDIUMTYPE = 124;

/** Numbers that the kernel and libbpf answer with although node:os has no name for them. */
const MORE_NAMES: readonly (readonly [number, string])[] = [
	[95, 'EOPNOTSUPP'],
	[112, 'EHOSTDOWN'],
	[EMEDIUMTYPE, 'EMEDIUMTYPE'],
	[ENOTSUPP, 'ENOTSUPP'],
	[4000, 'LIBBPF_ELF'],
	[4001, 'LIBBPF_FORMAT'],
	[4003, 'LIBBPF_ENDIAN'],
	[4005, 'LIBBPF_RELOCATION'],
	[4007, 'LIBBPF_VERIFIER'],
];

const NAMES: ReadonlyMap<number, string> = new Map([
	...Object.entries(constants.errno).map(([name, errno]): [number, string] => [errno, name]),
	...MORE_NAMES,
]);

/** `EINVAL` for 22; `E9999` where there is no name. */
export function errnoName(errno: number): string {
	return NAMES.get(errno) ?? `E${errno}`;
}

/** What the most common refusals mean, whatever was asked. */
const COMMON_HINTS: Readonly<Record<string, string>> = {
	EBADF: 'closed or not loaded',
	ENODEV: 'no such interface',
};

export interface FailureDetail {
	/** Instead of the usual meaning of the code; `''` for none. */
	readonly hint?: string;
	/** What the verifier printed, all of it. */
	readonly verifierLog?: string;
}

/** A system call was refused. The message is `operation: object: CODE (hint)`. */
export class SystemCallError extends Error {
	/** What was asked, such as `map update`. */
	readonly operation: string;
	/** Of which thing, such as the map's name or a path. */
	readonly object: string;
	/** Positive. */
	readonly errno: number;
	/** The name of `errno`, such as `EINVAL`. */
	readonly code: string;
	/** What stands in parentheses: the likely cause, or ''. */
	readonly hint: string;

	constructor(operation: string, object: string, errno: number, hint?: string) {
		const code = errnoName(errno);
		const meaning = hint ?? COMMON_HINTS[code] ?? '';
		super(`${operation}: ${object}: ${code}${meaning === '' ? '' : ` (${meaning})`}`);
		this.hint = meaning;
		this.operation = operation;
		this.object = object;
		this.errno = errno;
		this.code = code;
	}
}

/** The kernel or libbpf refused an operation on an object, a map, a program or a link. */
export class BpfError extends SystemCallError {
	override readonly name = 'BpfError';
	/** What the verifier printed, all of it, when it refused a program. */
	readonly verifierLog: string | undefined;

	constructor(operation: string, object: string, errno: number, detail: FailureDetail = {}) {
		super(operation, object, errno, detail.hint ?? (errno === constants.errno.EPERM ? 'needs CAP_BPF' : undefined));
		this.verifierLog = detail.verifierLog;
	}
}

/** The kernel refused an operation on a socket. */
export class NetError extends SystemCallError {
	override readonly name = 'NetError';

	constructor(operation: string, object: string, errno: number) {
		super(operation, object, errno, errno === constants.errno.EPERM ? 'needs CAP_NET_RAW or CAP_NET_ADMIN' : undefined);
	}
}
