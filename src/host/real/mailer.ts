import {Socket} from 'node:net';
import {createTransport} from 'nodemailer';
import type {Mail, MailEnd, Mailer} from '../host.js';

/** What people's filters know such mails by. */
const X_MAILER = 'Keepalived';

/** SMTP by nodemailer: one connection a mail. */
export const realMailer: Mailer = {
	async send(mail, signal) {
		const socket = new Socket();
		const breakOff = (): void => void socket.destroy(new Error('it took too long'));
		signal.addEventListener('abort', breakOff);
		try {
			if (signal.aborted) throw new Error('it is too late');
			await transport(mail, socket).sendMail(message(mail));
			return {kind: 'sent'};
		} catch (error) {
			return refusal(error);
		} finally {
			signal.removeEventListener('abort', breakOff);
			socket.destroy();
		}
	},
};

function transport({server, heloName, timeoutUs}: Mail, socket: Socket): ReturnType<typeof createTransport> {
	const timeoutMs = Math.ceil(timeoutUs / 1000);
	return createTransport({
		...server,
		socket,
		name: heloName,
		connectionTimeout: timeoutMs,
		greetingTimeout: timeoutMs,
		dnsTimeout: timeoutMs,
		socketTimeout: timeoutMs,
		// As between mail servers (RFC 7435): encrypted where it can be, by whomever.
		opportunisticTLS: true,
		tls: {rejectUnauthorized: false},
		disableFileAccess: true,
		disableUrlAccess: true,
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
