import {once} from 'node:events';
import {connect} from 'node:net';
import test, {type ExecutionContext} from 'ava';
import {Metrics} from '../../src/metrics/metrics.js';
import {type MetricsServer, serveMetrics} from '../../src/metrics/server.js';
import {FakeLog} from '../fake/log.js';
import {snapshot} from './snapshot.js';

const ANYWHERE = {address: '127.0.0.1', port: 0};

async function serve(t: ExecutionContext, metrics = new Metrics(() => snapshot())): Promise<MetricsServer> {
	const server = await serveMetrics(metrics, ANYWHERE, new FakeLog());
	if (server === null) throw new Error('cannot listen on 127.0.0.1');
	t.teardown(() => server.close());
	return server;
}

const fetchFrom = ({address, port}: MetricsServer, path: string, method = 'GET') =>
	fetch(`http://${address}:${port}${path}`, {method});

test('serves /metrics in the format that Prometheus asks for', async t => {
	const response = await fetchFrom(await serve(t), '/metrics');
	t.is(response.status, 200);
	t.is(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
	t.regex(await response.text(), /^lbd_build_info\{version="0.1.0",/m);
});

test('says where the metrics are', async t => {
	const server = await serve(t);
	t.is(await (await fetchFrom(server, '/?x')).text(), 'lbd: metrics are at /metrics\n');
	t.is((await fetchFrom(server, '/etc/passwd')).status, 404);
	t.is((await fetchFrom(server, '/metrics', 'POST')).status, 405);
	t.is((await fetchFrom(server, '/metrics', 'HEAD')).status, 200);
});

test('a failed scrape is a 500, and the next may succeed', async t => {
	let broken = true;
	const metrics = new Metrics(() => {
		if (broken) throw new Error('no maps');
		return snapshot();
	});
	const server = await serve(t, metrics);
	t.is((await fetchFrom(server, '/metrics')).status, 500);
	broken = false;
	t.is((await fetchFrom(server, '/metrics')).status, 200);
});

test('garbage instead of HTTP harms nobody', async t => {
	const server = await serve(t);
	const socket = connect(server.port, server.address);
	socket.on('error', () => {});
	socket.end('\u0000\u0001 nonsense\r\n\r\n');
	socket.resume();
	await once(socket, 'close');
	t.is((await fetchFrom(server, '/metrics')).status, 200);
});

test('a port that is taken is a warning, not the end', async t => {
	const {address, port} = await serve(t);
	const log = new FakeLog();
	t.is(await serveMetrics(new Metrics(() => snapshot()), {address, port}, log), null);
	t.regex(log.take().join(), /^warn metrics: cannot listen on 127.0.0.1 port \d+; going on without/);
});
