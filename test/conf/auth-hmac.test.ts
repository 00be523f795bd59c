import test from 'ava';
import {configOf, read, sound} from './reading.js';

const DIGITS = 'ab'.repeat(32);
const KEY = `key 1 hex:${DIGITS}`;
const FILES: Readonly<Record<string, string | Uint8Array>> = {
	binary: new Uint8Array(32).fill(0xff),
	digits: `hex:${DIGITS}\r\n`,
	text: 'a passphrase of thirty-two bytes\n',
	'open-key': `hex:${DIGITS}`,
	short: 'short',
	large: 'x'.repeat(2000),
	'/etc/keys/1': `hex:${DIGITS}`,
};

/** What becomes of `lines` in the block, whose first one is line 8. */
function hmac(lines: string, before = '', after = '') {
	return read(sound({instance: `${before}auth_hmac {\n${lines}\n}${after}`}), FILES);
}

function ruleOf(lines: string, before = '') {
	const [instance] = configOf(sound({instance: `${before}auth_hmac {\n${lines}\n}`}), FILES).instances;
	return instance?.authHmac;
}

test("keepalived's defaults", t => {
	t.deepEqual(ruleOf(`${KEY}\nactive_key 1`), {
		keys: [{id: 1, secret: DIGITS}],
		activeKeyId: 1,
		antiReplay: 'time',
		windowS: 5,
		mode: 'enforce',
	});
	for (const [advert, windowS] of [
		['1', 5],
		['2', 6],
		['99', 297],
		['200', 300],
	] as const) {
		t.is(ruleOf(`${KEY}\nactive_key 1`, `advert_int ${advert}\n`)?.windowS, windowS);
	}
	t.is(ruleOf(`${KEY}\nactive_key 1`, 'version 3\nadvert_int 2.5\n')?.windowS, 7);
});

test('all that can be said', t => {
	t.deepEqual(ruleOf(`${KEY}\nkey 255 file:text\nactive_key 255\nanti_replay monotonic\nmode permissive`), {
		keys: [
			{id: 1, secret: DIGITS},
			{id: 255, secret: Buffer.from('a passphrase of thirty-two bytes').toString('hex')},
		],
		activeKeyId: 255,
		antiReplay: 'monotonic',
		windowS: 5,
		mode: 'permissive',
	});
	t.is(ruleOf(`${KEY}\nmode receive-only`)?.activeKeyId, null);
	t.is(ruleOf(`${KEY}\nactive_key 1\ntime_window 300`)?.windowS, 300);
});

for (const [title, value] of [
	['digits', `hex:${DIGITS.toUpperCase()}`],
	['a file with digits', 'file:digits'],
	['a file by its whole path', 'file:/etc/keys/1'],
	['a file by a definition', `file:\${DIRECTORY}/1`],
] as const) {
	test(`a key of ${title}`, t => {
		const {config, printed} = hmac(`key 1 ${value}\nactive_key 1`, '$DIRECTORY=/etc/keys\n');
		t.deepEqual(printed, []);
		t.is(config?.instances[0]?.authHmac?.keys[0]?.secret, DIGITS);
	});
}

test('a key of text, and one of as many bytes as there may be', t => {
	t.is(
		ruleOf('key 1 "a passphrase of thirty-two bytes"\nactive_key 1')?.keys[0]?.secret,
		Buffer.from('a passphrase of thirty-two bytes').toString('hex'),
	);
	t.is(ruleOf(`key 1 ${'x'.repeat(64)}\nactive_key 1`)?.keys[0]?.secret.length, 128);
});

const MAKE_ONE = '(make one with: openssl rand -hex 32, and write hex: before it)';
const WRITE = "(write 'key 1-255 hex:DIGITS|file:PATH|TEXT')";

for (const [lines, ...printed] of [
	['', '7:1: error: auth_hmac has no active_key to sign with', '7:1: error: auth_hmac has no key'],
	[KEY, '7:1: error: auth_hmac has no active_key to sign with'],
	[
		`${KEY}\nactive_key 2`,
		"9:1: error: active_key 2 is none of the keys of auth_hmac (add 'key 2 …', or name another one)",
	],
	[`${KEY}\nactive_key 0`, "9:12: error: active_key '0' is outside 1-255"],
	[`${KEY}\n${KEY}\nactive_key 1`, '9:1: error: key 1 is there already, at lb.conf:8:1 (give it another id)'],
	[`key 1 hex:abc\nactive_key 1`, `8:1: error: key 1 is not hex: and pairs of hexadecimal digits ${MAKE_ONE}`],
	[`key 1 hex:abcdefgh\nactive_key 1`, `8:1: error: key 1 is not hex: and pairs of hexadecimal digits ${MAKE_ONE}`],
	[`key 1 hex:abcd\nactive_key 1`, `8:1: error: key 1 has 2 bytes instead of 32 to 64 ${MAKE_ONE}`],
	[`key 1 ${'x'.repeat(65)}\nactive_key 1`, `8:1: error: key 1 has 65 bytes instead of 32 to 64 ${MAKE_ONE}`],
	[`key 1 file:short\nactive_key 1`, `8:1: error: key 1 has 5 bytes instead of 32 to 64 ${MAKE_ONE}`],
	[
		`key 1 file:gone\nactive_key 1`,
		"8:1: error: key file 'gone' does not exist (it holds hex: and digits, or the key itself)",
	],
	[
		`key 1 file:large\nactive_key 1`,
		"8:1: error: key file 'large' is larger than 1024 bytes (it holds hex: and digits, or the key itself)",
	],
	[
		`key 1 file:binary\nactive_key 1`,
		"8:1: error: key file 'binary' holds no text (write its bytes as hex: and digits)",
	],
	[
		`key 1 file:open-key\nactive_key 1`,
		"8:1: warning: key file 'open-key' is open to others than its owner (close it with: chmod 600)",
	],
	[`key hex:${DIGITS}\nactive_key 1`, `8:1: error: what follows key is not an id in 1-255 ${WRITE}`],
	[`key 300 hex:${DIGITS}\nactive_key 1`, `8:1: error: what follows key is not an id in 1-255 ${WRITE}`],
	[`key 1\nactive_key 1`, `8:1: error: key 1 has no value ${WRITE}`],
	[`key 1 a passphrase\nactive_key 1`, `8:1: error: key 1 has several words behind its id ${WRITE}`],
	[
		`${KEY}\nactive_key 1\nanti_replay monotonic\ntime_window 9`,
		'11:1: warning: time_window is ignored with anti_replay monotonic (remove one of them)',
	],
	[`${KEY}\nactive_key 1\ntime_window 301`, "10:13: error: time_window '301' is outside 1-300"],
	[`${KEY}\nactive_key 1\nmode strict`, "10:6: error: mode 'strict' is none of enforce, permissive, receive-only"],
] as const) {
	test(`complains of: ${lines.replaceAll('\n', '; ')}`, t => {
		const said = hmac(lines).printed;
		for (const line of printed)
			t.true(
				said.some(one => one.startsWith(`lb.conf:${line}`)),
				said.join('\n'),
			);
		t.is(said.filter(one => !one.includes('active_key 1 is none')).length, printed.length, said.join('\n'));
	});
}

test('passwords have no place beside it', t => {
	const {config, printed} = hmac(
		`${KEY}\nactive_key 1`,
		'state MASTER\npriority 9\n',
		'\nauthentication {\nauth_type AH\nauth_pass 1215\n}',
	);
	t.deepEqual(printed, ['lb.conf:13:1: warning: authentication is ignored with auth_hmac (remove it)']);
	t.like(config?.instances[0], {password: null, usesAuthHeader: false, initialState: 'master'});
});

test('strict mode allows no advert without a trailer', t => {
	t.deepEqual(hmac(`${KEY}\nactive_key 1`, 'strict_mode\n').printed, []);
	t.deepEqual(hmac(`${KEY}\nactive_key 1\nmode permissive`, 'strict_mode\n').printed.slice(0, 1), [
		"lb.conf:8:1: error: mode permissive of auth_hmac believes adverts that strict mode does not allow (write 'mode enforce', or remove vrrp_strict)",
	]);
});

test('by unicast, only peers are believed', t => {
	const peers = 'unicast_peer {\n192.168.1.9\n}\n';
	const unicastOf = (before: string, block: string) =>
		configOf(sound({instance: before + block})).instances[0]?.unicast?.checkSource;
	t.is(unicastOf(peers, ''), false);
	t.is(unicastOf(peers, `auth_hmac {\n${KEY}\nactive_key 1\n}`), true);
});

test('the trailer takes the room of an IPv6 address', t => {
	const addresses = Array.from({length: 90}, (_, n) => `fe80::${n + 1}`).join('\n');
	const advertised = (mode: string) => {
		const block = `auth_hmac {\n${KEY}\nactive_key 1\nmode ${mode}\n}`;
		const text = `vrrp_instance B {\ninterface eth1\nvirtual_router_id 9\n${block}\nvirtual_ipaddress {\n${addresses}\n}\n}`;
		return configOf(sound({top: text})).instances[1]?.addresses.length;
	};
	t.is(advertised('enforce'), 89);
	t.is(advertised('receive-only'), 90);
});

test('whatever is wrong with a key, it is in no complaint', t => {
	for (const secret of ['hunter2hunter2', `hex:${DIGITS}zz`, '"hunter2 hunter2"', "'hunter2 x"]) {
		for (const line of [
			`key ${secret}`,
			`key 1 ${secret}`,
			`key 1 ${secret} hunter2`,
			`key x ${secret}`,
			`key 1 1 ${secret}`,
		]) {
			const said = hmac(`${line}\nactive_key 1`).printed.join('\n');
			t.notRegex(said, /hunter2|abab/, line);
		}
	}
});
