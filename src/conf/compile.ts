import {crossCheck} from './cross-check.js';
import type {Report} from './diagnostics.js';
import {toGlobals} from './keywords/globals.js';
import {toInstance} from './keywords/instance.js';
import {toService} from './keywords/service.js';
import {toSettings} from './keywords/settings.js';
import {toSyncGroup} from './keywords/sync-group.js';
import {newConfig, top} from './keywords/top.js';
import type {Config} from './model.js';
import type {Statement} from './parser.js';
import {keywordHomes, TableReader} from './table.js';

const FILE = 'the file';
const homes = keywordHomes(top, FILE);

/** What the tree of a file means by the keyword table, with all defaults; null if there is an error. */
export function compile(file: string, statements: readonly Statement[], report: Report): Config | null {
	const draft = newConfig({file, line: 1, column: 1});
	new TableReader(homes, report).read(statements, top, draft, FILE);
	const config: Config = {
		file,
		globals: toGlobals(draft.globals),
		settings: toSettings(draft.settings),
		services: present(draft.services.map(service => toService(service, report))),
		instances: present(draft.instances.map(instance => toInstance(instance, draft.globals, report))),
		syncGroups: draft.syncGroups.map(group => toSyncGroup(group, report)),
	};
	crossCheck(config, draft, report);
	return report.failed ? null : config;
}

function present<T>(values: readonly (T | null)[]): T[] {
	return values.filter(value => value !== null);
}
