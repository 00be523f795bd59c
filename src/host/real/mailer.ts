import {once} from 'node:events';
import {Socket} from 'node:net';
import {createTransport} from 'nodemailer';
import type {Mail, MailEnd, Mailer} from '../host.js';

/** What people's filters know such mails by. */
const X_MAILER = 'Keepalived';

/** SMTP by nodemailer: one connection a mail. */
export const realMailer: Mailer = {
	async send(mail, signal) {
		if (signal.aborted) return {kind: 'failed', reason: 'it is too late'};
		const socket = new Socket();
		// nodemailer listens while it speaks, and a socket may break before that and after it.
		socket.on('error', () => {});
		try {
			await unlessAborted(deliver(mail, socket), signal);
			return {kind: 'sent'};
		} catch (error) {
			return refusal(error);
		} finally {
			socket.destroy();
		}
	},
};

/** Connects by itself: nodemailer would open the socket again if it was destroyed before. */
async function deliver(mail: Mail, socket: Socket): Promise<void> {
	const timeoutMs = Math.ceil(mail.timeoutUs / 1000);
	socket.connect(mail.server);
	await once(socket, 'connect', {signal: AbortSignal.timeout(timeoutMs)});
	await transport(mail, socket, timeoutMs).sendMail(message(mail));
}

function transport({server, heloName}: Mail, connection: Socket, timeoutMs: number) {
	return createTransport({
		...server,
		connection,
		name: heloName,
		greetingTimeout: timeoutMs,
		socketTimeout: timeoutMs,
		// As between mail servers (RFC 7435): encrypted where it can be, by whomever.
		opportunisticTLS: true,
		tls: {rejectUnauthorized: false},
		disableFileAccess: true,
		disableUrlAccess: true,
	});
}

function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		const breakOff = (): void => reject(new Error('it took too long'));
		signal.addEventListener('abort', breakOff, {once: true});
		void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', breakOff));
	});
}

function message({from, to, subject, text}: Mail) {
	return {from, to: [...to], subject, text: `${text}\r\n`, xMailer: X_MAILER};
}

/** RFC 5321 §4.2.1: an answer from 500 on will be the same the next time. */
function refusal(error: unknown): MailEnd {
	const {message, responseCode} = error as Error & {responseCode?: number};
	return {kind: responseCode !== undefined && responseCode >= 500 ? 'refused' : 'failed', reason: message};
}
