/** Where configuration comes from. host/real reads the disk; tests have a map. */
export interface Files {
	/**
	 * The bytes of a regular file of at most `sizeMax` bytes, or why there are none. `not-regular` also covers
	 * executable files: keepalived skips them when a glob matches them.
	 */
	read(path: string, sizeMax: number): Uint8Array | FileReason;
	/** The names in a directory in any order; none when it cannot be read. */
	list(directory: string): readonly string[];
}

/** Why a file could not be read. */
export type FileReason = 'missing' | 'unreadable' | 'not-regular' | 'too-large';
