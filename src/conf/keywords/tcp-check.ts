import {one} from '../args.js';
import type {Report} from '../diagnostics.js';
import type {Check, Place} from '../model.js';
import {accepted, type Draft, draftAt, full, type Keywords, refused} from '../table.js';
import {integer, ip} from '../values.js';
import {type CheckOptions, checkOptionKeywords, inherit, newCheckOptions} from './check-options.js';

/** `TCP_CHECK`. null: not written. */
export interface TcpCheckDraft extends Draft, CheckOptions {
	connectAddress: string | null;
	connectPort: number | null;
	bindAddress: string | null;
}

export function newTcpCheck(place: Place): TcpCheckDraft {
	return {...draftAt(place), ...newCheckOptions(), connectAddress: null, connectPort: null, bindAddress: null};
}

export const tcpCheck: Keywords<TcpCheckDraft> = {
	connect_ip: full(one(ip), (draft, address) => {
		draft.connectAddress = address;
	}),
	connect_port: full(one(integer(1, 65_535)), (draft, port) => {
		draft.connectPort = port;
	}),
	bindto: full(one(ip), (draft, address) => {
		draft.bindAddress = address;
	}),
	...checkOptionKeywords<TcpCheckDraft>(),
	log_all_failures: accepted('every change of a check is logged once'),
	bind_port: refused('the kernel chooses the port of a check'),
	bind_if: refused('the routing table chooses the interface of a check'),
	fwmark: refused('the packets of checks are not marked'),
};

/** The check of a backend at `address`:`port`, 0 if it has many. `outer`: the backend's options, then the service's. */
export function toTcpCheck(
	draft: TcpCheckDraft,
	{address, port}: {readonly address: string; readonly port: number},
	outer: readonly CheckOptions[],
	report: Report,
): Check {
	const levels = [draft, ...outer];
	if (port === 0 && draft.connectPort === null) {
		const text = 'TCP_CHECK has no port to connect to: its real_server has that of every connection';
		report.error('missing', draft.place, text, `add 'connect_port PORT'`);
	}
	const delayLoopUs = inherit('delayLoopUs', ...levels) ?? 60_000_000;
	return {
		place: draft.place,
		kind: 'tcp',
		connectAddress: draft.connectAddress ?? address,
		connectPort: draft.connectPort ?? port,
		bindAddress: draft.bindAddress,
		connectTimeoutUs: inherit('connectTimeoutUs', ...levels) ?? 5_000_000,
		delayLoopUs,
		retry: inherit('retry', ...levels) ?? 1,
		delayBeforeRetryUs: inherit('delayBeforeRetryUs', ...levels) ?? 1_000_000,
		warmupUs: inherit('warmupUs', ...levels) ?? delayLoopUs,
	};
}
