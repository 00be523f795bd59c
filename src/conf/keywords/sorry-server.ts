/** What the `sorry_server…` keywords of a `virtual_server` mean in each of its services. */
import {isLoopback} from '../../net/address.js';
import type {Report} from '../diagnostics.js';
import type {Backend, SorryServer} from '../model.js';
import {placeOf} from '../table.js';
import {type Served, toBackends} from './real-servers.js';
import type {ServiceDraft} from './service.js';

/** The sorry server of each endpoint, in its order; none if there is none. `backends`: those of each endpoint. */
export function toSorryServers(
	draft: ServiceDraft,
	served: Served,
	backends: readonly (readonly Backend[])[],
	report: Report,
): readonly (SorryServer | null)[] {
	const {sorryServer, sorryForwarding: forwarding, sorryInhibit: inhibit} = draft;
	if (sorryServer === null) return [];
	reportLoopback(draft, sorryServer.address, report);
	const defaults = {...draft, forwarding: forwarding ?? draft.forwarding, weight: 1, inhibitOnFailure: false};
	return toBackends([sorryServer], defaults, served, report).map(([backend], index) => {
		if (backend === undefined) return null;
		// Its flows could not be told from those of the real server.
		if (backends[index]?.some(({name}) => name === backend.name)) {
			const text = `sorry_server ${backend.name} is a real_server of the same service, so it is left out`;
			report.warning('contradiction', placeOf(draft, 'sorry_server'), text, 'choose another');
			return null;
		}
		return {backend, inhibit};
	});
}

function reportLoopback(draft: ServiceDraft, address: string, report: Report): void {
	if (!isLoopback(address)) return;
	const text = `sorry_server ${address} is this machine, where XDP leads no packets`;
	report.warning('contradiction', placeOf(draft, 'sorry_server'), text, 'name another machine');
}
