/**
 * What the program sends into a tunnel, to the kernel's own devices, made by the very commands of docs/operations.md: the
 * datagram must arrive at the service's address. Kernels without these devices skip it; `make test-6.1` has one with all.
 */
import {execFileSync} from 'node:child_process';
import {createSocket, type Socket as Datagrams} from 'node:dgram';
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import type {ExecutionContext} from 'ava';
import {AF_PACKET, SOCK_RAW, Socket, sockaddrLl} from 'libbpf-ts/net';
import type {Forwarding} from '../../src/conf/model.js';
import {endpointName, FAMILIES, type Family} from '../../src/net/address.js';
import {type Balancer, backendMac, balancer, type JobService, packetTest} from './balancer.js';
import {Connection} from './connection.js';

const VIP = {4: '192.168.1.1', 6: '2001:db8:1::1'} as const;
const CLIENT = {4: '192.168.1.50:40000', 6: '[2001:db8:c::50]:40000'} as const;
/** As the commands have it. */
const BACKEND = {4: '10.0.0.71', 6: 'fd00::71'} as const;
const FIRST_PORT = 5000;
const ARRIVAL_MS = 20_000;
const PEER = `int${process.pid}p`;

/** Without a shell, whose own `ip` may know less. */
function run(command: string): void {
	const [program = '', ...args] = command.split(' ');
	execFileSync(program, args, {stdio: 'pipe'});
}

/** Takes away what may not be there. */
function undo(...commands: readonly string[]): void {
	for (const command of commands) {
		try {
			run(command);
		} catch {}
	}
}

/** The commands of a row of the table, for a real server of IPv4 and of IPv6. */
function commandsOf(row: string): Readonly<Record<Family, string>> {
	const line = readFileSync('docs/operations.md', 'utf8')
		.split('\n')
		.find(text => text.startsWith(`| ${row} |`));
	const [ipv4, ipv6] = [...(line ?? '').matchAll(/`((?:ip|ip -6) [^`]*)`/g)].map(([, command]) => command);
	if (ipv4 === undefined || ipv6 === undefined) throw new Error(`docs/operations.md has no commands for ${row}`);
	return {4: ipv4, 6: ipv6};
}

const DEVICES = {4: commandsOf('`TUN`, IPv4 service'), 6: commandsOf('`TUN`, IPv6 service')} as const;
const GRE = commandsOf('`TUN type gre`');
const GUE = commandsOf('`TUN type gue port 6080`');

interface Tunnel {
	readonly name: string;
	readonly forwarding: Forwarding;
	/** What the backend has to say for a service and a real server of these families. */
	readonly commands: (service: Family, backend: Family) => readonly string[];
}

const TUNNELS: readonly Tunnel[] = [
	{
		name: 'ipip',
		forwarding: {method: 'tun', type: 'ipip'},
		commands: (service, backend) => [DEVICES[service][backend]],
	},
	{
		name: 'gre',
		forwarding: {method: 'tun', type: 'gre', checksum: 'none'},
		commands: (_, backend) => [GRE[backend]],
	},
	{
		name: 'gre csum',
		forwarding: {method: 'tun', type: 'gre', checksum: 'full'},
		commands: (_, backend) => [`${GRE[backend]} csum`],
	},
	...(['none', 'full'] as const).map(
		(checksum): Tunnel => ({
			name: checksum === 'none' ? 'gue' : 'gue csum',
			forwarding: {method: 'tun', type: 'gue', port: 6080, checksum},
			commands: (service, backend) => [GUE[backend], DEVICES[service][backend]],
		}),
	),
];

/** The backend's end of the wire, with all that documents say it needs but the tunnel. */
function prepare(t: ExecutionContext, backend: Family): void {
	const commands = [
		`ip link set ${PEER} address ${backendMac(BACKEND[backend])}`,
		`ip address replace ${BACKEND[4]}/24 dev ${PEER}`,
		`ip address replace ${BACKEND[6]}/64 dev ${PEER} nodad`,
		`ip address replace ${VIP[4]}/32 dev lo`,
		`ip address replace ${VIP[6]}/128 dev lo nodad`,
	];
	for (const command of commands) run(command);
	t.teardown(() =>
		undo(`ip address flush dev ${PEER}`, `ip address del ${VIP[4]}/32 dev lo`, `ip address del ${VIP[6]}/128 dev lo`),
	);
}

/** Makes the tunnel's end; why it cannot, or null. */
function openEnd(t: ExecutionContext, commands: readonly string[]): string | null {
	t.teardown(() => undo('ip link del tun', 'ip fou del port 6080', 'ip -6 fou del port 6080'));
	try {
		for (const command of commands) run(command);
	} catch (error) {
		return String(error).replaceAll('\n', ' ');
	}
	run('ip link set tun up');
	run('sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tun.rp_filter=0');
	return null;
}

async function listen(t: ExecutionContext, of: Family, port: number): Promise<Datagrams> {
	const server = createSocket(`udp${of}`);
	t.teardown(() => server.close());
	server.bind(port, VIP[of]);
	await once(server, 'listening');
	return server;
}

/** Puts a frame on the wire towards the backend. */
function transmit(b: Balancer, frame: Uint8Array): void {
	const wire = new Socket(AF_PACKET, SOCK_RAW, 0);
	try {
		wire.send(frame, sockaddrLl({ifindex: b.ports.internal.ifindex, protocol: 0}));
	} finally {
		wire.close();
	}
}

interface Case extends Tunnel {
	readonly service: Family;
	readonly backend: Family;
	/** Of its service. */
	readonly port: number;
}

const CASES: readonly Case[] = TUNNELS.flatMap(tunnel =>
	FAMILIES.flatMap(service => FAMILIES.map(backend => ({...tunnel, service, backend}))),
).map((one, index) => ({...one, port: FIRST_PORT + index}));

function jobOf({service, backend, port, forwarding}: Case): JobService {
	const backends = [endpointName(BACKEND[backend], port, 'tcp')];
	return {at: endpointName(VIP[service], port, 'tcp'), protocol: 'udp', backends, forwarding};
}

for (const one of CASES)
	packetTest(
		`${one.name}: an IPv${one.service} datagram in IPv${one.backend} comes out of the kernel's device`,
		async t => {
			const missing = openEnd(t, one.commands(one.service, one.backend));
			if (missing !== null) {
				t.log(`skipped: ${missing}`);
				t.pass();
				return;
			}
			const b = balancer(t, CASES.map(jobOf));
			prepare(t, one.backend);
			const server = await listen(t, one.service, one.port);
			const payload = Buffer.from('an odd number of bytes!');
			const request = new Connection(b, CLIENT[one.service], jobOf(one).at, 'udp').request('', {payload});
			const {verdict, frame} = b.send(request);
			t.is(verdict, 'V_FORWARD_NEW');
			const arrival = once(server, 'message', {signal: AbortSignal.timeout(ARRIVAL_MS)});
			transmit(b, frame);
			const [message, from] = await arrival;
			t.deepEqual(message, payload);
			t.is(endpointName(from.address, from.port, 'tcp'), CLIENT[one.service]);
		},
	);
