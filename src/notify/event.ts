/** What can be told to scripts, FIFOs and people. The states are keepalived's words, as its scripts get them. */
import type {Backend, Check, Occasion, Service} from '../conf/model.js';

export type State = 'MASTER' | 'BACKUP' | 'FAULT' | 'STOP' | 'DELETED';

/** What is in a state: a `vrrp_instance`, or a `vrrp_sync_group`, whose priority is 0. */
export interface Standing {
	readonly scope: 'instance' | 'group';
	readonly name: string;
	readonly state: State;
	readonly priority: number;
}

export type NotifyEvent =
	| (Standing & {readonly kind: 'entered'})
	/** What holds already, told again after a reload. */
	| (Standing & {readonly kind: 'still'})
	/** The priority of an instance has changed. */
	| {readonly kind: 'priority'; readonly name: string; readonly master: boolean; readonly priority: number}
	/** A master hears a router that ranks below it. */
	| {readonly kind: 'lower-priority'; readonly name: string; readonly priority: number}
	| {
			readonly kind: 'backend';
			readonly service: Service;
			readonly backend: Backend;
			readonly up: boolean;
			readonly occasion: Occasion;
	  }
	| {
			readonly kind: 'quorum';
			readonly service: Service;
			readonly up: boolean;
			/** Of all live backends together. */
			readonly weight: number;
			readonly occasion: Occasion;
	  }
	/** A check of a backend has changed its mind. */
	| {
			readonly kind: 'check';
			readonly service: Service;
			readonly backend: Backend;
			readonly check: Check['kind'];
			readonly passed: boolean;
			/** Whether the backend is up now, and whether this check decided it. */
			readonly up: boolean;
			readonly decided: boolean;
	  };

/** What keepalived calls a VRRP role; an instance that stops while the daemon goes on was removed. null: it has no name. */
export function stateOf(role: 'init' | 'backup' | 'master' | 'fault' | 'stopped', daemonStops: boolean): State | null {
	switch (role) {
		case 'init':
			return null;
		case 'backup':
			return 'BACKUP';
		case 'master':
			return 'MASTER';
		case 'fault':
			return 'FAULT';
		case 'stopped':
			return daemonStops ? 'STOP' : 'DELETED';
		default:
			return role satisfies never;
	}
}
