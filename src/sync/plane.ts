import type {SharingPlane} from '../xdp/sharing.js';

/** What sharing needs of the data plane. */
export type Plane = Pick<
	SharingPlane,
	| 'refresh'
	| 'drainNews'
	| 'slots'
	| 'scanFlows'
	| 'clients'
	| 'takeFlows'
	| 'takeClients'
	| 'names'
	| 'ticket'
	| 'setTicket'
	| 'shortestTimeoutS'
>;
