import test from 'ava';
import type {Packet, Sockets} from '../../src/host/host.js';
import {encodeIpv6} from '../../src/net/ip.js';
import {encodeAdvert, VRRP_PROTOCOL, VRRP_TTL} from '../../src/net/vrrp-packet.js';
import {SharedSockets} from '../../src/vrrp/shared-sockets.js';
import {ipv4} from '../fake/lan.js';

type VrrpOptions = Parameters<Sockets['vrrp']>[0];

const eth0: Omit<VrrpOptions, 'onPacket'> = {
	interface: 'eth0',
	ifindex: 2,
	group: '224.0.0.18',
	source: '192.168.1.10',
	ttl: VRRP_TTL,
};

/** Sockets that say what becomes of them, and to which packets can be given. */
function setUp() {
	const story: string[] = [];
	const heard: string[] = [];
	const listeners: VrrpOptions['onPacket'][] = [];
	const open = (name: string) => {
		story.push(`open ${name}`);
		return {
			send: () => story.push(`send ${name}`),
			drain: () => story.push(`drain ${name}`),
			close: () => story.push(`close ${name}`),
		};
	};
	const shared = new SharedSockets({
		vrrp: options => {
			listeners.push(options.onPacket);
			return open(`${options.interface} ${options.source}`);
		},
		frames: options => open(`frames ${options.interface}`),
	});
	const listen = (vrid: number, changes: Partial<VrrpOptions> = {}) =>
		shared.of(vrid).vrrp({...eth0, onPacket: () => heard.push(String(vrid)), ...changes});
	const receive = (packet: Packet): string[] => {
		for (const listener of listeners) listener(packet);
		return heard.splice(0);
	};
	return {story, shared, listen, receive};
}

function advert(vrid: number, source = '192.168.1.11'): Packet {
	const isIpv6 = source.includes(':');
	const path = {source, destination: isIpv6 ? 'ff02::12' : '224.0.0.18'};
	const fields = {version: 3, priority: 100, advertUs: 1_000_000, addresses: [], password: null} as const;
	const payload = encodeAdvert({...fields, vrid}, path);
	const bytes = isIpv6
		? encodeIpv6({...path, protocol: VRRP_PROTOCOL, ttl: VRRP_TTL, payload})
		: ipv4(source, path.destination, payload);
	return {bytes, from: source};
}

test('instances that speak alike share a socket, which is open while one of them is', t => {
	const {story, shared, listen} = setUp();
	const [one, two, other] = [listen(1), listen(2), listen(3, {source: '192.168.1.12'})];
	shared.drain();
	one.close();
	two.send(Uint8Array.of(1), '224.0.0.18');
	two.close();
	two.close();
	other.close();
	listen(1).close();
	t.deepEqual(story, [
		...['open eth0 192.168.1.10', 'open eth0 192.168.1.12'],
		...['drain eth0 192.168.1.10', 'drain eth0 192.168.1.12'],
		...['send eth0 192.168.1.10', 'close eth0 192.168.1.10', 'close eth0 192.168.1.12'],
		...['open eth0 192.168.1.10', 'close eth0 192.168.1.10'],
	]);
});

test('an advert is for the instance of its VRID; that of a stranger is for all to refuse', t => {
	const {listen, receive} = setUp();
	const one = listen(1);
	listen(2);
	t.deepEqual(receive(advert(2)), ['2']);
	t.deepEqual(receive(advert(2, 'fe80::2')), ['2']);
	t.deepEqual(receive(advert(3)), ['1', '2']);
	t.deepEqual(receive({bytes: new Uint8Array(), from: '192.168.1.11'}), ['1', '2']);
	one.close();
	t.deepEqual(receive(advert(1)), ['2']);
});

test('a socket that is opened again in place of the one before is not closed with it', t => {
	const {listen, receive, story} = setUp();
	const before = listen(1);
	listen(1);
	before.close();
	t.deepEqual(receive(advert(1)), ['1']);
	t.deepEqual(story, ['open eth0 192.168.1.10']);
});

test('announcements of an interface go out by one socket', t => {
	const {story, shared} = setUp();
	const options = {interface: 'eth0', ifindex: 2};
	const [one, two] = [shared.of(1).frames(options), shared.of(2).frames(options)];
	one.send(Uint8Array.of(1));
	one.close();
	two.send(Uint8Array.of(1));
	two.close();
	t.deepEqual(story, ['open frames eth0', 'send frames eth0', 'send frames eth0', 'close frames eth0']);
});
