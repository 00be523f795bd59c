/**
 * A program: sends one datagram and prints the answer without what was in the question, `refused` if the port is closed, or
 * nothing if nothing comes from where it was sent to for a long time.
 * Arguments: ADDRESS PORT (its own), ADDRESS PORT (the server's), and how many random bytes stand behind the question, if any
 */
import {randomBytes} from 'node:crypto';
import {createSocket} from 'node:dgram';
import {QUESTION} from './datagram.js';

const PATIENCE_MS = 10_000;

const [ownAddress = '', ownPort = '', address = '', port = '', size = '0'] = process.argv.slice(2);
const content = randomBytes(Number(size));
const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
socket.bind(Number(ownPort), ownAddress, () => {
	// A connected socket takes no answer from anybody else.
	socket.connect(Number(port), address, () => socket.send([QUESTION, content]));
});
function print(answer: string | Uint8Array): void {
	process.stdout.write(answer);
	socket.close();
}

socket.on('message', answer => {
	const name = answer.subarray(0, answer.length - content.length);
	print(answer.subarray(name.length).equals(content) ? name : 'damaged');
});
socket.on('error', () => print('refused'));
setTimeout(() => socket.close(), PATIENCE_MS).unref();
