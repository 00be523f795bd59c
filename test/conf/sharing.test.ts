/** Whether connections are shared, where, with whom and under which key. */
import test from 'ava';
import {read} from './reading.js';

interface Job {
	readonly external?: string;
	readonly internal?: string;
	readonly top?: string;
}

const AH = 'version 2\nauthentication {\nauth_type AH\nauth_pass s3cret\n}';
const KEY = '0123456789abcdef0123456789abcdef';

/** A pair between two networks; extra lines for either instance and for the file. */
function job({external = '', internal = '', top = ''}: Job): string {
	return `vrrp_instance external {
interface eth0
virtual_router_id 91
${external}
virtual_ipaddress { 192.168.1.1/24 }
}
vrrp_instance internal {
interface eth1
virtual_router_id 92
${internal}
virtual_ipaddress { 10.0.0.100/24 }
}
virtual_server 192.168.1.1 80 {
lb_kind NAT
real_server 10.0.0.71 80 { }
}
${top}
`;
}

function sharing(of: Job) {
	const {config, printed} = read(job(of));
	return {sharing: config?.sharing ?? null, why: config?.notSharing ?? null, printed};
}

function block(...lines: readonly string[]): string {
	return `lbd {\nsync {\n${lines.join('\n')}\n}\n}`;
}

test('by default on the internal network, under a key made of the secret that VRRP has and does not send', t => {
	const {sharing: found, why, printed} = sharing({internal: AH});
	t.like(found, {
		interface: 'eth1',
		group: '224.0.0.81',
		id: 92,
		port: 8848,
		ttl: 1,
		keyFrom: 'vrrp',
		waitUs: 30_000_000,
	});
	t.deepEqual(found?.peers, []);
	t.regex(found?.key ?? '', /^[0-9a-f]{64}$/);
	t.is(why, null);
	t.false(printed.some(line => line.includes('without a key')));
	t.not(sharing({internal: AH.replace('s3cret', 's3creT')}).sharing?.key, found?.key);
	t.not(sharing({internal: AH, external: AH}).sharing?.key, found?.key, 'of all instances');
});

test('the active key of auth_hmac is such a secret; keys that wait change nothing', t => {
	const [first, second] = ['11'.repeat(32), '22'.repeat(32)];
	const hmac = (...lines: readonly string[]) => `version 3\nauth_hmac {\n${lines.join('\n')}\n}`;
	const one = sharing({internal: hmac(`key 1 ${first}`, 'active_key 1')}).sharing;
	t.like(one, {interface: 'eth1', keyFrom: 'vrrp'});
	const two = [`key 1 ${first}`, `key 2 ${second}`] as const;
	t.is(sharing({internal: hmac(...two, 'active_key 1')}).sharing?.key, one?.key);
	t.not(sharing({internal: hmac(...two, 'active_key 2')}).sharing?.key, one?.key);
});

test('without a secret nothing is shared by default: a password that everybody on the link can read is none', t => {
	const pass = AH.replace('AH', 'PASS');
	for (const internal of ['', pass]) {
		const {sharing: found, why} = sharing({internal});
		t.is(found, null);
		t.regex(why ?? '', /no secret .* in the clear: write 'sync { key "…" }' into the lbd block/);
	}
});

test('nobody is told why nothing is shared where nothing could be, or where the file decides so', t => {
	t.deepEqual([sharing({top: block('off')}).sharing, sharing({internal: AH, top: block('off')}).why], [null, null]);
	const {config} = read('vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 10.0.0.1 }\n}\n');
	t.deepEqual([config?.sharing, config?.notSharing], [null, null]);
});

test('by unicast, if that is how VRRP goes there', t => {
	const unicast = `${AH}\nunicast_src_ip 10.0.0.1\nunicast_peer {\n10.0.0.2\n}`;
	const {sharing: found} = sharing({internal: unicast});
	t.like(found, {interface: 'eth1', source: '10.0.0.1', ttl: 64, keyFrom: 'vrrp'});
	t.deepEqual(found?.peers, ['10.0.0.2']);
	t.deepEqual(sharing({internal: unicast, top: block(`key ${KEY}`)}).sharing?.peers, ['10.0.0.2']);
	t.deepEqual(sharing({internal: unicast, top: block(`key ${KEY}`, 'group 224.0.0.82')}).sharing?.peers, []);
	t.deepEqual(
		sharing({internal: unicast, top: 'global_defs {\nlvs_sync_daemon eth1\n}'}).sharing?.peers,
		[],
		'as in keepalived',
	);
});

test('several networks without services: the file has to say which', t => {
	const third = `vrrp_instance third {\ninterface eth2\nvirtual_router_id 93\n${AH}\nvirtual_ipaddress { 10.9.0.100/24 }\n}`;
	const {sharing: found, why} = sharing({top: third});
	t.is(found, null);
	t.regex(why ?? '', /not clear which interface is on the internal network: write 'sync { interface … }'/);
	t.is(sharing({top: `${third}\n${block('interface eth2')}`}).sharing?.interface, 'eth2');
});

test('one network has no other: it is the one', t => {
	const single = job({external: AH}).replace(/vrrp_instance internal[^}]*}\n}\n/, '');
	t.like(read(single).config?.sharing, {interface: 'eth0', id: 91});
});

test('a key alone is enough of a sync block; peers are IPv4 addresses, and as many as there can be', t => {
	const {sharing: found, printed} = sharing({top: block(`key ${KEY}`)});
	t.like(found, {interface: 'eth1', key: KEY, keyFrom: 'sync', id: 0});
	t.false(printed.some(line => line.includes('key')));
	const peers = sharing({
		top: block(`key ${KEY}`, 'peer 10.0.0.2 10.0.0.3', 'peer 10.8.0.4', 'source 10.0.0.1', 'ttl 3'),
	});
	t.deepEqual(peers.sharing?.peers, ['10.0.0.2', '10.0.0.3', '10.8.0.4']);
	t.like(peers.sharing, {source: '10.0.0.1', ttl: 3});
	const nine = Array.from({length: 9}, (_, n) => `10.0.0.${n + 2}`).join(' ');
	t.regex(sharing({top: block(`peer ${nine}`)}).printed.join('\n'), /9 peers, and one balancer shares with 8 at most/);
	t.regex(sharing({top: block('peer 224.0.0.81')}).printed.join('\n'), /lb\.conf:\d+:6: .*is the address of a group/);
	t.regex(sharing({top: block('peer fd00::1')}).printed.join('\n'), /lb\.conf:\d+:6: error/);
	const both = sharing({top: block(`key ${KEY}`, 'peer 10.0.0.2', 'group 224.0.0.82')});
	t.regex(both.printed.join('\n'), /group is ignored: sync has peers/);
});

test('what is said without a key is warned about, unless VRRP has a secret', t => {
	const daemon = 'global_defs {\nlvs_sync_daemon eth1 internal\n}';
	const {sharing: found, printed} = sharing({top: daemon});
	t.like(found, {interface: 'eth1', id: 92, key: null, keyFrom: null});
	t.regex(printed.join('\n'), /without a key/);
	t.like(sharing({internal: AH, top: daemon}), {sharing: {keyFrom: 'vrrp'}});
});
