/** Real servers for the checkers, on loopback; each is gone when its test is. */
import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {type AddressInfo, connect, createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createServer as createTlsServer, type TLSSocket} from 'node:tls';
import type {ExecutionContext} from 'ava';

export interface Listening {
	readonly server: Server;
	readonly port: number;
}

/** A server that does `talk` with every connection; without, it accepts and says nothing. */
export async function listen(
	t: ExecutionContext,
	talk: (socket: Socket) => void = () => {},
	host = '127.0.0.1',
): Promise<Listening> {
	const sockets = new Set<Socket>();
	const server = createServer(socket => {
		ignoreReset(socket);
		sockets.add(socket);
		socket.once('close', () => sockets.delete(socket));
		talk(socket);
	});
	return started(t, server, host, sockets);
}

/** The same behind TLS, with a certificate that nobody has signed; `names` are asked for in the handshakes. */
export async function listenTls(
	t: ExecutionContext,
	talk: (socket: TLSSocket) => void,
): Promise<Listening & {readonly names: (string | null)[]}> {
	const names: (string | null)[] = [];
	const sockets = new Set<Socket>();
	const server = createTlsServer({...certificate(), handshakeTimeout: 60_000}, socket => {
		ignoreReset(socket);
		names.push((socket as TLSSocket & {readonly servername: string | false}).servername || null);
		talk(socket);
	});
	server.on('connection', (socket: Socket) => {
		ignoreReset(socket);
		sockets.add(socket);
		socket.once('close', () => sockets.delete(socket));
	});
	server.on('tlsClientError', () => {});
	return {...(await started(t, server, '127.0.0.1', sockets)), names};
}

async function started(
	t: ExecutionContext,
	server: Server,
	host: string,
	sockets: ReadonlySet<Socket>,
): Promise<Listening> {
	server.listen({host, port: 0});
	await once(server, 'listening');
	t.teardown(() => {
		server.close();
		for (const socket of sockets) socket.destroy();
	});
	return {server, port: (server.address() as AddressInfo).port};
}

/** The checks end their connections by RST, which a server is told of as an error. */
function ignoreReset(socket: Socket): void {
	socket.on('error', () => {});
}

/** A port that refuses, and that nobody else is given meanwhile: a client has it. */
export async function closedPort(t: ExecutionContext, host = '127.0.0.1'): Promise<number> {
	const {port} = await listen(t, undefined, host);
	const client = connect({host, port});
	ignoreReset(client);
	t.teardown(() => client.destroy());
	await once(client, 'connect');
	return client.localPort ?? 0;
}

/** Says `text` one byte at a time, `ms` apart, then hangs up. */
export async function dribble(socket: Socket, text: string, ms: number): Promise<void> {
	for (const byte of Buffer.from(text, 'latin1')) {
		if (socket.destroyed) return;
		socket.write(Uint8Array.of(byte));
		await new Promise(resolve => setTimeout(resolve, ms));
	}
	socket.end();
}

let made: {readonly key: Buffer; readonly cert: Buffer} | undefined;

function certificate(): {readonly key: Buffer; readonly cert: Buffer} {
	made ??= makeCertificate();
	return made;
}

function makeCertificate(): {readonly key: Buffer; readonly cert: Buffer} {
	const directory = mkdtempSync(join(tmpdir(), 'certificate-'));
	const [key, cert] = [join(directory, 'key'), join(directory, 'cert')];
	const options = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=wrong.example';
	execFileSync('openssl', ['req', '-x509', ...options.split(' '), '-keyout', key, '-out', cert], {stdio: 'ignore'});
	try {
		return {key: readFileSync(key), cert: readFileSync(cert)};
	} finally {
		rmSync(directory, {recursive: true});
	}
}
