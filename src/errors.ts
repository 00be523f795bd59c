/** What `lbd` and `lbctl` exit with; docs/operations.md lists them for scripts. */
export const ExitCode = {
	ok: 0,
	failure: 1,
	/** A value in the configuration that cannot be. */
	badValue: 2,
	/** Braces, quotes, includes. */
	badSyntax: 3,
	permission: 4,
	/** A word that no keepalived knows. */
	unknownKeyword: 5,
	noConfiguration: 6,
	noInterface: 7,
	/** No BPF, no bpffs, or the program was refused. */
	kernel: 8,
	/** Another daemon has this name. */
	alreadyRunning: 9,
	usage: 64,
	bug: 70,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** The kernel refused an operation: `operation: object: errno (hint)`. */
export class KernelError extends Error {
	override readonly name = 'KernelError';
	readonly code: string;
	readonly exitCode: ExitCode;
	constructor(
		operation: string,
		object: string,
		errno: string,
		hint = '',
		options: {cause?: unknown; exitCode?: ExitCode} = {},
	) {
		super(`${operation}: ${object}: ${errno}${hint === '' ? '' : ` (${hint})`}`, {cause: options.cause});
		this.code = errno;
		this.exitCode = options.exitCode ?? ExitCode.failure;
	}
}

/** A request that the daemon refuses or that cannot reach it. */
export class ControlError extends Error {
	override readonly name = 'ControlError';
	readonly code: string;
	readonly exitCode: ExitCode;
	constructor(code: string, text: string, options: {cause?: unknown; exitCode?: ExitCode} = {}) {
		super(text, {cause: options.cause});
		this.code = code;
		this.exitCode = options.exitCode ?? ExitCode.failure;
	}
}

/** Something that cannot be; the process ends, peers take over, the next start reconciles. */
export class Bug extends Error {
	override readonly name = 'Bug';
	readonly code = 'bug';
	readonly exitCode = ExitCode.bug;
}
