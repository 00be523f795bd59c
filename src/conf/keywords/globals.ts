import {type Args, anything, none, one, oneOnly, onOff, optional, pair} from '../args.js';
import type {Report} from '../diagnostics.js';
import type {Globals, MailSettings, Place} from '../model.js';
import {
	accepted,
	type Draft,
	draftAt,
	fixed,
	full,
	items,
	type Keywords,
	placeOf,
	readOptions,
	rows,
} from '../table.js';
import {integer, interfaceName, ipv4, ipv6, oneOf, seconds, wholeSeconds, word} from '../values.js';
import * as because from './because.js';
import {type FifoDrafts, fifoKeywords, newFifos, toFifos, UMASK_DEFAULT, umaskArgs} from './fifo.js';
import type {NotifyDefaults} from './notify.js';
import {type ScriptDefaults, type ScriptDraft, scriptArgs, toScript, userArgs} from './script.js';
import {type SharingDraft, syncDaemonArgs} from './sharing.js';
import {virtualMacGlobals} from './virtual-mac.js';
import {type ExtraDraft, extraKeywords, type GarpDraft, garpKeywords, rfcKeywords, vrrpVersion} from './vrrp-values.js';

/** A script that is run once. */
interface OnceDraft {
	script: ScriptDraft | null;
	timeoutUs: number;
}

/** `global_defs`. null: not written. */
export interface GlobalsDraft extends Draft, NotifyDefaults {
	routerId: string | null;
	readonly mail: {-readonly [K in keyof MailSettings]: MailSettings[K]} & {readonly to: string[]};
	smtpAlert: boolean | null;
	smtpAlertVrrp: boolean | null;
	smtpAlertChecker: boolean | null;
	priorityChanges: boolean;
	rsInitNotifies: boolean;
	fifoStatesOnReload: boolean;
	readonly fifos: FifoDrafts;
	umask: number;
	readonly startup: OnceDraft;
	readonly shutdown: OnceDraft;
	timeoutsS: {tcp: number; tcpFin: number; udp: number};
	vrrpVersion: 2 | 3;
	/** keepalived's strict mode, for all instances that do not say themselves. */
	strict: boolean;
	/** Instances with `unicast_peer` hear nobody else. */
	checkUnicastSource: boolean;
	/** Interfaces may come later. */
	dynamicInterfaces: boolean;
	/** Of static addresses that name none. */
	defaultInterface: string;
	readonly multicastGroups: {4: string; 6: string};
	readonly scripts: ScriptDefaults;
	logAllFailures: boolean;
	sharing: SharingDraft | null;
	/** What instances use that say nothing themselves. */
	readonly garp: GarpDraft;
	garpExtra: ExtraDraft | null;
	virtualMacPrefix: string;
}

/** keepalived's default for scripts that it waits for. */
const ONCE_TIMEOUT_US = 10_000_000;

/** keepalived's and IPVS's defaults. */
export function newGlobals(place: Place): GlobalsDraft {
	return {
		...draftAt(place),
		routerId: null,
		mail: {
			to: [],
			from: null,
			server: null,
			heloName: null,
			timeoutUs: 30_000_000,
			faults: true,
			everyCheck: true,
		},
		smtpAlert: null,
		smtpAlertVrrp: null,
		smtpAlertChecker: null,
		priorityChanges: false,
		rsInitNotifies: false,
		fifoStatesOnReload: false,
		fifos: newFifos(),
		umask: UMASK_DEFAULT,
		startup: {script: null, timeoutUs: ONCE_TIMEOUT_US},
		shutdown: {script: null, timeoutUs: ONCE_TIMEOUT_US},
		timeoutsS: {tcp: 900, tcpFin: 120, udp: 300},
		vrrpVersion: 2,
		strict: false,
		checkUnicastSource: false,
		dynamicInterfaces: false,
		defaultInterface: 'eth0',
		multicastGroups: {4: '224.0.0.18', 6: 'ff02::12'},
		logAllFailures: false,
		sharing: null,
		scripts: {user: null, group: null, secured: false},
		garp: {},
		garpExtra: null,
		virtualMacPrefix: 'vrrp',
	};
}

/** keepalived takes up to 31 days. */
const timeout = one(integer(1, 31 * 24 * 3600));

type Timeouts = Partial<GlobalsDraft['timeoutsS']>;

const timeoutOptions: Keywords<Timeouts> = {
	tcp: full(timeout, (timeouts, seconds) => {
		timeouts.tcp = seconds;
	}),
	tcpfin: full(timeout, (timeouts, seconds) => {
		timeouts.tcpFin = seconds;
	}),
	udp: full(timeout, (timeouts, seconds) => {
		timeouts.udp = seconds;
	}),
};

const timeoutsArgs: Args<Timeouts> = {
	usage: '[tcp SECONDS] [tcpfin SECONDS] [udp SECONDS]',
	read(words) {
		const timeouts: Timeouts = {};
		return readOptions(words, timeoutOptions, timeouts) ? timeouts : undefined;
	},
};

export const globals: Keywords<GlobalsDraft> = {
	router_id: full(one(word), (draft, name) => {
		draft.routerId = name;
	}),
	lvs_timeouts: full(timeoutsArgs, (draft, timeouts) => {
		Object.assign(draft.timeoutsS, timeouts);
	}),

	notification_email: items(anything, ({mail}, addresses) => {
		mail.to.push(...addresses);
	}),
	notification_email_from: full(one(word), ({mail}, address) => {
		mail.from = address;
	}),
	smtp_server: full(pair(word, integer(1, 65_535), 25), ({mail}, [host, port]) => {
		mail.server = {host, port};
	}),
	smtp_connect_timeout: full(one(seconds(0.000001)), ({mail}, us) => {
		mail.timeoutUs = us;
	}),
	smtp_helo_name: full(one(word), ({mail}, name) => {
		mail.heloName = name;
	}),
	smtp_alert: full(onOff, (draft, alert) => {
		draft.smtpAlert = alert;
	}),
	smtp_alert_vrrp: full(onOff, (draft, alert) => {
		draft.smtpAlertVrrp = alert;
	}),
	smtp_alert_checker: full(onOff, (draft, alert) => {
		draft.smtpAlertChecker = alert;
	}),
	no_email_faults: full(none, ({mail}) => {
		mail.faults = false;
	}),
	no_checker_emails: full(none, ({mail}) => {
		mail.everyCheck = false;
	}),

	vrrp_version: full(one(vrrpVersion), (draft, version) => {
		draft.vrrpVersion = version;
	}),
	vrrp_mcast_group4: full(one(ipv4), (draft, group) => {
		draft.multicastGroups[4] = group;
	}),
	vrrp_mcast_group6: full(one(ipv6), (draft, group) => {
		draft.multicastGroups[6] = group;
	}),
	...garpKeywords<GlobalsDraft>('vrrp_'),
	...rows('vrrp_garp_interval vrrp_gna_interval vrrp_min_garp', accepted(because.noPacing)),
	...extraKeywords<GlobalsDraft>('vrrp_garp_extra_if vrrp_vmac_garp_intvl'),
	...virtualMacGlobals<GlobalsDraft>(),
	...rows('vrrp_iptables vrrp_ipsets', accepted(because.noFirewall)),
	...rows('nftables nftables_priority nftables_counters nftables_ifindex', accepted(because.noFirewall)),
	vrrp_skip_check_adv_addr: accepted('every advert is checked in full'),
	vrrp_check_unicast_src: full(none, draft => {
		draft.checkUnicastSource = true;
	}),
	v3_checksum_as_v2: accepted(because.ownChecksum),
	log_unknown_vrids: accepted('adverts of unknown routers are counted, see /metrics'),
	// Names are believed anyhow, whatever index is behind them.
	dynamic_interfaces: full(optional(oneOf({allow_if_changes: true}), true), (draft, dynamic) => {
		draft.dynamicInterfaces = dynamic;
	}),
	disable_local_igmp: accepted('the kernel sends the IGMP reports'),
	include_check: accepted(because.alwaysChecked),
	default_interface: full(one(interfaceName), (draft, name) => {
		draft.defaultInterface = name;
	}),
	vrrp_strict: full(none, draft => {
		draft.strict = true;
	}),
	...rows(
		'vrrp_startup_delay vrrp_delay_after_boot',
		fixed('VRRP starts at once', because => oneOnly(seconds(0), 0, because)),
	),
	...rfcKeywords<GlobalsDraft>('vrrp_'),

	script_user: full(userArgs, ({scripts}, user) => {
		Object.assign(scripts, user);
	}),
	enable_script_security: full(none, ({scripts}) => {
		scripts.secured = true;
	}),
	use_symlink_paths: accepted('a script is reached by the path that is written'),
	set_supplementary_groups: accepted('scripts have the group that they are given, and no other'),
	...onceKeywords('startup'),
	...onceKeywords('shutdown'),
	...fifoKeywords<GlobalsDraft>('', 'all'),
	...fifoKeywords<GlobalsDraft>('vrrp_', 'vrrp'),
	...fifoKeywords<GlobalsDraft>('lvs_', 'lvs'),
	umask: full(umaskArgs, (draft, umask) => {
		draft.umask = umask;
	}),
	vrrp_notify_priority_changes: full(onOff, (draft, told) => {
		draft.priorityChanges = told;
	}),
	fifo_write_vrrp_states_on_reload: full(none, draft => {
		draft.fifoStatesOnReload = true;
	}),
	rs_init_notifies: full(none, draft => {
		draft.rsInitNotifies = true;
	}),

	lvs_sync_daemon: full(syncDaemonArgs, (draft, sharing, place) => {
		draft.sharing = {...sharing, place};
	}),
	...rows('lvs_flush lvs_flush_on_stop lvs_flush_onstop', accepted(because.noIpvs)),
	...rows('nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark', accepted(because.noIpvs)),
	checker_log_all_failures: full(onOff, (draft, all) => {
		draft.logAllFailures = all;
	}),

	...rows('process_names process_name lvs_process_name', accepted(because.ownProcesses)),
	random_seed: accepted('random numbers are as they were at the last reading, and others on another machine'),
	...rows('max_auto_priority min_auto_priority_delay', accepted(because.ownProcesses)),
	...processKeywords('vrrp'),
	...processKeywords('checker'),
	...processKeywords('bfd'),
	...netlinkKeywords('vrrp_netlink_cmd'),
	...netlinkKeywords('vrrp_netlink_monitor'),
	...netlinkKeywords('lvs_netlink_cmd'),
	...netlinkKeywords('lvs_netlink_monitor'),
	...netlinkKeywords('process_monitor'),
	...rows('vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier', accepted(because.ownBuffers)),
	reload_check_config: accepted(because.checkedReload),
	...rows('reload_time_file reload_repeat reload_file', accepted(because.signalledReload)),
	...rows('config_save_dir tmp_config_directory', accepted('the file is read once, by one process')),
	...rows('data_use_instance json_version', accepted(because.ownFiles)),
	...rows('state_dump_file stats_dump_file json_dump_file', accepted(because.ownFiles)),
	...rows('iproute_usr_dir iproute_etc_dir', accepted('names of tables, scopes and protocols are not looked up')),
	...rows('enable_snmp_vrrp enable_snmp_keepalived enable_snmp_checker enable_traps', accepted(because.noSnmp)),
	...rows('snmp_socket enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3', accepted(because.noSnmp)),
	...rows('snmp_vs_stats_update_interval snmp_rs_stats_update_interval', accepted(because.noSnmp)),
	...rows('enable_dbus dbus_service_name dbus_no_interface_name', accepted(because.noSnmp)),
};

/** The scheduling of one of keepalived's processes. */
function processKeywords(of: string): Keywords<GlobalsDraft> {
	const settings = 'process_name priority no_swap rt_priority cpu_affinity rlimit_rttime rlimit_rtime'.split(' ');
	return rows(settings.map(setting => `${of}_${setting}`).join(' '), accepted(because.ownProcesses));
}

/** The receive buffers of one of keepalived's netlink sockets. */
function netlinkKeywords(of: string): Keywords<GlobalsDraft> {
	return rows(`${of}_rcv_bufs ${of}_rcv_bufs_force`, accepted(because.ownBuffers));
}

/** `startup_script` and `shutdown_script`, with their times. */
function onceKeywords(which: 'startup' | 'shutdown'): Keywords<GlobalsDraft> {
	return {
		[`${which}_script`]: full(scriptArgs, (draft: GlobalsDraft, script) => {
			draft[which].script = script;
		}),
		[`${which}_script_timeout`]: full(one(wholeSeconds(1, 1000)), (draft: GlobalsDraft, us) => {
			draft[which].timeoutUs = us;
		}),
	};
}

export function toGlobals(draft: GlobalsDraft, report: Report): Globals {
	reportUseless(draft, report);
	const {routerId, mail, timeoutsS, multicastGroups, dynamicInterfaces, rsInitNotifies, fifoStatesOnReload, scripts} =
		draft;
	const once = ({script, timeoutUs}: OnceDraft) => script && {script: toScript(script, scripts), timeoutUs};
	return {
		routerId,
		mail,
		fifos: toFifos(draft.fifos, draft.umask, scripts),
		startup: once(draft.startup),
		shutdown: once(draft.shutdown),
		rsInitNotifies,
		fifoStatesOnReload,
		timeoutsS,
		multicastGroups,
		dynamicInterfaces,
	};
}

/** What keepalived reads without a word, though nothing comes of it. */
function reportUseless(draft: GlobalsDraft, report: Report): void {
	const without = (keyword: string, needed: string, why: string): void => {
		if (!draft.written.has(keyword) || draft.written.has(needed)) return;
		report.warning('missing', placeOf(draft, keyword), `${keyword} without ${needed}: ${why}`, `add '${needed} …'`);
	};
	without('notification_email', 'smtp_server', 'no mail is sent');
	without('smtp_server', 'notification_email', 'no mail is sent');
	for (const prefix of ['', 'vrrp_', 'lvs_']) {
		without(`${prefix}notify_fifo_script`, `${prefix}notify_fifo`, 'there is nothing that it could read');
	}
}
