import {isIP} from 'node:net';
import type {HttpCheck, HttpUrl} from '../conf/model.js';
import {Bug} from '../errors.js';
import type {Checker, Look, Result} from './checker.js';
import {converse, type Tls} from './conversation.js';
import {HttpAnswer} from './http-answer.js';

/**
 * HTTP_GET and SSL_GET: passes when the answer to a GET has the status, digest and content that the URL asks for.
 * Connecting, the handshake of TLS, beginning to answer and ending it may take `connect_timeout` each.
 */
export function httpChecker(check: HttpCheck): Checker {
	return {timeoutUs: check.connectTimeoutUs, check: look => get(check, look)};
}

function get(check: HttpCheck, look: Look): Promise<Result> {
	const url = check.urls[look.stage];
	if (url === undefined) throw new Bug(`a check has no URL ${look.stage}`);
	const answer = new HttpAnswer(url);
	let hasBegun = false;
	return converse(
		check,
		look,
		{
			begin: say => say(request(check, url)),
			hear(bytes) {
				if (!hasBegun) look.advance();
				hasBegun = true;
				return answer.take(bytes);
			},
			end: () => answer.end(),
		},
		check.kind === 'https' ? tlsOf(url) : null,
	);
}

/** keepalived's request, word for word: servers' logs are searched for its agent. */
function request({version, close}: HttpCheck, {path, host}: HttpUrl): string {
	const connection = close ? 'Connection: close\r\n' : '';
	return `GET ${path} HTTP/${version}\r\nUser-Agent: KeepAliveClient\r\n${connection}Host: ${host}\r\n\r\n`;
}

/** A name in the handshake has no port, and is no address (RFC 6066 section 3). */
function tlsOf({serverName}: HttpUrl): Tls {
	const name = serverName?.replace(/:\d+$/, '') ?? null;
	return {serverName: name === null || isIP(name) !== 0 ? null : name};
}
