/** What is due for an event, as a pure function of it and of who asked to be told. */
import type {Globals, InstanceNotify, Script, StateNotify} from '../conf/model.js';
import type {NotifyEvent, Standing} from './event.js';
import {
	backendLine,
	checkMessage,
	type Message,
	quorumLine,
	quorumMessage,
	removalMessage,
	stateArguments,
	stateLine,
	stateMessage,
} from './words.js';

/** All that is due for one event. */
export interface Due {
	/** With the arguments that the event adds; they run together. */
	readonly scripts: readonly Script[];
	/** For the FIFOs. */
	readonly line: string | null;
	readonly message: Message | null;
}

/** Who asked to be told, and of what. */
export interface Subscriptions {
	readonly globals: Pick<Globals, 'mail' | 'rsInitNotifies' | 'fifoStatesOnReload'>;
	instance(name: string): InstanceNotify | null;
	group(name: string): StateNotify | null;
}

const NOTHING: Due = {scripts: [], line: null, message: null};

export function due(event: NotifyEvent, to: Subscriptions): Due {
	switch (event.kind) {
		case 'entered':
			return dueOfEntered(event, to);
		case 'still':
			return to.globals.fifoStatesOnReload ? {...NOTHING, line: stateLine(event, event.state)} : NOTHING;
		case 'priority':
			return dueOfPriority(event, to);
		case 'lower-priority':
			return dueOfLowerPriority(event, to);
		case 'backend':
			return dueOfBackend(event, to);
		case 'quorum':
			return dueOfQuorum(event);
		case 'check':
			return dueOfCheck(event, to);
		default:
			return event satisfies never;
	}
}

function dueOfEntered(standing: Standing, to: Subscriptions): Due {
	if (standing.scope === 'group') return dueOfState(standing, to.group(standing.name), to);
	const notify = to.instance(standing.name);
	return standing.state === 'DELETED' ? dueOfDeleted(standing, notify, to) : dueOfState(standing, notify, to);
}

function dueOfState(standing: Standing, notify: StateNotify | null, to: Subscriptions): Due {
	if (notify === null) return NOTHING;
	return {
		scripts: [...run(stateScript(standing, notify)), ...run(notify.every, stateArguments(standing))],
		line: stateLine(standing, standing.state),
		message: mailsState(standing, notify, to) ? stateMessage(standing) : null,
	};
}

/** An instance that a reload removes ends in FAULT for those who do not know DELETED; `notify_fault` is not for it (2.2.7). */
function dueOfDeleted(standing: Standing, notify: InstanceNotify | null, to: Subscriptions): Due {
	if (notify?.deleted) {
		const told = dueOfState(standing, notify, to);
		return {...told, scripts: [...run(notify.deleted.script), ...told.scripts]};
	}
	return dueOfState({...standing, state: 'FAULT'}, notify && {...notify, fault: null}, to);
}

function stateScript({state}: Standing, notify: StateNotify): Script | null {
	switch (state) {
		case 'MASTER':
			return notify.master;
		case 'BACKUP':
			return notify.backup;
		case 'FAULT':
			return notify.fault;
		case 'STOP':
			return notify.stop;
		case 'DELETED':
			return null;
		default:
			return state satisfies never;
	}
}

function mailsState({state}: Standing, {mail}: StateNotify, {globals}: Subscriptions): boolean {
	return mail && (state !== 'FAULT' || globals.mail.faults);
}

function dueOfPriority(event: Extract<NotifyEvent, {kind: 'priority'}>, to: Subscriptions): Due {
	if (!to.instance(event.name)?.priorityChanges) return NOTHING;
	return {
		...NOTHING,
		line: stateLine({...event, scope: 'instance'}, event.master ? 'MASTER_PRIORITY' : 'BACKUP_PRIORITY'),
	};
}

function dueOfLowerPriority(event: Extract<NotifyEvent, {kind: 'lower-priority'}>, to: Subscriptions): Due {
	const notify = to.instance(event.name);
	if (notify === null) return NOTHING;
	return {
		scripts: run(notify.lowerPriority),
		line: stateLine({...event, scope: 'instance'}, 'MASTER_RX_LOWER_PRI'),
		message: null,
	};
}

/** The mail about a check says why; only a removal has none. */
function dueOfBackend(event: Extract<NotifyEvent, {kind: 'backend'}>, to: Subscriptions): Due {
	const {service, backend, up, occasion} = event;
	if (occasion === 'start' && !to.globals.rsInitNotifies) return NOTHING;
	if (occasion === 'shutdown' && !service.notify?.atShutdown) return NOTHING;
	const {notify} = backend;
	if (notify === null) return NOTHING;
	const removed = occasion === 'removal' || occasion === 'shutdown';
	return {
		scripts: run(up ? notify.up : notify.down),
		line: backendLine(service, backend, up),
		message: removed && notify.mail ? removalMessage(service, backend, occasion) : null,
	};
}

function dueOfQuorum(event: Extract<NotifyEvent, {kind: 'quorum'}>): Due {
	const {service, up, occasion} = event;
	const {notify} = service;
	if (notify === null || (occasion === 'shutdown' && !notify.atShutdown)) return NOTHING;
	return {
		scripts: run(up ? notify.quorumUp : notify.quorumDown),
		line: quorumLine(service, up),
		message: notify.mail ? quorumMessage(event) : null,
	};
}

function dueOfCheck(event: Extract<NotifyEvent, {kind: 'check'}>, {globals}: Subscriptions): Due {
	const wanted = event.backend.notify?.mail && (event.decided || globals.mail.everyCheck);
	return wanted ? {...NOTHING, message: checkMessage(event)} : NOTHING;
}

function run(script: Script | null, args: readonly string[] = []): Script[] {
	return script === null ? [] : [{...script, argv: [...script.argv, ...args]}];
}
