/**
 * A program: sends one datagram and prints the answer, `refused` if the port is closed, or nothing if nothing comes from
 * where it was sent to.
 * Arguments: ADDRESS PORT (its own), ADDRESS PORT (the server's)
 */
import {createSocket} from 'node:dgram';

const PATIENCE_MS = 500;

const [ownAddress = '', ownPort = '', address = '', port = ''] = process.argv.slice(2);
const socket = createSocket('udp4');
socket.bind(Number(ownPort), ownAddress, () => {
	// A connected socket takes no answer from anybody else.
	socket.connect(Number(port), address, () => socket.send('who?'));
});
function print(answer: string | Uint8Array): void {
	process.stdout.write(answer);
	socket.close();
}

socket.on('message', print);
socket.on('error', () => print('refused'));
setTimeout(() => socket.close(), PATIENCE_MS).unref();
