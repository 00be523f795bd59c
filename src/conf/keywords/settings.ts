import {type Args, one} from '../args.js';
import type {Place, Settings} from '../model.js';
import {type Draft, draftAt, full, type Keywords} from '../table.js';
import {integer, ipv4} from '../values.js';

/** The `lbd { … }` block: our own settings. */
export interface SettingsDraft extends Draft {
	flows: number;
	persistenceEntries: number;
	metrics: Settings['metrics'];
}

const METRICS_PORT = 9633;

/** What holds if the block, or one of its keywords, is not there. */
export function newSettings(place: Place): SettingsDraft {
	return {
		...draftAt(place),
		flows: 262_144,
		persistenceEntries: 65_536,
		metrics: {address: '127.0.0.1', port: METRICS_PORT},
	};
}

const metricsArgs: Args<Settings['metrics']> = {
	usage: `ADDRESS [PORT] | off`,
	read(words) {
		if (words.peek()?.text === 'off') {
			words.shift();
			return null;
		}
		const address = words.take(ipv4);
		const port = words.peek() === undefined ? METRICS_PORT : words.take(integer(1, 65_535));
		return address === undefined || port === undefined ? undefined : {address, port};
	},
};

export const settings: Keywords<SettingsDraft> = {
	// 32 bytes a flow: at most 2 GiB.
	flows: full(one(integer(1024, 2 ** 26)), (draft, flows) => {
		draft.flows = flows;
	}),
	persistence_entries: full(one(integer(1, 2 ** 24)), (draft, entries) => {
		draft.persistenceEntries = entries;
	}),
	metrics: full(metricsArgs, (draft, metrics) => {
		draft.metrics = metrics;
	}),
};

export function toSettings({place, written, ...settings}: SettingsDraft): Settings {
	return settings;
}
