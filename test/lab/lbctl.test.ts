/** lbctl beside a running daemon, and when there is only what the daemon has left in the kernel. */
import {externalVip} from '../../lab/topology.js';
import type {ServiceRow} from '../../src/cli/commands/services.js';
import {ExitCode} from '../../src/errors.js';
import {reference} from './jobs.js';
import {labOfFile, startPrimary, test} from './lab-test.js';
import {lbctl} from './observe.js';

const CONNECTIONS = 6;
const name = `${externalVip}:80`;

/** Opens connections, one of which stays, and has one packet dropped: its time to live ends at the balancer, which opens nothing. */
const lab = labOfFile({configs: {lb1: reference.primary}}, async built => {
	await startPrimary(built);
	const {client} = built;
	await client.sequence(CONNECTIONS - 1);
	await client.hold({from: holder});
	await built.run('client', 'sysctl', '-qw', 'net.ipv4.ip_default_ttl=1');
	await client.get({timeoutMs: 200});
	await built.run('client', 'sysctl', '-qw', 'net.ipv4.ip_default_ttl=64');
});

/** An address that the laboratory's clients do not get to by themselves. */
const holder = '198.18.200.1';

interface View {
	readonly args: readonly string[];
	/** A line of the table. */
	readonly table: RegExp;
	/** The first rows of the JSON output. */
	readonly json: object;
}

const traffic = {connections: CONNECTIONS / 2, state: 'up', weight: 1};

/** What comes from the maps, with or without a daemon. */
const views: readonly View[] = [
	{
		args: ['services'],
		table: /^192\.168\.1\.1:80 .* 2h .*2\/2 +6 /m,
		json: [{service: name, persistenceS: 7200, nextTicket: CONNECTIONS, connections: CONNECTIONS, backendsUp: 2}],
	},
	{
		args: ['services', name],
		table: /^10\.0\.0\.72:80 +up +nat +1 /m,
		json: [{service: name, backends: [{backend: '10.0.0.71:80'}, {backend: '10.0.0.72:80'}]}],
	},
	{
		args: ['backends'],
		table: /^192\.168\.1\.1:80 +10\.0\.0\.71:80 +up +nat +1 +\d+ +3 /m,
		json: [
			{service: name, backend: '10.0.0.71:80', ...traffic, nextHop: {mac: '02:00:0a:00:00:47', nic: 'eth1'}},
			{service: name, backend: '10.0.0.72:80', ...traffic, nextHop: {nic: 'eth1'}},
		],
	},
	{
		args: ['flows', '--client', holder],
		table: /^198\.18\.200\.1:\d+ +192\.168\.1\.1:80 +10\.0\.0\.72:80 +established /m,
		json: [{service: name, backend: '10.0.0.72:80', state: 'established'}],
	},
	{args: ['persistence'], table: /^198\.18\.200\.1 +192\.168\.1\.1:80 +10\.0\.0\.72:80 +1h/m, json: [{service: name}]},
	{
		args: ['drops'],
		table: /^ +\d+ +192\.168\.1\.1:80 +answer_time_exceeded$/m,
		json: [{service: name, verdict: 'answer_time_exceeded'}],
	},
	{
		args: ['maps'],
		table: /^services +array +4 B +80 B +1 +1,024 /m,
		json: [{map: 'answers'}, {map: 'backends', type: 'array', keyBytes: 4, entries: 2}],
	},
	{args: ['maps', 'dump', 'services_by_key'], table: /^\{.*"port": ?80.*\} +1$/m, json: [{value: 1}]},
];

for (const {args, table, json} of views) {
	test(`lbctl ${args.join(' ')}`, async t => {
		const {lb1} = lab();
		const [plain, machine] = await Promise.all([lbctl(lb1, ...args), lbctl(lb1, '--json', ...args)]);
		t.is(plain.code, ExitCode.ok, plain.stderr);
		t.is(plain.stderr, '');
		t.regex(plain.stdout, table);
		t.is(machine.code, ExitCode.ok, machine.stderr);
		t.like(JSON.parse(machine.stdout), json);
	});
}

test('lbctl status and lbctl vrrp', async t => {
	const {lb1} = lab();
	const status = await lbctl(lb1, 'status');
	t.is(status.code, ExitCode.ok);
	t.regex(status.stdout, new RegExp(`^lbd ${lb1.daemonName}: running for .*, version .*, pid \\d+$`, 'm'));
	t.regex(status.stdout, /^NICs: eth0 \(native\), eth1 \(native\)$/m);
	t.like(await lb1.lbctl('status'), {name: lb1.daemonName, running: true, daemon: {file: lb1.configFile}});
	const vrrp = await lbctl(lb1, 'vrrp');
	t.is(vrrp.code, ExitCode.ok);
	t.regex(vrrp.stdout, /^external +MASTER +\S+ +eth0 +200 +192\.168\.1\.10 +192\.168\.1\.1$/m);
	t.regex(vrrp.stdout, /^internal +MASTER +\S+ +eth1 +200 +10\.0\.0\.10 +10\.0\.0\.100$/m);
	t.like(await lb1.lbctl('vrrp'), [
		{instance: 'external', state: 'master', vrid: 91, priority: 200, syncGroup: 'VRRP1', addresses: [externalVip]},
		{instance: 'internal', state: 'master', vrid: 92},
	]);
});

test('what does not exist is named', async t => {
	const {lb1} = lab();
	const service = await lbctl(lb1, 'services', '192.168.1.9:80');
	t.is(service.code, ExitCode.failure);
	t.is(service.stderr, `lbctl: no service 192.168.1.9:80 (there is ${name})\n`);
	const map = await lbctl(lb1, 'maps', 'dump', 'servicez');
	t.is(map.code, ExitCode.usage);
	t.regex(map.stderr, /^lbctl: dump: servicez: ENOENT \(maps are .*backends .*census endpoints .*\)\n$/);
});

test('after SIGKILL everything in the maps is still shown, and what is missing is said once', async t => {
	const {lb1} = lab();
	const [before] = JSON.parse((await lbctl(lb1, '--json', 'services')).stdout) as ServiceRow[];
	await lb1.kill('SIGKILL');
	const nobody = new RegExp(`^lbctl: no daemon named "${lb1.daemonName}" answers at .*; showing what the maps say\n$`);
	for (const {args, table, json} of views) {
		const [plain, machine] = await Promise.all([lbctl(lb1, ...args), lbctl(lb1, '--json', ...args)]);
		t.is(plain.code, ExitCode.ok, plain.stderr);
		t.regex(plain.stdout, table);
		if (args[0] === 'services' || args[0] === 'backends') t.regex(plain.stderr, nobody);
		else t.is(plain.stderr, '');
		t.like(JSON.parse(machine.stdout), json);
	}
	const [after] = JSON.parse((await lbctl(lb1, '--json', 'services')).stdout) as ServiceRow[];
	t.true((after?.packetsIn ?? 0) >= (before?.packetsIn ?? 1));
	t.is(after?.scheduler, 'rr');
	t.is(after?.quorumUp, null);

	const status = await lbctl(lb1, 'status');
	t.is(status.code, ExitCode.failure, 'so that a script can ask whether all is well');
	t.regex(status.stdout, /: not running$/m);
	t.regex(status.stdout, /^192\.168\.1\.1:80 .*2\/2/m);
	t.regex(status.stderr, nobody);
	const vrrp = await lbctl(lb1, 'vrrp');
	t.is(vrrp.code, ExitCode.ok);
	t.regex(vrrp.stdout, /^NIC .*LEASE/m);
	t.regex(vrrp.stderr, nobody);
});
