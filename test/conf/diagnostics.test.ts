import test from 'ava';
import {exitCodeOf, quote} from '../../src/conf/diagnostics.js';
import {readConfig} from '../../src/conf/read.js';
import {ExitCode} from '../../src/errors.js';
import {MemoryFiles} from './memory-files.js';
import {type Extra, read, sound} from './reading.js';

test('a sound configuration earns no complaint', t => t.deepEqual(read(sound()).printed, []));

/** A line in some block, and what is printed about it. */
const cases: readonly (readonly [where: keyof Extra, line: string, ...printed: string[]])[] = [
	// Words
	['top', 'oops', `24:1: error: unknown keyword 'oops' in the file`],
	[
		'top',
		'vrrp_instanse A { oops }',
		`24:1: error: unknown keyword 'vrrp_instanse' in the file; its block is skipped (did you mean 'vrrp_instance'?)`,
	],
	['instance', 'prioritty 5', `7:1: error: unknown keyword 'prioritty' in vrrp_instance (did you mean 'priority'?)`],
	[
		'backend',
		'TCP_CHEK { connect_timeout 3 }',
		`18:1: error: unknown keyword 'TCP_CHEK' in real_server; its block is skipped (did you mean 'TCP_CHECK'?)`,
	],
	['backend', 'lb_kind NAT', `18:1: error: unknown keyword 'lb_kind' in real_server (belongs in virtual_server)`],
	[
		'check',
		'weight 1',
		`20:1: error: unknown keyword 'weight' in TCP_CHECK (belongs in virtual_server, real_server, FILE_CHECK …)`,
	],
	['top', 'constructor 1', `24:1: error: unknown keyword 'constructor' in the file`],
	['top', '__proto__ { }', `24:1: error: unknown keyword '__proto__' in the file; its block is skipped`],
	['top', '"" x', `24:1: error: unknown keyword '' in the file`],
	['top', '~FOO(1)', `24:1: error: unknown keyword '~FOO(1)' in the file`],
	['address', '192.168.1.2 labl x', `9:13: error: unknown option 'labl' of virtual_ipaddress (did you mean 'label'?)`],
	['globals', 'lvs_timeouts tcpfn 3', `2:14: error: unknown option 'tcpfn' of lvs_timeouts (did you mean 'tcpfin'?)`],
	// Arguments and braces
	['instance', 'priority', "7:1: error: priority lacks its argument (write 'priority 1-255')"],
	[
		'instance',
		'priority 5 advert_int 1',
		`7:12: warning: priority does not take 'advert_int'; ignored as keepalived does (put each keyword on a line of its own)`,
	],
	['instance', 'priority 5 { }', `7:12: error: 'priority' takes no block (remove the braces)`],
	['top', 'vrrp_sync_group G', `24:1: error: vrrp_sync_group has no block (add '{ … }')`],
	[
		'instance',
		'garp_master_delay 1\ngarp_master_delay 2',
		'8:1: warning: garp_master_delay replaces the one at lb.conf:7:1 (keep one)',
	],
	['address', '192.168.1.2 { }', `9:13: error: '192.168.1.2' takes no block (remove the braces)`],
	// Numbers, times, addresses, choices
	['instance', 'priority 300', `7:10: error: priority '300' is outside 1-255`],
	['instance', 'priority 1e2', `7:10: error: priority '1e2' is not a whole number (write a number in 1-255)`],
	['instance', 'priority -1', `7:10: error: priority '-1' is outside 1-255`],
	['instance', 'advert_int .', `7:12: error: advert_int '.' is not a time (write seconds, such as 5 or 0.5)`],
	['instance', 'advert_int -1', `7:12: error: advert_int '-1' is not a time (write seconds, such as 5 or 0.5)`],
	['instance', 'advert_int 1.0000001', `7:12: error: advert_int '1.0000001' has more than six decimals`],
	['instance', 'advert_int 0.001', `7:12: error: advert_int '0.001' is outside 0.01-255 seconds`],
	['service', 'delay_loop 0', `16:12: error: delay_loop '0' is outside 0.000001-2147483 seconds`],
	['service', 'persistence_timeout 0', `16:21: error: persistence_timeout '0' is outside 1-2678400`],
	[
		'service',
		'persistence_granularity 255.0.255.0',
		`16:25: error: persistence_granularity '255.0.255.0' is not a netmask`,
	],
	['instance', 'state master', `7:7: error: state 'master' is none of MASTER, BACKUP (did you mean 'MASTER'?)`],
	[
		'instance',
		'mcast_src_ip host1',
		`7:14: error: mcast_src_ip 'host1' is not an IP address (write it like 192.0.2.1; names are not looked up)`,
	],
	[
		'address',
		'192.168.1.2/33',
		`9:1: error: virtual_ipaddress '192.168.1.2/33' has no prefix length in 0-32 (write it like 192.0.2.1/24)`,
	],
	[
		'address',
		'192.168.1.2 dev a/b',
		`9:17: error: virtual_ipaddress 'a/b' cannot be the name of an interface (at most 15 characters)`,
	],
	[
		'address',
		'192.168.1.2 label 0123456789abcdef',
		`9:19: error: virtual_ipaddress '0123456789abcdef' is longer than 15 characters`,
	],
	[
		'backend',
		'inhibit_on_failure maybe',
		`18:20: error: inhibit_on_failure 'maybe' is none of on, off, true, false, yes, no`,
	],
	['check', 'connect_port 0', `20:14: error: connect_port '0' is outside 1-65535`],
	['top', 'lbd {\nflows 1\n}', `25:7: error: flows '1' is outside 1024-67108864`],
	[
		'top',
		'lbd { metrics onn }',
		`24:15: error: metrics 'onn' is not an IP address (write it like 192.0.2.1; names are not looked up)`,
	],
	// Known and refused
	[
		'top',
		'bfd_instance S { oops }',
		'24:1: error: bfd_instance is not supported: BFD is not spoken; a vrrp_script can ask a routing daemon that speaks it (remove it if you can do without)',
	],
	[
		'instance',
		'virtual_routes {\noops\n}',
		`8:1: error: virtual_routes 'oops' is no option of a route, and no network`,
	],
	[
		'backend',
		'BFD_CHECK { name NEIGHBOUR }',
		'18:1: error: BFD_CHECK is not supported: there are no BFD sessions here (remove it if you can do without)',
	],
	[
		'service',
		'lvs_sched lblc',
		`16:11: error: lvs_sched 'lblc' is not supported: it is for proxy farms, by destination address`,
	],
	['instance', 'version 4', `7:9: error: version '4' is none of 2, 3`],
	[
		'address',
		'2001:db8::1/129',
		`9:1: error: virtual_ipaddress '2001:db8::1/129' has no prefix length in 0-128 (write it like 2001:db8::1/64)`,
	],
	[
		'address',
		'fe80::100',
		'10:1: error: 192.168.1.1 is not of IPv6 as its instance is, and cannot be advertised (move it to virtual_ipaddress_excluded or to another instance)',
	],
	[
		'globals',
		'vrrp_mcast_group6 224.0.0.18',
		"2:19: error: vrrp_mcast_group6 '224.0.0.18' is not an IPv6 address (write it like ff02::12)",
	],
	[
		'top',
		'vrrp_instance B { interface eth0\nvirtual_router_id 52\nversion 2\nvirtual_ipaddress {\nfe80::1\n} }',
		"26:1: error: vrrp_instance 'B' is of IPv6, which VRRP version 2 does not have (write 'version 3' on both balancers)",
	],
	[
		'address',
		'192.168.1.2 peer 2001:db8::3',
		'9:1: error: peer 2001:db8::3 is of another family than 192.168.1.2 (give both of one family)',
	],
	[
		'address',
		'192.168.1.2/24 peer 192.168.1.3',
		`9:1: warning: the prefix of 192.168.1.2 is ignored as keepalived does: with a peer, the address is by itself (write it without '/24')`,
	],
	[
		'address',
		'192.168.1.2 use_vmac',
		'9:13: error: use_vmac is not supported: addresses on other interfaces have the MAC address of those',
	],
	[
		'address',
		'192.168.1.2 track_group G',
		'9:13: error: track_group is not supported: it is for static blocks: the instance itself tracks what it holds',
	],
	// Where adverts go
	[
		'instance',
		'unicast_peer {\n2001:db8::1\n}',
		`8:1: error: unicast_peer 2001:db8::1 is not of IPv4 as its instance 'VI_1' is (name an address of that family)`,
	],
	[
		'instance',
		'unicast_peer {\n192.168.1.2 min_ttl 9 max_ttl 8\n}',
		'8:1: error: min_ttl 9 is above max_ttl 8 (swap them)',
	],
	[
		'instance',
		'unicast_src_ip 192.168.1.10\nunicast_peer {\n192.168.1.10\n}',
		`9:1: warning: unicast_peer 192.168.1.10 is this router's own address, and left out (remove it)`,
	],
	[
		'instance',
		'unicast_src_ip 192.168.1.10',
		`7:1: warning: vrrp_instance 'VI_1' has no unicast_peer, so it speaks by multicast (name the other routers)`,
	],
	[
		'instance',
		'unicast_fault_no_peer',
		`7:1: error: vrrp_instance 'VI_1' has no unicast_peer (name the other routers)`,
	],
	[
		'instance',
		'mcast_dst_ip 192.168.1.2',
		`7:14: error: mcast_dst_ip '192.168.1.2' is not a multicast address (write it like 224.0.0.18 or ff02::12)`,
	],
	[
		'instance',
		'mcast_dst_ip ff02::18',
		'7:1: error: mcast_dst_ip ff02::18 is not of IPv4 as its instance is (choose another)',
	],
	[
		'instance',
		'mcast_dst_ip 224.0.0.81\nunicast_peer {\n192.168.1.2\n}',
		'7:1: warning: mcast_dst_ip is ignored with unicast_peer (remove one of them)',
	],
	// Routes and rules
	[
		'top',
		'static_routes {\n10.1.0.1/16 dev eth0\n}',
		`25:1: error: static_routes '10.1.0.1/16' has bits set behind its prefix (did you mean '10.1.0.0/16'?)`,
	],
	['top', 'static_routes {\ndev eth0\n}', `25:1: error: the route has no destination (write a network, or 'default')`],
	[
		'top',
		'static_routes {\n10.1.0.0/16\n}',
		`25:1: error: the route does not say where it leads (add 'via IP' or 'dev INTERFACE')`,
	],
	[
		'top',
		'static_routes {\n10.1.0.0/16 via 2001:db8::1 src 2001:db8::2\n}',
		'25:1: error: the route mixes IPv4 and IPv6 (only a gateway of an IPv4 route may be of IPv6)',
	],
	[
		'top',
		'static_routes {\nblackhole 10.1.0.0/16 dev eth0\n}',
		`25:1: error: a route of type blackhole leads nowhere (remove 'via', 'dev' and 'nexthop')`,
	],
	[
		'top',
		'static_routes {\n10.1.0.0/16 dev eth0 tabel 7\n}',
		`25:22: error: static_routes 'tabel' is no option of a route, and no network (did you mean 'table'?)`,
	],
	[
		'top',
		'static_routes {\n10.1.0.0/16 dev eth0 table mian\n}',
		`25:1: error: 'mian' is not in /etc/iproute2/rt_tables (did you mean 'main'?)`,
	],
	['top', 'static_routes {\n10.1.0.0/16 dev eth0 table 0\n}', '25:1: error: there is no table 0 (use 1 or more)'],
	[
		'top',
		'static_routes {\n10.1.0.0/16 dev eth0 tos 10\n}',
		`25:26: error: static_routes '10' has one of the two lowest bits set, which are for congestion`,
	],
	[
		'top',
		'static_routes {\n10.1.0.0/16 dev eth0 protocol static\n}',
		`25:1: warning: protocol is ignored as keepalived does: routes that are tracked are of protocol 18 (add 'no_track', or remove it)`,
	],
	['top', 'static_routes {\n10.1.0.0/16 dev eth0 expires 9\n}', '25:1: error: expires is for IPv6 routes (remove it)'],
	[
		'top',
		'static_routes {\n10.1.0.0/16 dev eth0 encap mpls 5\n}',
		'25:22: error: encap is not supported: routes make no tunnels: a virtual_server with lb_kind TUN does',
	],
	[
		'top',
		'static_routes {\n10.1.0.0/16 dev eth0 nexthop via 10.0.0.1\n}',
		`25:1: error: the route has both 'dev' and 'nexthop' (write 'dev' behind each 'nexthop')`,
	],
	[
		'top',
		'static_rules {\nfrom 10.1.0.0/16 table 7\n}',
		`25:1: warning: the rule has no preference; it becomes 16384 as in keepalived, which is hardly what you want (add 'preference NUMBER')`,
	],
	[
		'top',
		'static_rules {\nfrom 192.168.100./24 table 7 preference 5\n}',
		`25:6: error: static_rules '192.168.100./24' is not an IP address (write it like 192.0.2.1; names are not looked up)`,
	],
	[
		'top',
		'static_rules {\nfrom 10.1.0.0/16 preference 5\n}',
		`25:1: error: the rule does not say what to do (add 'table TABLE', for example)`,
	],
	[
		'top',
		'static_rules {\nfrom 10.1.0.0/16 table 5 nop preference 5\n}',
		'25:1: error: the rule has several of table, l3mdev, goto, nop, blackhole, unreachable and prohibit (choose one)',
	],
	[
		'top',
		'static_rules {\nfrom 10.1.0.0/16 to 2001:db8::/32 table 5 preference 5\n}',
		'25:1: error: the rule mixes IPv4 and IPv6 (write one rule for each)',
	],
	[
		'top',
		'static_rules {\nfrom 10.1.0.0/16 goto 4 preference 5\n}',
		`25:1: error: goto 4 does not lead forward: the rule's own preference is 5 (choose a greater number)`,
	],
	[
		'top',
		'static_rules {\nnop realms 4 preference 5\n}',
		'25:1: error: realms and suppress_… are for rules with a table (remove them)',
	],
	[
		'top',
		'static_rules {\nsport 9-8 table 5 preference 5\n}',
		`25:7: error: static_rules '9-8' is not FIRST[-LAST] within 0-65535`,
	],
	[
		'top',
		'static_rules {\nfrom 10.1.0.0/16 table 5 preference 5 track_group G\n}',
		`25:1: error: there is no track_group 'G' (add the group, or correct the name)`,
	],
	[
		'top',
		'track_group G { group { VI_2 } }',
		`24:1: error: track_group 'G' names 'VI_2', which is no vrrp_instance (did you mean 'VI_1'?)`,
	],
	[
		'top',
		'virtual_server fwmark 1 { }',
		'24:16: error: virtual_server fwmark is not supported: packets are taken before netfilter could mark them (name addresses and ports, many of them in a virtual_server_group)',
	],
	[
		'top',
		'virtual_server_group G {\n192.168.1.1 82\nfwmark 1\n}',
		'26:1: error: virtual_server_group fwmark is not supported: packets are taken before netfilter could mark them (name addresses and ports, many of them in a virtual_server_group)',
	],
	[
		'service',
		'protocol SCTP',
		`16:1: warning: protocol replaces the one at lb.conf:13:1 (keep one)`,
		`16:10: error: protocol 'SCTP' is not supported: its associations move between addresses, and a flow here is one pair of them`,
	],
	[
		'service',
		'ops',
		'16:1: error: ops is not supported: datagrams of a client belong to a flow (remove it if you can do without)',
	],
	// Known and without effect
	[
		'instance',
		'vmac_xmit_base\ngarp_extra_if 5',
		"7:1: warning: vmac_xmit_base is ignored without use_vmac (add 'use_vmac' or remove it)",
	],
	[
		'instance',
		'track_src_ip',
		'7:1: warning: track_src_ip is ignored without mcast_src_ip or unicast_src_ip (name the address, or remove it)',
	],
	// interface_up_down_delays
	['top', 'interface_up_down_delays {\neth0 0 255\neth9 255 255\n}'],
	[
		'top',
		'interface_up_down_delays {\neth0 1 2 3\n}',
		"25:10: warning: interface_up_down_delays does not take '3'; ignored as keepalived does (put each keyword on a line of its own)",
	],
	[
		'top',
		'interface_up_down_delays {\neth0\n}',
		"25:1: warning: no delay for eth0; ignored as keepalived does (write 'eth0 0.5', or remove it)",
	],
	[
		'top',
		'interface_up_down_delays {\neth0 256\n}',
		"25:6: error: interface_up_down_delays '256' is outside 0-255 seconds",
	],
	[
		'top',
		'interface_up_down_delays {\neth0 1 -1\n}',
		"25:8: error: interface_up_down_delays '-1' is not a time (write seconds, such as 5 or 0.5)",
	],
	[
		'top',
		'interface_up_down_delays {\neth0 1\neth0 0.5\n}',
		'26:1: warning: the delays of eth0 replace those at lb.conf:25:1 (keep one)',
	],
	[
		'top',
		'interface_up_down_delays {\neth0 2\n}',
		"25:1: warning: the delay of eth0 becomes 1.996094 s: vrrp_instance 'VI_1' must be in fault before its backup takes over (write less than two advert intervals)",
	],
	[
		'instance',
		'use_vmac vip 02:00:00:00:00',
		'7:1: error: use_vmac 02:00:00:00:00:33 is not supported: only 00:00:5e:00:01:… and 00:00:5e:00:02:… (RFC 9568 §7.3) reach services (leave it out, and it is 00:00:5e:00:01:33)',
	],
	[
		'instance',
		'use_vmac far_too_long_a_name',
		"7:10: error: use_vmac 'far_too_long_a_name' cannot be the name of an interface (at most 15 characters)",
	],
	[
		'instance',
		'use_vmac\nunicast_peer { 192.168.1.7 }',
		"7:1: warning: vrrp_instance 'VI_1' has unicast peers, so its adverts have the interface's own MAC address (add 'vmac_xmit_base')",
	],
	[
		'top',
		'garp_group {\nwhatever\n}',
		'24:1: warning: garp_group has no effect here: address announcements are not paced',
	],
	[
		'address',
		'192.168.1.2 scope universe',
		`9:19: error: virtual_ipaddress 'universe' is none of global, site, link, host, nowhere`,
	],
	// What only keeps to the RFC
	[
		'instance',
		'down_timer_adverts 3\nlower_prio_no_advert off\nhigher_prio_send_advert no\nowner_ignore_adverts false',
	],
	['globals', 'vrrp_startup_delay 0\nvrrp_lower_prio_no_advert off'],
	[
		'instance',
		'down_timer_adverts 4',
		"7:20: error: down_timer_adverts '4' is not supported: VRRP runs by the rules of the RFC only",
	],
	[
		'instance',
		'lower_prio_no_advert',
		'7:1: error: lower_prio_no_advert is not supported: VRRP runs by the rules of the RFC only',
	],
	['globals', 'vrrp_startup_delay 1.5', "2:20: error: vrrp_startup_delay '1.5' is not supported: VRRP starts at once"],
	[
		'globals',
		'vrrp_strict\n}\nvrrp_instance B { interface eth0\nvirtual_router_id 52\nvirtual_ipaddress {\n2001:db8::9\n}',
		'7:1: warning: the first virtual address of an IPv6 instance should be a link-local one (RFC 9568 §5.2.9) (put one such as fe80::100 before it, on both balancers)',
		'7:1: error: the first virtual address must be a link-local one in strict mode (put one such as fe80::100 before it, on both balancers)',
	],
	[
		'instance',
		'strict_mode\nstate MASTER\npriority 9\nauthentication {\nauth_type PASS\nauth_pass 1215\n}',
		'8:1: warning: state is ignored in strict mode: only priority 255 starts as MASTER (remove it)',
		'10:1: warning: authentication is ignored in strict mode: the RFC has none (remove it)',
	],
	['instance', 'strict_mode\naccept', '8:1: warning: accept is ignored in strict mode: RFC 3768 has none (remove it)'],
	[
		'instance',
		'strict_mode\npreempt_delay 5',
		'8:1: warning: preempt_delay is ignored in strict mode: the RFC has none (remove it)',
	],
	[
		'top',
		'vrrp_instance B { interface eth1\nvirtual_router_id 9\nstrict_mode\n}',
		`24:1: error: vrrp_instance 'B' has no virtual address, which strict mode does not allow (add one to 'virtual_ipaddress { … }')`,
	],
	// keepalived's corrections
	[
		'instance',
		'state MASTER',
		`7:1: warning: state MASTER without a priority means priority 255, the owner of the addresses (write 'priority 255' if you mean it)`,
	],
	[
		'instance',
		'state BACKUP\npriority 255',
		`7:1: warning: priority 255 owns the addresses, so the instance starts as MASTER (write 'state MASTER' or a lower priority)`,
	],
	['instance', 'advert_int 1.5', '7:1: warning: advert_int is rounded to 2 s: VRRP version 2 knows whole seconds only'],
	['instance', 'version 3\nadvert_int 0.5'],
	[
		'instance',
		'version 3\nadvert_int 41',
		'8:1: warning: advert_int becomes 40.95 s: VRRP version 3 knows 0.01 to 40.95 s in steps of 0.01',
	],
	[
		'instance',
		'version 3\nadvert_int 0.123',
		'8:1: warning: advert_int becomes 0.12 s: VRRP version 3 knows 0.01 to 40.95 s in steps of 0.01',
	],
	[
		'instance',
		'version 3\nauthentication {\nauth_type PASS\nauth_pass 1215\n}',
		'8:1: warning: authentication is ignored: VRRP version 3 has none (remove it)',
	],
	[
		'top',
		'vrrp_instance B { interface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n2001:db8::1 scope link\n} }',
		'27:1: warning: the first virtual address of an IPv6 instance should be a link-local one (RFC 9568 §5.2.9) (put one such as fe80::100 before it, on both balancers)',
		'27:13: warning: ignored: IPv6 addresses have no label, scope or broadcast (remove it)',
	],
	[
		'top',
		'vrrp_instance B { interface eth1\nvirtual_router_id 51\nvirtual_ipaddress {\nfe80::1\nfe80::1 dev eth2\n} }',
	],
	[
		'instance',
		'authentication {\nauth_type PASS\nauth_pass 123456789\n}',
		'9:1: warning: auth_pass is cut to its first 8 bytes, as VRRP version 2 has no room for more (both balancers cut alike)',
	],
	[
		'instance',
		'authentication {\nauth_type PASS\n}',
		`8:1: warning: no auth_pass, so adverts are not authenticated (add 'auth_pass …')`,
	],
	[
		'instance',
		'authentication {\nauth_pass x\n}',
		`8:1: warning: no auth_type, so adverts are not authenticated (add 'auth_type …')`,
	],
	[
		'instance',
		'state MASTER\npriority 9\nnopreempt',
		'9:1: warning: nopreempt is ignored with state MASTER (use state BACKUP)',
	],
	[
		'instance',
		'state MASTER\npriority 9\npreempt_delay 9',
		'9:1: warning: preempt_delay is ignored with state MASTER (use state BACKUP)',
	],
	['instance', 'nopreempt\npreempt_delay 9', '8:1: warning: preempt_delay is ignored with nopreempt (use preempt)'],
	[
		'service',
		'sh-port',
		`16:1: warning: sh-port is ignored: no lb_algo that it is for stands before it (remove it, or put it behind 'lb_algo sh' or 'lb_algo mh')`,
	],
	['backend', 'lthreshold 9', '18:1: warning: lthreshold is ignored without uthreshold (add a uthreshold)'],
	[
		'backend',
		'uthreshold 8\nlthreshold 9',
		'19:1: warning: lthreshold 9 is above uthreshold 8, which goes first (lower it)',
	],
	['service', 'quorum 9', '16:1: warning: quorum 9 is more than all backends weigh together, so it is 1'],
	['service', 'hysteresis 9', '16:1: warning: hysteresis 9 is not below quorum 1, so it is 0'],
	[
		'top',
		'virtual_server 192.168.1.1 81 { protocol TCP\nlb_algo rr\nlb_kind NAT }',
		'24:1: warning: virtual_server 192.168.1.1:81 has no real_server and is left out (add one)',
	],
	[
		'top',
		'virtual_server 192.168.1.1 81 { protocol TCP\nlb_algo rr\nreal_server 10.0.0.1 1 { } }',
		`24:1: warning: virtual_server has no lb_kind, which means NAT (add 'lb_kind NAT')`,
	],
	[
		'service',
		'real_server 10.0.0.9 80 { alpha\n}',
		'16:27: warning: alpha is ignored without a check (add a TCP_CHECK)',
	],
	// What is missing
	[
		'top',
		'vrrp_instance B { virtual_router_id 9 }',
		`24:1: error: vrrp_instance 'B' has no interface (add 'interface …')`,
	],
	[
		'top',
		'vrrp_instance B { interface eth1 }',
		`24:1: error: vrrp_instance 'B' has no virtual_router_id (add 'virtual_router_id …')`,
	],
	[
		'top',
		'virtual_server 192.168.1.1 81 { lb_algo rr\nlb_kind NAT\nreal_server 10.0.0.71 81 { } }',
		`24:1: warning: virtual_server has no protocol, which means UDP (add 'protocol TCP' or UDP)`,
	],
	[
		'top',
		'virtual_server 192.168.1.1 81 { protocol TCP\nlb_kind NAT\nreal_server 10.0.0.1 1 { } }',
		`24:1: warning: virtual_server has no lb_algo, which means wlc (add 'lb_algo wlc')`,
	],
	[
		'top',
		'vrrp_sync_group G { group { } }',
		`24:1: error: vrrp_sync_group 'G' has no instances (name them in 'group { … }')`,
	],
	// What does not fit together
	[
		'top',
		'virtual_server 192.168.1.1 80 { protocol tcp\nlb_algo rr\nlb_kind NAT\nreal_server 10.0.0.1 1 { } }',
		'24:1: error: virtual_server 192.168.1.1:80 is there already, at lb.conf:12:1 (remove or rename one)',
	],
	[
		'service',
		'real_server 10.0.0.71 { }',
		'17:1: warning: real_server 10.0.0.71:80 is there already, at lb.conf:16:1; this one is ignored (remove one)',
	],
	[
		'top',
		'vrrp_instance VI_1 { interface eth1\nvirtual_router_id 51 }',
		`24:1: error: vrrp_instance 'VI_1' is there already, at lb.conf:4:1 (remove or rename one)`,
	],
	[
		'top',
		'vrrp_instance B { interface eth0\nvirtual_router_id 51 }',
		'24:1: error: virtual_router_id 51 of IPv4 on interface eth0 is there already, at lb.conf:4:1 (remove or rename one)',
	],
	[
		'top',
		'vrrp_sync_group G { group { VI_1 VI_2 } }',
		`24:1: error: vrrp_sync_group 'G' names 'VI_2', which is no vrrp_instance (correct the name or add the instance)`,
	],
	[
		'top',
		'vrrp_sync_group G { group { VI_1 } }\nvrrp_sync_group H { group { VI_1 } }',
		`25:1: error: vrrp_sync_group 'H' names 'VI_1', which is in the group at lb.conf:24:1 (choose one)`,
	],
	[
		'top',
		'vrrp_sync_group G { group { VI_1 } }\nvrrp_sync_group G { group { VI_1 } }',
		`25:1: error: vrrp_sync_group 'G' is there already, at lb.conf:24:1 (remove or rename one)`,
		`25:1: error: vrrp_sync_group 'G' names 'VI_1', which is in the group at lb.conf:24:1 (choose one)`,
	],
	['address', '192.168.1.1/24', '10:1: warning: address 192.168.1.1 is there already, at lb.conf:9:1 (keep one)'],
	[
		'top',
		'virtual_server 192.168.9.1 81 { protocol TCP\nlb_algo rr\nlb_kind NAT\nreal_server 10.0.0.1 1 { } }',
		'24:1: warning: address of virtual_server 192.168.9.1:81 is in no vrrp_instance: nothing moves it to the other balancer (add 192.168.9.1 to a virtual_ipaddress block)',
	],
];

for (const [where, line, ...expected] of cases) {
	test(`${where}: ${line.replaceAll('\n', ' ⏎ ')}`, t => {
		const {config, printed} = read(sound({[where]: line}));
		t.deepEqual(
			printed,
			expected.map(text => `lb.conf:${text}`),
		);
		t.is(
			config === null,
			printed.some(text => text.includes(': error: ')),
		);
	});
}

for (const [what, text, code] of [
	['nothing', sound(), ExitCode.ok],
	['a warning', sound({instance: 'advert_int 1.5'}), ExitCode.ok],
	['an open brace', 'a {', ExitCode.badSyntax],
	['an open quote', 'global_defs { router_id "x\n}', ExitCode.badSyntax],
	['an unknown keyword', sound({instance: 'prioritty 5'}), ExitCode.unknownKeyword],
	['an impossible value', sound({instance: 'priority 300'}), ExitCode.badValue],
	['a value, then a keyword', sound({instance: 'priority 300', top: 'oops'}), ExitCode.badValue],
	['a keyword, then a value', sound({instance: 'oops', top: 'virtual_server x'}), ExitCode.unknownKeyword],
] as const) {
	test(`exit code ${code} for ${what}`, t => {
		t.is(exitCodeOf(readConfig('lb.conf', new MemoryFiles({'lb.conf': text})).diagnostics), code);
	});
}

test('complaints are shown up to a limit, errors and warnings apart', t => {
	const {printed} = read(sound({instance: 'preempt x\n'.repeat(1500), top: 'oops\n'.repeat(1500)}));
	t.is(printed.filter(text => text.includes(': error: ')).length, 1001);
	t.is(printed.filter(text => text.includes(': warning: ')).length, 1001);
	t.regex(printed.at(-1) ?? '', /: error: no more than 1000 errors are shown$/);
});

test('what is quoted cannot play tricks with a terminal', t => {
	t.is(quote('\u001b[31m\u202ered\u00a0x y'), `'\\u{1b}[31m\\u{202e}red\\u{a0}x y'`);
	t.is(quote('x'.repeat(100)), `'${'x'.repeat(60)}…'`);
});
