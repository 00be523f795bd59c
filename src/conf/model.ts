/**
 * What a configuration means, as plain readonly values: the output of `compile` and the input of everything else.
 * Durations are integer microseconds (`…Us`); addresses are canonical text (see net/address.ts).
 */
import type {Family} from '../net/address.js';
import type {IpRoute} from '../net/netlink/ip-route.js';
import type {IpRule} from '../net/netlink/ip-rule.js';
import type {NewAddress} from '../net/netlink/route.js';
import type {AuthHmac} from '../net/vrrp-hmac.js';
import type {Unicast} from '../net/vrrp-packet.js';

/** Where something stands in the configuration: 1-based line and column. */
export interface Place {
	readonly file: string;
	readonly line: number;
	readonly column: number;
	/** Of what a `$NAME` stands for: where the definition has it; the place itself is that of the use. */
	readonly definition?: {readonly name: string; readonly file: string; readonly line: number; readonly column: number};
}

export type Protocol = 'tcp' | 'udp' | 'sctp';
export type Scheduler = 'rr' | 'wrr' | 'lc' | 'wlc' | 'sed' | 'nq' | 'sh' | 'dh' | 'mh' | 'fo' | 'ovf';

/** How packets reach a backend: with its address in the service's place, in a frame of its own, or in a tunnel to it. */
export type Forwarding =
	| {readonly method: 'nat'}
	| {readonly method: 'dr'}
	| {readonly method: 'tun'; readonly type: 'ipip'}
	| {readonly method: 'tun'; readonly type: 'gre'; readonly checksum: 'none' | 'full'}
	/** `port` is where the backend listens for GUE; `remote` is its remote checksum offload. */
	| {
			readonly method: 'tun';
			readonly type: 'gue';
			readonly port: number;
			readonly checksum: 'none' | 'full' | 'remote';
	  };

/** keepalived's largest weight. */
export const WEIGHT_MAX = 2 ** 31 - 1;

/**
 * One address and port of a `virtual_server`: of one that names a group, one of the many that the group has. Those have
 * their real servers and checks in common.
 */
export interface Service {
	/** Of the `virtual_server`, or of the line of its group. */
	readonly place: Place;
	/** `192.168.1.1:80`, or `[2001:db8::1]:80`; `/udp` behind it for other protocols than TCP. Unique. */
	readonly name: string;
	/** The `virtual_server_group` that the `virtual_server` names, or null. A group and a protocol make one `virtual_server`. */
	readonly group: string | null;
	readonly address: string;
	/** 0: all ports that no other service of the address has. */
	readonly port: number;
	readonly protocol: Protocol;
	readonly scheduler: Scheduler;
	/** Of `sh` and `mh`: the client's port counts as well (`sh-port`); a quiesced backend's clients go elsewhere (`sh-fallback`). */
	readonly hashPort: boolean;
	readonly hashFallback: boolean;
	/** `timeoutS` in seconds; `granularity` is the prefix length under which clients count as one: up to 32, or 128. */
	readonly persistence: {readonly timeoutS: number; readonly granularity: number} | null;
	readonly policy: Policy;
	readonly limits: ConnectionLimits;
	readonly quorum: number;
	readonly hysteresis: number;
	/** null: nobody. */
	readonly notify: ServiceNotify | null;
	/** Check the backends only while this machine has the address. */
	readonly haSuspend: boolean;
	/** In the file's order, which is the order of the turn. */
	readonly backends: readonly Backend[];
	/** Who serves while the quorum is lost. */
	readonly sorryServer: SorryServer | null;
}

/** `sorry_server`: nobody checks it. */
export interface SorryServer {
	readonly backend: Backend;
	/** The backends keep their flows meanwhile, and only get no new ones. */
	readonly inhibit: boolean;
}

/** Whom to tell that a service gains or loses its quorum. */
export interface ServiceNotify {
	readonly quorumUp: Script | null;
	readonly quorumDown: Script | null;
	readonly mail: boolean;
	/** The end of the daemon counts as the end of its services (`omega`). */
	readonly atShutdown: boolean;
}

/** What happens to packets that no backend takes. */
export interface Policy {
	/** Of a TCP flow whose backend is down. UDP flows are always rescheduled: nothing is lost by it. */
	readonly failedBackend: 'keep' | 'drop' | 'reset' | 'reschedule';
	/** Of a new flow. `reject`: ICMP port unreachable; `reset`: that for UDP, RST for TCP. */
	readonly noBackend: 'reject' | 'reset' | 'drop';
}

/** How many new connections are taken; null: without limit. */
export interface ConnectionLimits {
	/** From one IPv4 address, or from one /64 of IPv6. */
	readonly perSource: Rate | null;
	readonly perService: Rate | null;
}

export interface Rate {
	/** In the long run. */
	readonly perSecond: number;
	/** At once, after a pause. */
	readonly burst: number;
}

/** One `real_server` of a service. */
export interface Backend {
	readonly place: Place;
	/** `10.0.0.71:80`, or `10.0.0.71:53/udp`; unique within its service. */
	readonly name: string;
	/** As the `real_server` calls itself: `name`, but port 0 where it has that of the service. Services of a group share it. */
	readonly realServer: string;
	readonly address: string;
	/** 0, of a service with port 0: the one that the client asked for. */
	readonly port: number;
	readonly forwarding: Forwarding;
	readonly weight: number;
	/** Connections from which on nothing new is dealt to it, and below which it is dealt to again; 0: no limit. */
	readonly upperThreshold: number;
	readonly lowerThreshold: number;
	/** A failed check sets the weight to 0 instead of taking the backend out. */
	readonly inhibitOnFailure: boolean;
	/** Starts down and must pass its checks before it is used. */
	readonly alpha: boolean;
	readonly checks: readonly Check[];
	/** null: nobody. */
	readonly notify: BackendNotify | null;
}

/** Whom to tell that a backend goes up or down. */
export interface BackendNotify {
	readonly up: Script | null;
	readonly down: Script | null;
	readonly mail: boolean;
}

/** Why a backend or a quorum went up or down, as those are told whom `notify_up` and the like name. */
export type Occasion = 'check' | 'start' | 'removal' | 'shutdown';

/** What all checks have in common, with all defaults resolved. */
interface Checking {
	readonly place: Place;
	readonly delayLoopUs: number;
	readonly retry: number;
	readonly delayBeforeRetryUs: number;
	/** The first check starts after 1 s plus a random part of this. */
	readonly warmupUs: number;
	/** Log every failure, not only those that change something. */
	readonly logAllFailures: boolean;
}

/** Whom a check speaks to, and from where. */
export interface CheckTarget {
	readonly connectAddress: string;
	readonly connectPort: number;
	/** Local address to check from, or null for the kernel's choice. */
	readonly bindAddress: string | null;
	/** 0: the kernel's choice. */
	readonly bindPort: number;
	/** For each step of the check: to connect, to answer. */
	readonly connectTimeoutUs: number;
}

export interface TcpCheck extends Checking, CheckTarget {
	readonly kind: 'tcp';
}

/** `HTTP_GET` and `SSL_GET`: one of the URLs at a time. */
export interface HttpCheck extends Checking, CheckTarget {
	readonly kind: 'http' | 'https';
	readonly version: '1.0' | '1.1';
	/** Ask the server to close the connection. */
	readonly close: boolean;
	/** Do not wait between the URLs when they are to prove that the backend is back. */
	readonly fastRecovery: boolean;
	/** At least one. */
	readonly urls: readonly HttpUrl[];
}

export interface HttpUrl {
	readonly path: string;
	/** The value of the header `Host`. */
	readonly host: string;
	/** Whom to ask for in the TLS handshake (SNI), or null. */
	readonly serverName: string | null;
	/** Ranges of what counts as success. */
	readonly statusCodes: readonly (readonly [from: number, to: number])[];
	/** MD5 of the body in lower-case hexadecimal digits, or null. */
	readonly digest: string | null;
	readonly pattern: HttpPattern | null;
}

/** What the body must hold, or must not. */
export interface HttpPattern {
	/** A regular expression of ECMAScript, and its flags. */
	readonly source: string;
	readonly flags: string;
	/** Succeeds where it is not found. */
	readonly inverted: boolean;
	/** In bytes of the body: where a match may begin, first and last. */
	readonly minOffset: number;
	readonly maxOffset: number | null;
}

/** `SMTP_CHECK`: greeting, HELO and QUIT. */
export interface SmtpCheck extends Checking, CheckTarget {
	readonly kind: 'smtp';
	readonly heloName: string;
}

export type DnsType = 'A' | 'NS' | 'CNAME' | 'SOA' | 'MX' | 'TXT' | 'AAAA' | 'RRSIG' | 'DNSKEY';

/** `DNS_CHECK`: a query over UDP; what is answered does not matter. */
export interface DnsCheck extends Checking, CheckTarget {
	readonly kind: 'dns';
	readonly type: DnsType;
	/** Without the dot at its end; '' is the root. */
	readonly name: string;
}

/** `UDP_CHECK`: a datagram that nobody refuses, or to which there is an answer. Bytes are in hexadecimal digits. */
export interface UdpCheck extends Checking, CheckTarget {
	readonly kind: 'udp';
	/** null: any. */
	readonly payload: string | null;
	/** null: none is needed. */
	readonly reply: UdpReply | null;
}

export interface UdpReply {
	/** How it begins; `x` stands for any four bits. '' for anything. */
	readonly pattern: string;
	readonly minLength: number;
	readonly maxLength: number;
}

/** `PING_CHECK`: an echo by ICMP. */
export interface PingCheck extends Checking, CheckTarget {
	readonly kind: 'ping';
}

/** `FILE_CHECK`: a number in a file is added to the weight, times `weight`; with weight 0, any but 0 means down. */
export interface FileCheck extends Checking {
	readonly kind: 'file';
	readonly path: string;
	readonly weight: number;
}

/** `MISC_CHECK`: a script says how the backend is. */
export interface MiscCheck extends Checking {
	readonly kind: 'misc';
	readonly script: Script;
	readonly timeoutUs: number;
	/** An exit status from 2 on is two more than the backend's weight. */
	readonly dynamic: boolean;
}

/** One checker of a backend. */
export type Check = TcpCheck | HttpCheck | SmtpCheck | DnsCheck | UdpCheck | PingCheck | MiscCheck | FileCheck;

/** A program to run, and as whom. */
export interface Script {
	/** The program and its arguments; a program without a slash is looked for along PATH. */
	readonly argv: readonly [string, ...string[]];
	/** null: keepalived's `keepalived_script`, or the daemon's own where there is no such user. */
	readonly user: string | null;
	/** null: that of the user. */
	readonly group: string | null;
	/** `enable_script_security`: run by root only if nobody else could have changed it. */
	readonly secured: boolean;
}

/** Something that the kernel is to have. */
interface Tracked {
	readonly place: Place;
	/** Whether it is put back when somebody else removes it. */
	readonly tracked: boolean;
	/** Static ones: the `track_group` whose instances cannot be master without it, or null. */
	readonly trackGroup: string | null;
}

/** One line of `virtual_ipaddress`, `virtual_ipaddress_excluded` or `static_ipaddress`. */
export interface VirtualAddress extends Tracked, Omit<NewAddress, 'ifindex'> {
	/** The interface to put it on. */
	readonly device: string;
}

/** One line of `virtual_routes` or `static_routes`. */
export interface VirtualRoute extends Tracked, IpRoute<string> {}

/** One line of `virtual_rules` or `static_rules`. */
export interface VirtualRule extends Tracked, IpRule {}

/** `static_ipaddress`, `static_routes` and `static_rules`: there as long as the daemon runs. */
export interface Statics {
	readonly addresses: readonly VirtualAddress[];
	readonly routes: readonly VirtualRoute[];
	readonly rules: readonly VirtualRule[];
}

/** One `track_group`: its instances cannot be master without the static addresses, routes and rules that name it. */
export interface TrackGroup {
	readonly place: Place;
	readonly name: string;
	readonly instances: readonly string[];
}

/** The MAC address of a virtual router, on an interface of its own over the instance's (`use_vmac`, RFC 9568 §7.3). */
export interface VirtualMac {
	/** Of that interface. */
	readonly name: string;
	/** `00:00:5e:00:01:5b` */
	readonly mac: string;
	/** Adverts go out from the instance's interface all the same (`vmac_xmit_base`). */
	readonly sendFromBase: boolean;
}

/** One `vrrp_instance`. */
export interface Instance {
	readonly place: Place;
	readonly name: string;
	readonly initialState: 'master' | 'backup';
	readonly interface: string;
	/** null: the addresses have the interface's own. */
	readonly virtualMac: VirtualMac | null;
	readonly vrid: number;
	readonly priority: number;
	/** What its adverts travel by, and the family of `addresses`. IPv6 needs version 3. */
	readonly family: Family;
	readonly version: 2 | 3;
	readonly advertUs: number;
	/** Plain-text password, at most 8 bytes, or null. */
	readonly password: string | null;
	/** The password is not sent: it is the key of authentication headers (`auth_type AH`). */
	readonly usesAuthHeader: boolean;
	/** null: no trailers behind its adverts. With one, there is no password. */
	readonly authHmac: AuthHmac | null;
	readonly addresses: readonly VirtualAddress[];
	/** Of either family. */
	readonly excludedAddresses: readonly VirtualAddress[];
	readonly routes: readonly VirtualRoute[];
	readonly rules: readonly VirtualRule[];
	/** The interface keeps the other addresses of a network when one of them goes. */
	readonly promoteSecondaries: boolean;
	/** What is sent to its addresses and is no service's reaches this machine (RFC 9568 §6.1, Accept_Mode). */
	readonly accept: boolean;
	readonly preempt: boolean;
	readonly preemptDelayUs: number;
	readonly garp: Garp;
	/** Source address of adverts, or null for the interface's primary (IPv4) or link-local (IPv6) address. */
	readonly sourceAddress: string | null;
	/** It has to be there, although multicast of IPv4 could leave without (`track_src_ip`). */
	readonly trackSourceAddress: boolean;
	/** Where its adverts go: null for the group of all instances. */
	readonly multicastGroup: string | null;
	/** Whom its adverts go to, one by one, instead of a group; or null. */
	readonly unicast: Unicast | null;
	/** Follow the link state of the interface (keepalived: not `dont_track_primary`). */
	readonly trackPrimary: boolean;
	/** What else decides its priority or its fault: its own `track_…` blocks and those of its sync group. */
	readonly tracks: readonly Track[];
	/** null: nobody. */
	readonly notify: InstanceNotify | null;
}

export type TrackerKind = 'interface' | 'script' | 'file' | 'process';

/** What a tracker has found. A file has a number; `absent`: a script that cannot be run, which counts for nothing. */
export type TrackerResult = 'up' | 'down' | 'absent' | number;

/** A tracker's result as it is passed on. */
export interface TrackerReport {
	readonly kind: TrackerKind;
	readonly name: string;
	readonly result: TrackerResult;
}

/** What a tracker means to an instance. */
export interface Track {
	readonly place: Place;
	readonly kind: TrackerKind;
	/** Of the interface, or of the tracker's own block. */
	readonly name: string;
	/** Added to the priority while it is up (positive) or down (negative); times a file's value; 0: a fault while it is down. */
	readonly weight: number;
	/** Subtracted instead of added; of weight 0: a fault while it is up. */
	readonly reverse: boolean;
}

/** One `vrrp_script`. */
export interface TrackedScript {
	readonly place: Place;
	readonly name: string;
	readonly script: Script;
	readonly intervalUs: number;
	readonly timeoutUs: number;
	/** Failures in a row until it is down, and successes until it is up. */
	readonly fall: number;
	readonly rise: number;
}

/** One `track_file`. */
export interface TrackedFile {
	readonly place: Place;
	readonly name: string;
	readonly path: string;
	/** What to write at the start: into a file that is not there, or into any. */
	readonly initial: {readonly value: number; readonly overwrite: boolean} | null;
}

/** One `vrrp_track_process`. */
export interface TrackedProcess {
	readonly place: Place;
	readonly name: string;
	/** The name of the process (`comm`), or with `fullCommand` the program as it was started. */
	readonly process: string;
	readonly fullCommand: boolean;
	/** The arguments, and how many more there may be: `initial` lets the last one be longer. null: any. */
	readonly parameters: {readonly match: 'exact' | 'initial' | 'partial'; readonly values: readonly string[]} | null;
	/** How many must run, and how many may. */
	readonly quorum: number;
	readonly quorumMax: number;
	readonly upDelayUs: number;
	readonly downDelayUs: number;
}

/** One line of `interface_up_down_delays`: how long a change of a link must last before it counts. */
export interface LinkDelay {
	readonly place: Place;
	/** Of the interface. */
	readonly name: string;
	readonly downUs: number;
	readonly upUs: number;
}

/** What is watched for the instances, links apart. */
export interface Trackers {
	readonly scripts: readonly TrackedScript[];
	readonly files: readonly TrackedFile[];
	readonly processes: readonly TrackedProcess[];
}

/** Whom to tell which state an instance or a sync group has entered. */
export interface StateNotify {
	readonly master: Script | null;
	readonly backup: Script | null;
	readonly fault: Script | null;
	readonly stop: Script | null;
	/** For all states, of which it is told in arguments (`notify`). */
	readonly every: Script | null;
	readonly mail: boolean;
	/** Changes of priority are told to the FIFOs; of a group, those of its instances. */
	readonly priorityChanges: boolean;
}

export interface InstanceNotify extends StateNotify {
	/** `notify_deleted`, with or without a script of its own; null: being deleted is told as FAULT. */
	readonly deleted: {readonly script: Script | null} | null;
	/** `notify_master_rx_lower_pri` */
	readonly lowerPriority: Script | null;
}

/** When an instance's addresses are announced, by ARP and NDP alike: keepalived's `garp_*`. */
export interface Garp {
	readonly masterRepeat: number;
	readonly masterDelayUs: number;
	/** 0: never. */
	readonly masterRefreshUs: number;
	readonly masterRefreshRepeat: number;
	readonly lowerPriorityRepeat: number;
	readonly lowerPriorityDelayUs: number;
}

/** One `vrrp_sync_group`: its instances change state together. */
export interface SyncGroup {
	readonly place: Place;
	readonly name: string;
	readonly instances: readonly string[];
	/** null: nobody. */
	readonly notify: StateNotify | null;
}

/** Where the adverts of each family go. */
export type MulticastGroups = Readonly<Record<Family, string>>;

/** `global_defs`, as far as it has an effect. */
export interface Globals {
	readonly routerId: string | null;
	readonly mail: MailSettings;
	readonly fifos: Fifos;
	/** Run once, before everything else and after it. */
	readonly startup: Timed | null;
	readonly shutdown: Timed | null;
	/** Real servers that are up at the start are told of (`rs_init_notifies`). */
	readonly rsInitNotifies: boolean;
	/** A reload tells the FIFOs what holds already (`fifo_write_vrrp_states_on_reload`). */
	readonly fifoStatesOnReload: boolean;
	/** TCP established, TCP FIN and UDP timeouts in seconds (`lvs_timeouts`). */
	readonly timeoutsS: {readonly tcp: number; readonly tcpFin: number; readonly udp: number};
	readonly multicastGroups: MulticastGroups;
	/** Interfaces that are not there yet are no error (`dynamic_interfaces`). */
	readonly dynamicInterfaces: boolean;
}

/** Where mail goes; there is none without a server and a recipient. null: what the name of the machine makes of it. */
export interface MailSettings {
	readonly to: readonly string[];
	readonly from: string | null;
	readonly server: {readonly host: string; readonly port: number} | null;
	readonly heloName: string | null;
	/** For connecting, and for each answer. */
	readonly timeoutUs: number;
	/** Whether FAULT is worth a mail (keepalived: not `no_email_faults`). */
	readonly faults: boolean;
	/** Whether every change of a check is, or only what changes its backend (`no_checker_emails`). */
	readonly everyCheck: boolean;
}

/** Named pipes that are told of everything, of VRRP, and of services. */
export interface Fifos {
	readonly all: Fifo | null;
	readonly vrrp: Fifo | null;
	readonly lvs: Fifo | null;
}

/** A named pipe, made for its owner if it is not there. */
export interface Fifo {
	readonly path: string;
	/** As in `Script`. */
	readonly user: string | null;
	readonly group: string | null;
	/** Permission bits. */
	readonly mode: number;
	/** Reads the pipe, whose path is its last argument. */
	readonly script: Script | null;
}

export interface Timed {
	readonly script: Script;
	readonly timeoutUs: number;
}

/** The `lbd { … }` block: our own settings; nothing needs it. */
export interface Settings {
	/** How many there is room for, backends that a reload has removed and that still have connections included. */
	readonly services: number;
	readonly backends: number;
	/** Connections the flow table has slots for, of IPv4 and of IPv6. */
	readonly flows: number;
	readonly flows6: number;
	readonly persistenceEntries: number;
	/** Fragmented datagrams whose ports are remembered at a time. */
	readonly fragments: number;
	/** Sources that nothing is taken from: `192.0.2.0/24`, `2001:db8::/32`. IPv4 first, in order, each once. */
	readonly blocked: readonly string[];
	/** How long a notify script may take; the next one of its instance, group or service waits for it. */
	readonly notifyTimeoutUs: number;
	/** How long VRRP goes on without the daemon. */
	readonly vrrpGraceUs: number;
	/** That carry the program although neither a virtual address nor a backend leads to them, each once. */
	readonly nics: readonly string[];
	/** Where /metrics is served, or null for nowhere but the control socket. */
	readonly metrics: {readonly address: string; readonly port: number} | null;
}

/** Where and how flows, turns and persistence are shared with the other balancers (`lvs_sync_daemon`). */
export interface Sharing {
	readonly interface: string;
	/** IPv4 multicast, unless there are peers. */
	readonly group: string;
	/** Addresses of the other balancers, IPv4, which are told one by one and of which alone anything is taken; empty: the group. */
	readonly peers: readonly string[];
	/** Our own address towards them; null: the interface's first one. */
	readonly source: string | null;
	readonly port: number;
	/** Balancers of another number are none of ours. */
	readonly id: number;
	readonly ttl: number;
	/** Bytes of the longest datagram. */
	readonly datagramMax: number;
	/** null: whoever is on the link is believed. */
	readonly key: string | null;
	/** Whether the key was said, or is made of what VRRP authenticates itself with. */
	readonly keyFrom: 'sync' | 'vrrp' | null;
	/** How long a balancer that starts waits at most, to know the others' connections, before it preempts. */
	readonly waitUs: number;
}

/** A whole configuration. */
export interface Config {
	readonly file: string;
	readonly globals: Globals;
	readonly settings: Settings;
	readonly services: readonly Service[];
	readonly instances: readonly Instance[];
	readonly syncGroups: readonly SyncGroup[];
	readonly statics: Statics;
	readonly trackGroups: readonly TrackGroup[];
	readonly trackers: Trackers;
	readonly linkDelays: readonly LinkDelay[];
	/** null: connections do not outlive their balancer. */
	readonly sharing: Sharing | null;
	/** Why they do not, where nobody has decided it; null: they do, or somebody has, or there is nothing to share. */
	readonly notSharing: string | null;
}
