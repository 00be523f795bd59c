import {type Args, none, one, several} from '../args.js';
import type {Place, Protocol, Service, Settings} from '../model.js';
import {block, type Draft, draftAt, each, full, type Keywords} from '../table.js';
import {integer, interfaceName, ip, ipv4, type Network, network, seconds, word} from '../values.js';
import {port, SERVICES_MAX} from './group.js';
import {type PolicyDraft, policyKeywords, toPolicy} from './policy.js';
import {protocol} from './service.js';
import {type SharingDraft, sharingSettings} from './sharing.js';

/** The `lbd { … }` block: our own settings. */
export interface SettingsDraft extends Draft, PolicyDraft {
	servicesMax: number;
	backendsMax: number;
	flows: number;
	/** null: as many as of IPv4, if there is an IPv6 service. */
	flows6: number | null;
	persistenceEntries: number;
	fragments: number;
	readonly blocked: Network[];
	readonly blockFiles: {readonly path: string; readonly place: Place}[];
	notifyTimeoutUs: number;
	vrrpGraceUs: number;
	readonly nics: string[];
	metrics: Settings['metrics'];
	sharing: SharingDraft | null;
	readonly services: ServiceSettingsDraft[];
}

/** `service … { … }` in it. */
export interface ServiceSettingsDraft extends Draft, PolicyDraft {
	/** Which: as `serviceTitle` or `groupTitle` says. */
	readonly title: string;
}

/** 1,000 services of 10 backends each, and as many again while a reload replaces some of them. */
const SERVICES_DEFAULT = 1023;
const BACKENDS_MAX = 16_383;
const METRICS_PORT = 9633;
const FLOWS_MIN = 1024;
/** Of 32 bytes, in IPv6 of 64: at most 2 GiB. */
const FLOWS_MAX = 2 ** 26;
const FLOWS6_MAX = 2 ** 25;

/** What holds if the block, or one of its keywords, is not there. */
export function newSettings(place: Place): SettingsDraft {
	return {
		...draftAt(place),
		servicesMax: SERVICES_DEFAULT,
		backendsMax: BACKENDS_MAX,
		flows: 262_144,
		flows6: null,
		persistenceEntries: 65_536,
		fragments: 16_384,
		blocked: [],
		blockFiles: [],
		notifyTimeoutUs: 60_000_000,
		vrrpGraceUs: 10_000_000,
		nics: [],
		metrics: {address: '127.0.0.1', port: METRICS_PORT},
		sharing: null,
		services: [],
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

/** `192.168.1.1 80` or `192.168.1.1 53 udp`: what `service` in the block calls a service. */
export function serviceTitle({address, port, protocol}: Pick<Service, 'address' | 'port' | 'protocol'>): string {
	return withProtocol(`${address} ${port}`, protocol);
}

/** `group DNS udp`: all services of a group. */
export function groupTitle(group: string, protocol: Protocol): string {
	return withProtocol(`group ${group}`, protocol);
}

function withProtocol(title: string, protocol: Protocol): string {
	return protocol === 'tcp' ? title : `${title} ${protocol}`;
}

const titleArgs: Args<string> = {
	usage: 'IP PORT [udp] | group NAME [udp]',
	read(words) {
		if (words.peek()?.text === 'group') {
			words.shift();
			const group = words.take(word);
			const of = words.peek() === undefined ? 'tcp' : words.take(protocol);
			return group === undefined || of === undefined ? undefined : groupTitle(group, of);
		}
		const address = words.take(ip);
		const number = words.take(port);
		const of = words.peek() === undefined ? 'tcp' : words.take(protocol);
		if (address === undefined || number === undefined || of === undefined) return undefined;
		return serviceTitle({address, port: number, protocol: of});
	},
};

const serviceSettings: Keywords<ServiceSettingsDraft> = policyKeywords<ServiceSettingsDraft>();

export const settings: Keywords<SettingsDraft> = {
	services: full(one(integer(1, SERVICES_MAX)), (draft, services) => {
		draft.servicesMax = services;
	}),
	backends: full(one(integer(1, BACKENDS_MAX)), (draft, backends) => {
		draft.backendsMax = backends;
	}),
	flows: full(one(integer(FLOWS_MIN, FLOWS_MAX)), (draft, flows) => {
		draft.flows = flows;
	}),
	flows6: full(one(integer(FLOWS_MIN, FLOWS6_MAX)), (draft, flows) => {
		draft.flows6 = flows;
	}),
	persistence_entries: full(one(integer(1, 2 ** 24)), (draft, entries) => {
		draft.persistenceEntries = entries;
	}),
	fragments: full(one(integer(64, 2 ** 20)), (draft, fragments) => {
		draft.fragments = fragments;
	}),
	...policyKeywords<SettingsDraft>(),
	block: each(several(network), ({blocked}, networks) => {
		for (const one of networks) blocked.push(one);
	}),
	block_file: each(one(word), ({blockFiles}, path, place) => {
		blockFiles.push({path, place});
	}),
	notify_timeout: full(one(seconds(0.1, 86_400)), (draft, us) => {
		draft.notifyTimeoutUs = us;
	}),
	vrrp_grace: full(one(seconds(0, 3600)), (draft, us) => {
		draft.vrrpGraceUs = us;
	}),
	nics: each(several(interfaceName), ({nics}, names) => {
		nics.push(...names);
	}),
	metrics: full(metricsArgs, (draft, metrics) => {
		draft.metrics = metrics;
	}),
	sync: block(sharingSettings, none, (draft, _, place) => {
		draft.sharing ??= draftAt(place);
		return draft.sharing;
	}),
	service: block(serviceSettings, titleArgs, ({services}, title, place) => {
		const draft = {...draftAt(place), title};
		services.push(draft);
		return draft;
	}),
};

/** What holds for a service. */
export type PolicyOf = (
	service: Pick<Service, 'address' | 'port' | 'protocol' | 'group'>,
) => Pick<Service, 'policy' | 'limits'>;

/** What is said for a service, else for its group, else for all. */
export function policies(settings: SettingsDraft): PolicyOf {
	const drafts = new Map(settings.services.map(draft => [draft.title, draft]));
	return service => {
		const {group, protocol} = service;
		const ofGroup = group === null ? undefined : drafts.get(groupTitle(group, protocol));
		return toPolicy(drafts.get(serviceTitle(service)) ?? {}, ofGroup ?? {}, settings);
	};
}

/** `hasIpv6`: whether a service has an IPv6 address. `blocked`: those of the block and of its files, in order. */
export function toSettings(draft: SettingsDraft, hasIpv6: boolean, blocked: readonly string[]): Settings {
	const {flows, flows6, persistenceEntries, fragments, notifyTimeoutUs, vrrpGraceUs, metrics} = draft;
	const flows6Default = hasIpv6 ? Math.min(flows, FLOWS6_MAX) : FLOWS_MIN;
	return {
		services: draft.servicesMax,
		backends: draft.backendsMax,
		flows,
		flows6: flows6 ?? flows6Default,
		persistenceEntries,
		fragments,
		blocked,
		notifyTimeoutUs,
		vrrpGraceUs,
		nics: [...new Set(draft.nics)],
		metrics,
	};
}
