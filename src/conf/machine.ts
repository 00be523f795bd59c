/** What a configuration may ask of the machine that reads it. */
export interface Machine {
	/** What `@ID` lines are compared with: the host's name up to its first dot, or what `-i` says. */
	readonly configId: string;
	/** The directory that relative paths start from. */
	readonly directory: string;
	/** The value of an environment variable. */
	variable(name: string): string | undefined;
}

/** The ID that a machine has by itself. */
export function defaultConfigId(hostName: string): string {
	return hostName.split('.', 1)[0] ?? '';
}

/** A machine that nothing is known of. */
export const noMachine: Machine = {configId: '', directory: '/', variable: () => undefined};
