/** A program: answers every datagram that comes to a port with its own name. Arguments: NAME PORT */
import {createSocket} from 'node:dgram';

const [name = '', port = ''] = process.argv.slice(2);
const socket = createSocket('udp4');
socket.on('message', (_, {address, port}) => socket.send(name, port, address));
socket.bind(Number(port));
