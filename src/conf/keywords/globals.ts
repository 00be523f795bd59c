import {type Args, anything, none, one, oneOnly, onOff, pair} from '../args.js';
import type {Globals, Place} from '../model.js';
import {
	accepted,
	type Draft,
	draftAt,
	fixed,
	full,
	items,
	type Keywords,
	readOptions,
	rows,
	withoutEffect,
} from '../table.js';
import {integer, ipv4, ipv6, seconds, word} from '../values.js';
import * as because from './because.js';
import {type ScriptDefaults, userArgs} from './script.js';
import {type GarpDraft, garpKeywords, rfcKeywords, vrrpVersion} from './vrrp-values.js';

/** `global_defs`. */
export interface GlobalsDraft extends Draft {
	routerId: string | null;
	notificationEmail: string[];
	notificationEmailFrom: string | null;
	smtpServer: Globals['smtpServer'];
	smtpConnectTimeoutUs: number;
	timeoutsS: {tcp: number; tcpFin: number; udp: number};
	vrrpVersion: 2 | 3;
	/** keepalived's strict mode, for all instances that do not say themselves. */
	strict: boolean;
	readonly multicastGroups: {4: string; 6: string};
	readonly scripts: ScriptDefaults;
	logAllFailures: boolean;
	/** What instances use that say nothing themselves. */
	readonly garp: GarpDraft;
}

/** keepalived's and IPVS's defaults. */
export function newGlobals(place: Place): GlobalsDraft {
	return {
		...draftAt(place),
		routerId: null,
		notificationEmail: [],
		notificationEmailFrom: null,
		smtpServer: null,
		smtpConnectTimeoutUs: 30_000_000,
		timeoutsS: {tcp: 900, tcpFin: 120, udp: 300},
		vrrpVersion: 2,
		strict: false,
		multicastGroups: {4: '224.0.0.18', 6: 'ff02::12'},
		logAllFailures: false,
		scripts: {user: null, group: null, secured: false},
		garp: {},
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

	notification_email: withoutEffect(
		because.noMail,
		items(anything, (draft, addresses) => {
			draft.notificationEmail.push(...addresses);
		}),
	),
	notification_email_from: withoutEffect(
		because.noMail,
		full(one(word), (draft, address) => {
			draft.notificationEmailFrom = address;
		}),
	),
	smtp_server: withoutEffect(
		because.noMail,
		full(pair(word, integer(1, 65_535), 25), (draft, [host, port]) => {
			draft.smtpServer = {host, port};
		}),
	),
	smtp_connect_timeout: withoutEffect(
		because.noMail,
		full(one(seconds(0.000001)), (draft, us) => {
			draft.smtpConnectTimeoutUs = us;
		}),
	),
	...rows(
		'smtp_helo_name smtp_alert smtp_alert_vrrp smtp_alert_checker no_email_faults no_checker_emails',
		accepted(because.noMail),
	),

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
	...rows('vrrp_garp_extra_if vrrp_vmac_garp_intvl vmac_prefix vmac_addr_prefix', accepted(because.noVmac)),
	...rows('vrrp_iptables vrrp_ipsets', accepted(because.noFirewall)),
	...rows('nftables nftables_priority nftables_counters nftables_ifindex', accepted(because.noFirewall)),
	vrrp_skip_check_adv_addr: accepted('every advert is checked in full'),
	vrrp_check_unicast_src: accepted(because.noUnicast),
	v3_checksum_as_v2: accepted(because.ownChecksum),
	log_unknown_vrids: accepted('adverts of unknown routers are counted, see /metrics'),
	dynamic_interfaces: accepted('every interface has to exist at the start'),
	disable_local_igmp: accepted('the kernel sends the IGMP reports'),
	include_check: accepted(because.alwaysChecked),
	default_interface: accepted('only static_ipaddress needs it'),
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
	...rows('startup_script startup_script_timeout shutdown_script shutdown_script_timeout', accepted(because.noScripts)),
	...rows(
		'notify_fifo notify_fifo_script vrrp_notify_fifo vrrp_notify_fifo_script lvs_notify_fifo lvs_notify_fifo_script',
		accepted(because.noScripts),
	),
	...rows(
		'vrrp_notify_priority_changes fifo_write_vrrp_states_on_reload rs_init_notifies',
		accepted(because.noScripts),
	),

	lvs_sync_daemon: accepted(because.noSharing),
	...rows('lvs_flush lvs_flush_on_stop lvs_flush_onstop', accepted(because.noIpvs)),
	...rows('nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark', accepted(because.noIpvs)),
	checker_log_all_failures: full(onOff, (draft, all) => {
		draft.logAllFailures = all;
	}),

	...rows('process_names process_name lvs_process_name', accepted(because.ownProcesses)),
	random_seed: accepted('random numbers are as they were at the last reading, and others on another machine'),
	...rows('max_auto_priority min_auto_priority_delay umask', accepted(because.ownProcesses)),
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

export function toGlobals({
	place,
	written,
	garp,
	scripts,
	logAllFailures,
	vrrpVersion,
	strict,
	...globals
}: GlobalsDraft): Globals {
	return globals;
}
