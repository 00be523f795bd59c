import test from 'ava';
import {BLOCKED_MAX} from '../../src/conf/block-list.js';
import {configOf, read} from './reading.js';

function blocked(lines: string, lists: Readonly<Record<string, string>> = {}): readonly string[] {
	return configOf(`lbd {\n${lines}\n}`, lists).settings.blocked;
}

function complaints(lines: string, lists: Readonly<Record<string, string>> = {}): readonly string[] {
	return read(`lbd {\n${lines}\n}`, lists).printed;
}

test('prefixes are sorted, IPv4 first, each once and in canonical form', t => {
	t.deepEqual(
		blocked(
			'block 2001:DB8:0::/32 203.0.113.0/24\nblock 10.0.0.0/8 203.0.113.0/24 10.0.0.0/16 9.0.0.1\nblock 2001:db8::/31',
		),
		['9.0.0.1/32', '10.0.0.0/8', '10.0.0.0/16', '203.0.113.0/24', '2001:db8::/31', '2001:db8::/32'],
	);
});

test('files hold a prefix a line, and comments', t => {
	const list = '# bad\r\n192.0.2.0/24\r\n\n  198.51.100.7   ; SBL1\n2001:db8::/32 # more\n! end';
	t.deepEqual(blocked('block 192.0.2.0/24\nblock_file list\nblock_file other', {list, other: '1.1.1.1'}), [
		'1.1.1.1/32',
		'192.0.2.0/24',
		'198.51.100.7/32',
		'2001:db8::/32',
	]);
});

test('a list is looked for beside the file that names it', t => {
	const lists = {'etc/part.conf': 'lbd { block_file list\n}', 'etc/list': '1.1.1.1', list: '2.2.2.2'};
	t.deepEqual(configOf('include etc/part.conf', lists).settings.blocked, ['1.1.1.1/32']);
});

for (const [lines, ...expected] of [
	['block', `2:1: error: block lacks its argument (write 'block IP[/LENGTH]')`],
	['block 10.0.0.0/33', `2:7: error: block '10.0.0.0/33' has no prefix length in 0-32`],
	['block 10.0.0.0/8/8', `2:7: error: block '10.0.0.0/8/8' has no prefix length in 0-32`],
	['block 2001:db8::/129', `2:7: error: block '2001:db8::/129' has no prefix length in 0-128`],
	['block 10.0.0.1/8', `2:7: error: block '10.0.0.1/8' has bits set behind its prefix (did you mean '10.0.0.0/8'?)`],
	['block host', `2:7: error: block 'host' is not an IP address (write it like 192.0.2.1; names are not looked up)`],
	[
		'block 1.1.1.1 x y',
		...['x', 'y'].map(
			(name, index) =>
				`2:${15 + 2 * index}: error: block '${name}' is not an IP address (write it like 192.0.2.1; names are not looked up)`,
		),
	],
	['block_file nowhere', `2:1: error: block list 'nowhere' does not exist`],
] as const) {
	test(lines, t =>
		t.deepEqual(
			complaints(lines),
			expected.map(text => `lb.conf:${text}`),
		),
	);
}

test('what a list holds is complained of where it stands', t => {
	const list = '1.1.1.1\n\t10.0.0.1/8 # x\n1.1.1.1 2.2.2.2\nx';
	t.deepEqual(complaints('block_file list', {list}), [
		`list:2:2: error: block list '10.0.0.1/8' has bits set behind its prefix (did you mean '10.0.0.0/8'?)`,
		`list:3:1: error: block list line '1.1.1.1 2.2.2.2' is not one prefix (one a line)`,
		`list:4:1: error: block list 'x' is not an IP address (write it like 192.0.2.1; names are not looked up)`,
	]);
});

test('a list that is too long is refused where it becomes so', t => {
	const lines = Array.from(
		{length: BLOCKED_MAX + 1},
		(_, index) => `1.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
	);
	t.deepEqual(complaints('block_file list', {list: lines.join('\n')}), [
		`list:${BLOCKED_MAX + 1}:1: error: the block lists hold more than 1000000 prefixes (join neighbours to shorter prefixes)`,
	]);
});
