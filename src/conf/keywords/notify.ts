/** Keywords by which instances, groups, services and backends say who is to be told what becomes of them. */
import {type Args, onOff} from '../args.js';
import type {BackendNotify, InstanceNotify, Script, ServiceNotify, StateNotify} from '../model.js';
import {full, type Keywords, type Row} from '../table.js';
import {type ScriptDefaults, type ScriptDraft, scriptArgs, toScript} from './script.js';

/** What `global_defs` says for all who say nothing themselves. null: not written. */
export interface NotifyDefaults {
	readonly scripts: ScriptDefaults;
	readonly smtpAlert: boolean | null;
	readonly smtpAlertVrrp: boolean | null;
	readonly smtpAlertChecker: boolean | null;
	readonly priorityChanges: boolean;
}

export interface StateNotifyDraft {
	master: ScriptDraft | null;
	backup: ScriptDraft | null;
	fault: ScriptDraft | null;
	stop: ScriptDraft | null;
	every: ScriptDraft | null;
	mail: boolean | null;
	priorityChanges: boolean | null;
}

export interface InstanceNotifyDraft extends StateNotifyDraft {
	deleted: {readonly script: ScriptDraft | null} | null;
	lowerPriority: ScriptDraft | null;
}

export interface BackendNotifyDraft {
	up: ScriptDraft | null;
	down: ScriptDraft | null;
	mail: boolean | null;
}

export interface ServiceNotifyDraft {
	quorumUp: ScriptDraft | null;
	quorumDown: ScriptDraft | null;
	mail: boolean | null;
	atShutdown: boolean;
}

/** A draft of something that has somebody to tell. */
interface Notifying<N> {
	readonly notify: N;
}

export function newStateNotify(): StateNotifyDraft {
	return {master: null, backup: null, fault: null, stop: null, every: null, mail: null, priorityChanges: null};
}

export function newInstanceNotify(): InstanceNotifyDraft {
	return {...newStateNotify(), deleted: null, lowerPriority: null};
}

export function newBackendNotify(): BackendNotifyDraft {
	return {up: null, down: null, mail: null};
}

export function newServiceNotify(): ServiceNotifyDraft {
	return {quorumUp: null, quorumDown: null, mail: null, atShutdown: false};
}

export function stateNotifyKeywords<D extends Notifying<StateNotifyDraft>>(): Keywords<D> {
	return {
		notify_master: notifyRow('master', scriptArgs),
		notify_backup: notifyRow('backup', scriptArgs),
		notify_fault: notifyRow('fault', scriptArgs),
		notify_stop: notifyRow('stop', scriptArgs),
		notify: notifyRow('every', scriptArgs),
		notify_priority_changes: notifyRow('priorityChanges', onOff),
		smtp_alert: notifyRow('mail', onOff),
	};
}

/** `notify_deleted` alone asks for the state DELETED; with a script it has one of its own, too. */
const deletedArgs: Args<NonNullable<InstanceNotifyDraft['deleted']>> = {
	usage: `[${scriptArgs.usage}]`,
	read(words) {
		if (words.peek() === undefined) return {script: null};
		const script = scriptArgs.read(words);
		return script === undefined ? undefined : {script};
	},
};

export function instanceNotifyKeywords<D extends Notifying<InstanceNotifyDraft>>(): Keywords<D> {
	return {
		...stateNotifyKeywords<D>(),
		notify_deleted: notifyRow('deleted', deletedArgs),
		notify_master_rx_lower_pri: notifyRow('lowerPriority', scriptArgs),
	};
}

export function backendNotifyKeywords<D extends Notifying<BackendNotifyDraft>>(): Keywords<D> {
	return {
		notify_up: notifyRow('up', scriptArgs),
		notify_down: notifyRow('down', scriptArgs),
		smtp_alert: notifyRow('mail', onOff),
	};
}

export function serviceNotifyKeywords<D extends Notifying<ServiceNotifyDraft>>(): Keywords<D> {
	return {
		quorum_up: notifyRow('quorumUp', scriptArgs),
		quorum_down: notifyRow('quorumDown', scriptArgs),
		omega: notifyRow('atShutdown', onOff),
		smtp_alert: notifyRow('mail', onOff),
	};
}

function notifyRow<N, K extends keyof N>(key: K, args: Args<N[K] & {}>): Row<Notifying<N>> {
	return full(args, ({notify}: Notifying<N>, value) => {
		notify[key] = value;
	});
}

/** keepalived sends no mail about VRRP unless it is told to. */
export function toStateNotify(draft: StateNotifyDraft, defaults: NotifyDefaults): StateNotify {
	const script = scriptIn(defaults);
	return {
		master: script(draft.master),
		backup: script(draft.backup),
		fault: script(draft.fault),
		stop: script(draft.stop),
		every: script(draft.every),
		mail: draft.mail ?? defaults.smtpAlertVrrp ?? defaults.smtpAlert ?? false,
		priorityChanges: draft.priorityChanges ?? defaults.priorityChanges,
	};
}

export function toInstanceNotify(draft: InstanceNotifyDraft, defaults: NotifyDefaults): InstanceNotify {
	const script = scriptIn(defaults);
	return {
		...toStateNotify(draft, defaults),
		deleted: draft.deleted && {script: script(draft.deleted.script)},
		lowerPriority: script(draft.lowerPriority),
	};
}

/** Real servers are the only ones that mail is sent about without being asked for. */
export function toBackendNotify(draft: BackendNotifyDraft, defaults: NotifyDefaults): BackendNotify {
	const script = scriptIn(defaults);
	const mail = draft.mail ?? defaults.smtpAlertChecker ?? defaults.smtpAlert ?? true;
	return {up: script(draft.up), down: script(draft.down), mail};
}

export function toServiceNotify(draft: ServiceNotifyDraft, defaults: NotifyDefaults): ServiceNotify {
	const script = scriptIn(defaults);
	return {
		quorumUp: script(draft.quorumUp),
		quorumDown: script(draft.quorumDown),
		mail: draft.mail ?? defaults.smtpAlertChecker ?? defaults.smtpAlert ?? false,
		atShutdown: draft.atShutdown,
	};
}

function scriptIn({scripts}: NotifyDefaults): (draft: ScriptDraft | null) => Script | null {
	return draft => draft && toScript(draft, scripts);
}
