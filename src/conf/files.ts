/** A configuration file may be this long. */
export const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** Where configuration comes from. host/real reads the disk; tests have a map. */
export interface Files {
	/**
	 * The bytes of a regular file of at most `sizeMax` bytes, or why there are none. `not-regular` also covers
	 * executable files: keepalived skips them when a glob matches them.
	 */
	read(path: string, sizeMax: number): Uint8Array | FileReason;
	/** Whether others than the owner of a file may read or change it. */
	isExposed(path: string): boolean;
	/** The names in a directory in any order; none when it cannot be read. */
	list(directory: string): readonly string[];
}

/** Why a file could not be read. */
export type FileReason = 'missing' | 'unreadable' | 'not-regular' | 'too-large';

const reasons: Readonly<Record<FileReason, string>> = {
	missing: 'does not exist',
	unreadable: 'cannot be read',
	'not-regular': 'is not a regular file, or is executable',
	'too-large': 'is larger than',
};

/** Why in words: behind `file x`. */
export function readFailure(reason: FileReason, sizeMax: number): string {
	return reason === 'too-large' ? `${reasons[reason]} ${sizeMax} bytes` : reasons[reason];
}
