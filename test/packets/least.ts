/** IPVS's rules of lc, wlc, sed, nq, fo and ovf (net/netfilter/ipvs/), slow and obvious. */
export type LeastName = 'lc' | 'wlc' | 'sed' | 'nq' | 'fo' | 'ovf';

/** A backend that may be dealt a connection. */
export interface Candidate {
	readonly weight: number;
	readonly active: number;
	readonly inactive: number;
}

/** Which of those that are up, in the file's order. */
export type Least = <Backend extends Candidate>(up: readonly Backend[]) => Backend | undefined;

/** The first of the lowest. */
function lowest<Backend extends Candidate>(
	backends: readonly Backend[],
	cost: (backend: Backend) => number,
): Backend | undefined {
	return backends.toSorted((a, b) => cost(a) - cost(b))[0];
}

export const LEAST: Readonly<Record<LeastName, Least>> = {
	lc: up => lowest(up, ({active, inactive}) => active * 256 + inactive),
	wlc: up => lowest(up, ({active, inactive, weight}) => (active * 256 + inactive) / weight),
	sed: up => lowest(up, ({active, weight}) => (active + 1) / weight),
	nq: up => up.find(({active}) => active === 0) ?? lowest(up, ({active, weight}) => (active + 1) / weight),
	fo: up => lowest(up, ({weight}) => -weight),
	ovf: up =>
		lowest(
			up.filter(({active, weight}) => active <= weight),
			({weight}) => -weight,
		),
};
