import test from 'ava';
import {concatBytes, LITTLE_ENDIAN} from '../../../src/net/bytes.js';
import {
	decodeAttributes,
	decodeErrno,
	decodeMessages,
	decodeText,
	encodeAttribute,
	encodeMessage,
	encodeText,
	NLM_F_DUMP,
	NLM_F_REQUEST,
} from '../../../src/net/netlink/message.js';
import {RTM_GETLINK} from '../../../src/net/netlink/route.js';
import {hex, mutations} from '../wire.js';

const message = {type: RTM_GETLINK, flags: NLM_F_REQUEST | NLM_F_DUMP, sequence: 7, body: hex`01020304 05`};
/** The golden bytes are written for the machines we run on. */
const onLittleEndian = LITTLE_ENDIAN ? test : test.skip;

onLittleEndian('a message', t => {
	// 21 bytes, RTM_GETLINK, request and dump, sequence 7, port 0 | body
	t.deepEqual(encodeMessage(message), hex`15000000 1200 0103 07000000 00000000 | 01020304 05`);
});

onLittleEndian('an attribute is padded, its length is not', t => {
	t.deepEqual(encodeAttribute(3, encodeText('eth0')), hex`0900 0300 65746830 00 000000`);
});

test('several messages of one datagram, the padding between them skipped', t => {
	const datagram = concatBytes(encodeMessage(message), new Uint8Array(3), encodeMessage({...message, sequence: 8}));
	t.deepEqual(decodeMessages(datagram), {ok: true, value: [message, {...message, sequence: 8}]});
});

test('every truncation of a message has a reason', t => {
	const bytes = encodeMessage(message);
	for (let length = 1; length < bytes.length; length++) {
		t.deepEqual(decodeMessages(bytes.subarray(0, length)), {ok: false, reason: 'bad-length'});
	}
});

test('a length below the header does not loop', t => {
	t.deepEqual(decodeMessages(new Uint8Array(32)), {ok: false, reason: 'bad-length'});
});

test('attributes come back by type', t => {
	const attributes = decodeAttributes(
		concatBytes(encodeAttribute(1, hex`0a0b0c`), encodeAttribute(3, encodeText('eth0'))),
	);
	t.deepEqual(attributes?.get(1), hex`0a0b0c`);
	t.is(decodeText(attributes?.get(3) ?? new Uint8Array()), 'eth0');
});

test('an attribute longer than what is left is refused', t => {
	t.is(decodeAttributes(encodeAttribute(1, hex`0a0b0c0d`).subarray(0, 6)), undefined);
	t.is(decodeAttributes(new Uint8Array(8)), undefined);
});

test('errno is positive, and a body without one has none', t => {
	t.is(decodeErrno(LITTLE_ENDIAN ? hex`efffffff` : hex`ffffffef`), 17);
	t.is(decodeErrno(hex`00000000`), 0);
	t.is(decodeErrno(hex`ef`), undefined);
});

test('damaged datagrams do not throw', t => {
	const datagram = concatBytes(encodeMessage({...message, body: hex`01020304`}), encodeMessage(message));
	for (const damaged of mutations(datagram, 5_000, 3)) {
		const decoded = decodeMessages(damaged);
		if (decoded.ok) for (const {body} of decoded.value) decodeAttributes(body);
	}
	t.pass();
});
