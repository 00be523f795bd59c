/**
 * A program: answers every datagram that comes to a port with its own name and what stood in it behind the question.
 * Arguments: NAME PORT
 */
import {createSocket} from 'node:dgram';
import {QUESTION} from './datagram.js';

const [name = '', port = ''] = process.argv.slice(2);
// Of both families.
const socket = createSocket('udp6');
socket.on('message', (datagram, {address, port}) => {
	socket.send([Buffer.from(name), datagram.subarray(QUESTION.length)], port, address);
});
socket.bind(Number(port));
