import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import type {Log} from '../log.js';
import type {Metrics} from './metrics.js';

const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 10_000;

export interface MetricsServer {
	readonly address: string;
	readonly port: number;
	close(): Promise<void>;
}

/**
 * Serves /metrics over HTTP. null when the address cannot be had: said in the log, and the daemon goes on, because
 * balancing matters more than being watched.
 */
export async function serveMetrics(
	metrics: Metrics,
	{address, port}: {readonly address: string; readonly port: number},
	log: Log,
): Promise<MetricsServer | null> {
	const server = createServer((request, response) => {
		answer(metrics, request, response).catch(error => {
			log.error({error: String(error)}, 'metrics: scrape failed');
			reply(response, 500, 'text/plain', 'the metrics could not be read; see the log of lbd\n');
		});
	});
	server.maxConnections = CONNECTIONS_MAX;
	server.requestTimeout = REQUEST_TIMEOUT_MS;
	server.headersTimeout = REQUEST_TIMEOUT_MS;
	try {
		const bound = await listen(server, address, port);
		return {address: bound.address, port: bound.port, close: () => close(server)};
	} catch (error) {
		log.warn(
			{address, port, error: String(error)},
			`metrics: cannot listen on ${address} port ${port}; going on without (lbctl and its socket still have them)`,
		);
		return null;
	}
}

async function answer(metrics: Metrics, request: IncomingMessage, response: ServerResponse): Promise<void> {
	if (request.method !== 'GET' && request.method !== 'HEAD') {
		response.setHeader('Allow', 'GET, HEAD');
		return reply(response, 405, 'text/plain', 'only GET and HEAD\n');
	}
	const [path] = (request.url ?? '/').split('?');
	if (path === '/metrics') return reply(response, 200, metrics.contentType, await metrics.text());
	if (path === '/') return reply(response, 200, 'text/plain', 'lbd: metrics are at /metrics\n');
	reply(response, 404, 'text/plain', 'nothing here; metrics are at /metrics\n');
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
	response.writeHead(status, {'Content-Type': type, 'Content-Length': Buffer.byteLength(body)});
	response.end(body);
}

function listen(server: Server, address: string, port: number): Promise<AddressInfo> {
	return new Promise((resolve, reject) => {
		server.once('error', reject);
		server.listen(port, address, () => {
			server.off('error', reject);
			resolve(server.address() as AddressInfo);
		});
	});
}

function close(server: Server): Promise<void> {
	return new Promise(resolve => {
		server.close(() => resolve());
		server.closeAllConnections();
	});
}
