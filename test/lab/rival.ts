/**
 * `node rival.js IFINDEX SOURCE [PERIOD_MS]`: an advert of a router that ranks below the reference job's primary, on eth0;
 * with a period one after the other, until it is ended.
 */
import {realSockets} from '../../src/host/real/sockets.js';
import {encodeAdvert, VRRP_TTL} from '../../src/net/vrrp-packet.js';

const [ifindex = '', source = '', periodMs] = process.argv.slice(2);
const group = '224.0.0.18';
const options = {interface: 'eth0', ifindex: Number(ifindex), group, source, ttl: VRRP_TTL};
const socket = realSockets.vrrp({...options, onPacket: () => {}});
const advert = {
	version: 2,
	vrid: 91,
	priority: 50,
	advertUs: 1_000_000,
	addresses: ['192.168.1.1'],
	password: '1215',
} as const;
const send = () => socket.send(encodeAdvert(advert, {source, destination: group}), group);
send();
if (periodMs === undefined) socket.close();
else setInterval(send, Number(periodMs));
