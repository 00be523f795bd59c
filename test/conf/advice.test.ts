import test from 'ava';
import {read, sound} from './reading.js';

const inside = `vrrp_instance VI_2 {
interface eth1
virtual_router_id 52
virtual_ipaddress {
10.0.0.100/24
}
}`;

/** What is said of a configuration without errors. */
const cases: readonly (readonly [what: string, text: string, ...printed: string[]])[] = [
	[
		'a gateway of NAT that may be elsewhere than the service',
		sound({top: inside}),
		"24:1: warning: vrrp_instance 'VI_2', by which replies to virtual_server 192.168.1.1:80 come back, may be master elsewhere than 'VI_1', at lb.conf:4:1 (join both in a vrrp_sync_group)",
	],
	[
		'a gateway of NAT that moves with the service',
		sound({top: `${inside}\nvrrp_sync_group G { group { VI_1 VI_2 } }`}),
	],
	[
		'a gateway of NAT that another group moves',
		sound({
			top: `${inside}\n${inside.replace('VI_2', 'VI_3').replace('52', '53').replace('10.0.0.100', '10.9.0.1')}
vrrp_sync_group G { group { VI_2 VI_3 } }`,
		}),
		"24:1: warning: vrrp_instance 'VI_2', by which replies to virtual_server 192.168.1.1:80 come back, may be master elsewhere than 'VI_1', at lb.conf:4:1 (join both in a vrrp_sync_group)",
	],
	['backends of DR answer by themselves', sound({top: inside}).replace('lb_kind NAT', 'lb_kind DR')],
	['a backend elsewhere', sound({top: inside.replace('10.0.0.100', '10.0.9.100')})],
	['an address that is in no network', sound({top: inside.replace('/24', '')})],
	[
		'a backend that is the balancer',
		sound({service: 'real_server 192.168.1.1 8080 { }'}),
		"16:1: warning: real_server 192.168.1.1 is a virtual address of vrrp_instance 'VI_1' (name the address of a machine behind the balancer)",
	],
	[
		'an instance without addresses',
		sound({top: 'vrrp_instance B { interface eth1\nvirtual_router_id 9\n}'}),
		"24:1: warning: vrrp_instance 'B' has no virtual address, so there is nothing to take over (add one to 'virtual_ipaddress { … }')",
	],
	[
		'an instance that is to have no addresses',
		sound({top: 'vrrp_instance B { interface eth1\nvirtual_router_id 9\nno_virtual_ipaddress\n}'}),
	],
	[
		'a sync group of one',
		sound({top: 'vrrp_sync_group G { group { VI_1 } }'}),
		"24:1: warning: vrrp_sync_group 'G' has one instance, and nothing to keep it together with (add others, or remove the group)",
	],
	[
		'a group of addresses that nothing names',
		sound({top: 'virtual_server_group G {\n192.168.1.1 82\n}'}),
		"24:1: warning: virtual_server_group 'G' is named by no virtual_server (remove it)",
	],
	[
		'errors come first',
		sound({top: 'vrrp_sync_group G { group { VI_1 } }\noops'}),
		"25:1: error: unknown keyword 'oops' in the file",
	],
];

for (const [what, text, ...printed] of cases) {
	test(what, t =>
		t.deepEqual(
			read(text).printed,
			printed.map(line => `lb.conf:${line}`),
		),
	);
}
