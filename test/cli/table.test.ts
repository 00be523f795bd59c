import test from 'ava';
import {type Column, renderTable} from '../../src/cli/table.js';

interface Row {
	readonly name: string;
	readonly size: number;
	readonly note: string;
}

const columns: readonly Column<Row>[] = [
	{title: 'NAME', cell: row => row.name},
	{title: 'SIZE', align: 'right', cell: row => String(row.size)},
	{title: 'NOTE', cell: row => row.note, tone: row => (row.note === '' ? null : 'bad')},
];
const plain = {colour: false, width: 100};

test('columns line up: words left, numbers right, nothing behind the last', t => {
	const rows = [
		{name: 'a', size: 1, note: 'first'},
		{name: 'longer', size: 12_345, note: ''},
	];
	t.is(renderTable(columns, rows, plain), 'NAME     SIZE  NOTE\na           1  first\nlonger  12345\n');
});

test('no rows: only the titles', t => {
	t.is(renderTable(columns, [], plain), 'NAME  SIZE  NOTE\n');
});

test('a line that is too wide loses its end, titles never', t => {
	const rows = [{name: 'a', size: 1, note: 'far too long to be shown'}];
	t.is(renderTable(columns, rows, {colour: false, width: 22}), 'NAME  SIZE  NOTE\na        1  far too l…\n');
	t.is(renderTable(columns, rows, {colour: false, width: 1}), 'NAME  SIZE  NOTE\na        1  far…\n');
});

test('a table may have more rows than a call can have arguments', t => {
	const rows = Array.from({length: 300_000}, (_, size) => ({name: 'a', size, note: ''}));
	t.is(renderTable(columns, rows, plain).split('\n').length, 300_002);
});

test('colours take no room', t => {
	const rows = [{name: 'a', size: 1, note: 'x'}];
	const bold = (text: string) => `\u001b[1m${text}\u001b[0m`;
	t.is(
		renderTable(columns, rows, {colour: true, width: 100}),
		`${bold('NAME')}  ${bold('SIZE')}  ${bold('NOTE')}\na        1  \u001b[31mx\u001b[0m\n`,
	);
});

test('text from outside cannot play with the terminal', t => {
	const rows = [{name: '\u001b[2Jx', size: 1, note: 'a\nb'}];
	t.is(renderTable(columns, rows, plain), 'NAME   SIZE  NOTE\n?[2Jx     1  a?b\n');
});
