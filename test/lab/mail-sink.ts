/** `node mail-sink.js PORT FILE`: an SMTP server on 127.0.0.1 that writes subject and text of each mail on a line of FILE. */
import {appendFileSync} from 'node:fs';
import {text} from 'node:stream/consumers';
import {SMTPServer} from 'smtp-server';

const [port = '', file = ''] = process.argv.slice(2);

async function keep(content: string): Promise<void> {
	const [head = '', body = ''] = content.split('\r\n\r\n');
	const subject = /^Subject: (.*)$/m.exec(head.replace(/\r\n\s+/g, ' '))?.[1];
	appendFileSync(file, `${subject} | ${body.trim()}\n`);
}

const server = new SMTPServer({
	authOptional: true,
	disabledCommands: ['STARTTLS'],
	onData: (stream, _session, callback) =>
		void text(stream)
			.then(keep)
			.then(() => callback()),
});
// Whoever hangs up early is no reason to end.
server.on('error', () => {});
server.listen(Number(port), '127.0.0.1');
