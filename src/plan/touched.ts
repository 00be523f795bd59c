/** Which live connections a change of the configuration touches, and what becomes of them. Pure. */
import type {Config, Service} from '../conf/model.js';
import type {Change} from './changes.js';

/** How many there are of a service (null: of all), or of one of its backends. */
export type Count = (service: string | null, backend: string | null) => number;

export interface Live {
	readonly connections: Count;
	readonly persistenceEntries: Count;
}

/**
 * What becomes of the connections: they stay as they are, wait for the backend to come back, are reset at their next
 * packet, are dealt anew, or are lost because their packets take another way.
 */
export type Fate = 'stay' | 'wait' | 'reset' | 'dealt anew' | 'lost';

export interface TouchedChange extends Change {
	readonly connections: number;
	readonly persistenceEntries: number;
	readonly fate: Fate;
}

/** The changes with what they touch. What is new touches nothing, nor does what has nothing to do with services. */
export function touched(
	changes: readonly Change[],
	before: Config,
	after: Config,
	{connections, persistenceEntries}: Live,
): readonly TouchedChange[] {
	const policies = new Map([...before.services, ...after.services].map(service => [service.name, service]));
	return changes.map(change => {
		const {service, backend} = change;
		const isNew = change.itself && change.kind === 'added';
		const touches = !isNew && (service !== null || concernsAll(change));
		return {
			connections: touches ? connections(service, backend) : 0,
			persistenceEntries: touches ? persistenceEntries(service, backend) : 0,
			fate: fateOf(change, service === null ? undefined : policies.get(service)),
			...change,
		};
	});
}

/** Timeouts are those of all connections. */
function concernsAll({what}: Change): boolean {
	return what.startsWith('lvs_timeouts');
}

function fateOf(change: Change, service: Service | undefined): Fate {
	if (change.what === 'lb_kind') return 'lost';
	if (service === undefined || change.kind !== 'removed' || !change.itself) return 'stay';
	return fateOfFailed(service);
}

/** As `failed_backend` says; datagrams always find another backend. */
function fateOfFailed({protocol, policy: {failedBackend}}: Service): Fate {
	if (protocol !== 'tcp') return 'dealt anew';
	return ({keep: 'stay', drop: 'wait', reset: 'reset', reschedule: 'dealt anew'} as const)[failedBackend];
}
