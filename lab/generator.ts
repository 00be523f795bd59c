/**
 * The traffic generator: runs inside the client's namespace, pinned to one CPU, and does what `protocol.ts` says. The
 * receiving side of a veth pair works on the sender's CPU, so one generator per CPU makes every CPU of a balancer receive.
 */
import {createSocket} from 'node:dgram';
import {Agent, request as httpRequest} from 'node:http';
import {QUESTION} from './datagram.js';
import type {Command, Outcome, Reply, Request} from './protocol.js';
import {monotonicMs} from './wait.js';

const BODY_BYTES = 256;
/**
 * A connection that stands says nothing unless it is asked to. Node's own probes come every second, and ten without an answer
 * end the connection, however patient its owner is with a server that is away.
 */
const NO_PROBES_MS = 3_600_000;

function reply(id: number, outcomes: readonly Outcome[], last = true): void {
	const message: Reply = {id, outcomes, last};
	process.send?.(message);
}

/** Whoever looks at an answer while it comes, and may end it. */
interface Follower {
	readonly signal: AbortSignal;
	onPiece(soFar: Outcome): void;
}

/** One request; `agent` false means a connection of its own. Resolves in any case. */
function ask(request: Request, agent: Agent | false, follower?: Follower): Promise<Outcome> {
	const startedMs = monotonicMs();
	return new Promise(resolve => {
		let body = '';
		let bytes = 0;
		let heardMs = startedMs;
		let stall = {startedMs, ms: 0};
		const heard = () => {
			const nowMs = monotonicMs();
			if (nowMs - heardMs > stall.ms) stall = {startedMs: heardMs, ms: nowMs - heardMs};
			heardMs = nowMs;
		};
		const outcome = (status: number | null, error: string | null): Outcome => ({
			from: request.from,
			status,
			body: body.split(/[\n\0]/, 1)[0] ?? '',
			bytes,
			error,
			startedMs,
			ms: Math.round((monotonicMs() - startedMs) * 1000) / 1000,
			stall,
		});
		const finish = (status: number | null, error: string | null) => {
			clearTimeout(deadline);
			heard();
			resolve(outcome(status, error));
		};
		const outgoing = httpRequest({
			host: request.to,
			port: request.port,
			path: request.path,
			localAddress: request.from,
			localPort: request.fromPort,
			agent,
			signal: follower?.signal,
		});
		const deadline = setTimeout(
			() => outgoing.destroy(Object.assign(new Error('deadline'), {code: 'ETIMEDOUT'})),
			request.timeoutMs,
		);
		const fail = (error: NodeJS.ErrnoException) => finish(null, error.code ?? error.message);
		outgoing.once('error', fail);
		outgoing.once('response', incoming => {
			incoming.on('data', (chunk: Buffer) => {
				heard();
				bytes += chunk.length;
				if (body.length < BODY_BYTES) body += chunk.toString('latin1', 0, BODY_BYTES);
				follower?.onPiece(outcome(incoming.statusCode ?? null, null));
			});
			incoming.once('error', fail);
			incoming.once('end', () => finish(incoming.statusCode ?? null, null));
		});
		outgoing.end();
	});
}

/** Asks again on a connection that stands. One that is gone is an error: the agent must not replace it quietly. */
async function askAgain(request: Request, agent: Agent): Promise<Outcome> {
	if (Object.keys(agent.freeSockets).length > 0) return ask(request, agent);
	const startedMs = monotonicMs();
	const stall = {startedMs, ms: 0};
	return {from: request.from, status: null, body: '', bytes: 0, error: 'ECONNRESET', startedMs, ms: 0, stall};
}

async function burst(requests: readonly Request[], concurrency: number): Promise<Outcome[]> {
	const outcomes: Outcome[] = [];
	const waiting = requests.values();
	const work = async () => {
		for (const request of waiting) outcomes.push(await ask(request, false));
	};
	await Promise.all(Array.from({length: concurrency}, work));
	return outcomes;
}

/** What ends each stream: it resolves when no request can be under way any more. */
const streams = new Map<number, () => void | Promise<void>>();
const connections = new Map<number, Agent>();

function stream(id: number, requests: readonly Request[], periodMs: number): void {
	let turn = 0;
	const underWay = new Set<Promise<void>>();
	const timer = setInterval(() => {
		const request = requests[turn++ % requests.length];
		if (request === undefined) return;
		const answered = ask(request, false).then(outcome => {
			underWay.delete(answered);
			reply(id, [outcome], false);
		});
		underWay.add(answered);
	}, periodMs);
	streams.set(id, async () => {
		clearInterval(timer);
		await Promise.all(underWay);
	});
}

function download(id: number, request: Request): void {
	const end = new AbortController();
	const follower = {signal: end.signal, onPiece: (soFar: Outcome) => reply(id, [soFar], false)};
	const ended = ask(request, false, follower).then(outcome => reply(id, [outcome], false));
	streams.set(id, () => {
		end.abort();
		return ended;
	});
}

/** Sends a numbered datagram every period; an answer repeats the number behind the server's name. */
function datagrams(id: number, request: Request, periodMs: number): void {
	const socket = createSocket('udp4');
	const waiting = new Map<number, {readonly startedMs: number; readonly deadline: NodeJS.Timeout}>();
	let last = 0;
	const finish = (number: number, status: number | null, body: string) => {
		const asked = waiting.get(number);
		if (asked === undefined) return;
		clearTimeout(asked.deadline);
		waiting.delete(number);
		const {startedMs} = asked;
		const ms = monotonicMs() - startedMs;
		const error = status === null ? 'ETIMEDOUT' : null;
		reply(id, [{from: request.from, status, body, bytes: 0, error, startedMs, ms, stall: {startedMs, ms}}], false);
	};
	const send = () => {
		const number = ++last;
		const deadline = setTimeout(() => finish(number, null, ''), request.timeoutMs);
		waiting.set(number, {startedMs: monotonicMs(), deadline});
		socket.send([QUESTION, Buffer.from(` ${number}`)]);
	};
	socket.on('message', answer => {
		const [name = '', number = ''] = answer.toString().split(' ');
		finish(Number(number), 200, name);
	});
	// A port that nobody listens on is an answer that does not come.
	socket.on('error', () => {});
	socket.bind(0, request.from, () => {
		socket.connect(request.port, request.to, () => {
			const timer = setInterval(send, periodMs);
			streams.set(id, () => {
				clearInterval(timer);
				for (const {deadline} of waiting.values()) clearTimeout(deadline);
				socket.close();
			});
		});
	});
}

async function perform(command: Command): Promise<void> {
	switch (command.kind) {
		case 'burst':
			return reply(command.id, await burst(command.requests, command.concurrency));
		case 'stream':
			return stream(command.id, command.requests, command.periodMs);
		case 'datagrams':
			return datagrams(command.id, command.request, command.periodMs);
		case 'download':
			return download(command.id, command.request);
		case 'stop':
			await streams.get(command.stream)?.();
			streams.delete(command.stream);
			return reply(command.id, []);
		case 'hold': {
			const connection = new Agent({keepAlive: true, keepAliveMsecs: NO_PROBES_MS, maxSockets: 1});
			connections.set(command.id, connection);
			return reply(command.id, [await ask(command.request, connection)]);
		}
		case 'ask': {
			const connection = connections.get(command.connection);
			if (connection === undefined) throw new Error(`no connection ${command.connection}`);
			return reply(command.id, [await askAgain(command.request, connection)]);
		}
		case 'close':
			connections.get(command.connection)?.destroy();
			connections.delete(command.connection);
			return reply(command.id, []);
	}
	return command satisfies never;
}

process.on('message', (command: Command) => void perform(command));
// The laboratory is gone, however it ended.
process.on('disconnect', () => process.exit(0));
