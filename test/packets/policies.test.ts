/** What becomes of flows whose backend is down, as their service has it, and how many answers are given. */
import type {ExecutionContext} from 'ava';
import type {Policy} from '../../src/conf/model.js';
import {readVerdicts} from '../../src/xdp/counters.js';
import {BackendState} from '../../src/xdp/layout.gen.js';
import {type Balancer, balancer, packetTest, type VerdictName} from './balancer.js';
import {Connection, client, SERVER_ISN} from './connection.js';

const FAMILIES = [
	{of: 'IPv4', vip: '192.168.1.1:80', from: client(1), backends: ['10.0.0.71:80', '10.0.0.72:80']},
	{
		of: 'IPv6',
		vip: '[2001:db8:1::1]:80',
		from: '[2001:db8:c::50]:4000',
		backends: ['[fd00:10::47]:80', '[fd00:10::48]:80'],
	},
] as const;

for (const {of, vip, from, backends} of FAMILIES) {
	const [first, second] = backends;
	const address = first.replace(/\[?(.*?)\]?:80$/, '$1');
	/** An established connection whose backend fails. */
	const fail = (
		t: ExecutionContext,
		failedBackend: Policy['failedBackend'],
		state: BackendState = BackendState.BACKEND_DOWN,
	): [Balancer, Connection] => {
		const b = balancer(t, [{at: vip, backends, policy: {failedBackend}}]);
		const c = new Connection(b, from, vip).establish();
		t.is(c.backend, first);
		b.setState(address, state);
		return [b, c];
	};

	packetTest(`${of}, drop: nobody is told, and the flow goes on if its backend returns`, t => {
		const [b, c] = fail(t, 'drop');
		t.is(c.fromClient('PA').verdict, 'V_DROP_BACKEND_DOWN');
		t.is(c.fromClient('S').verdict, 'V_DROP_BACKEND_DOWN');
		t.is(c.fromServer('PA').verdict, 'V_DROP_BACKEND_DOWN');
		b.setState(address, BackendState.BACKEND_UP);
		c.assertForwarded(t, c.request('PA'));
		t.is(c.backend, first);
	});

	packetTest(`${of}, keep: the flow goes on both ways, nothing new is dealt`, t => {
		const [b, c] = fail(t, 'keep', BackendState.BACKEND_KEPT);
		c.assertForwarded(t, c.request('PA'));
		t.is(c.backend, first);
		c.assertReplied(t, c.answer('PA'));
		for (const port of [5000, 5001, 5002, 5003]) {
			const other = new Connection(b, from.replace(/\d+$/, String(port)), vip);
			other.assertForwarded(t, other.request('S'), 'V_FORWARD_NEW');
			t.is(other.backend, second);
		}
		c.assertForwarded(t, c.request('FA'));
		c.assertReplied(t, c.answer('FA'));
		c.assertForwarded(t, c.request('S'), 'V_FORWARD_NEW');
		t.is(c.backend, second);
	});

	for (const failedBackend of ['drop', 'keep', 'reset', 'reschedule'] as const) {
		packetTest(`${of}, ${failedBackend}: a datagram of a failed backend's client is dealt anew all the same`, t => {
			const b = balancer(t, [{at: vip, protocol: 'udp', backends, policy: {failedBackend}}]);
			const c = new Connection(b, from, vip, 'udp');
			c.assertForwarded(t, c.request(), 'V_FORWARD_NEW');
			t.is(c.backend, first);
			b.setState(address, BackendState.BACKEND_DOWN);
			c.assertForwarded(t, c.request(), 'V_FORWARD_NEW');
			t.is(c.backend, second);
			c.assertReplied(t, c.answer());
		});
	}

	packetTest(
		`${of}, reset: the client is told at its next packet, and again if it asks, and begins again at once`,
		t => {
			const [b, c] = fail(t, 'reset');
			t.is(c.fromServer('PA').verdict, 'V_DROP_BACKEND_DOWN', 'the server is not answered');
			t.is(c.fromClient('PA', {ack: SERVER_ISN + 1}).verdict, 'V_ANSWER_RESET');
			t.is(c.fromClient('PA', {ack: SERVER_ISN + 1}).verdict, 'V_ANSWER_RESET');
			c.assertForwarded(t, c.request('S'), 'V_FORWARD_NEW');
			t.is(c.backend, second);
			b.setState(address, BackendState.BACKEND_UP);
			c.assertForwarded(t, c.request('PA'));
			t.is(c.backend, second);
		},
	);

	packetTest(`${of}, reset: so is a client that knocks again, and only its next SYN is dealt anew`, t => {
		const [, c] = fail(t, 'reset');
		t.is(c.fromClient('S').verdict, 'V_ANSWER_RESET');
		c.assertForwarded(t, c.request('S'), 'V_FORWARD_NEW');
		t.is(c.backend, second);
	});

	packetTest(`${of}, reschedule: a SYN is dealt anew at once, anything else is reset`, t => {
		const [b, c] = fail(t, 'reschedule');
		c.assertForwarded(t, c.request('S'), 'V_FORWARD_NEW');
		t.is(c.backend, second);
		t.is(b.maps.ticket(1), 2n);
		const [, d] = fail(t, 'reschedule');
		t.is(d.fromClient('PA', {ack: 1}).verdict, 'V_ANSWER_RESET');
		d.assertForwarded(t, d.request('S'), 'V_FORWARD_NEW');
		t.is(d.backend, second);
	});

	packetTest(`${of}: without any backend, those who are dealt anew are refused as others are`, t => {
		const b = balancer(t, [{at: vip, backends, policy: {failedBackend: 'reschedule', noBackend: 'reject'}}]);
		const c = new Connection(b, from, vip).establish();
		b.setState(address, BackendState.BACKEND_DOWN);
		b.setState(second.replace(/\[?(.*?)\]?:80$/, '$1'), BackendState.BACKEND_DOWN);
		t.is(c.fromClient('S').verdict, 'V_ANSWER_UNREACHABLE');
		t.is(c.fromClient('PA').verdict, 'V_PASS_NO_FLOW');
	});
}

packetTest('answers are counted for their service', t => {
	const b = balancer(t, [{at: '192.168.1.1:80', backends: ['10.0.0.71:80'], policy: {noBackend: 'reset'}}]);
	b.setState('10.0.0.71', BackendState.BACKEND_DOWN);
	t.is(new Connection(b, client(1), '192.168.1.1:80').fromClient('S').verdict, 'V_ANSWER_RESET');
	const settings = b.maps.settings.get(0);
	if (settings === undefined) return t.fail();
	const {verdicts} = readVerdicts(b.maps.verdicts, settings, 1);
	t.deepEqual([...verdicts], [['answer_reset', 1n]]);
});

/** What becomes of many packets that are due an answer. */
function verdictsOf(b: Balancer, packets: number): Map<VerdictName, number> {
	const seen = new Map<VerdictName, number>();
	const c = new Connection(b, client(1), '192.168.1.1:80');
	for (let n = 0; n < packets; n++) {
		const {verdict} = b.send(c.request('S', {ttl: 1}));
		seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
	}
	return seen;
}

for (const [title, left, idleS, most] of [
	['what a CPU has left', 3, 0, 3],
	['a thousand a second', 0, 0.005, 5],
	['fifty at once, however long it was', 0, 0.8, 50],
] as const)
	packetTest(`answers are limited: ${title}; the rest leaves as if there were none`, t => {
		const b = balancer(t, [{at: '192.168.1.1:80', backends: ['10.0.0.71:80']}]);
		b.limitAnswers(left, idleS);
		const cpus = b.maps.all().get('answers')?.maxEntries ?? 0;
		const packets = most * cpus + 10;
		const seen = verdictsOf(b, packets);
		const answered = seen.get('V_ANSWER_TIME_EXCEEDED') ?? 0;
		t.true(answered >= most && answered <= most * cpus, `${answered} answers by at most ${cpus} CPUs`);
		t.is(seen.get('V_DROP_TTL'), packets - answered);
	});
