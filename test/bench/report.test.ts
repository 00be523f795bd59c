import test from 'ava';
import {chart} from '../../bench/chart.js';
import {amount, report, times} from '../../bench/report.js';
import {figures} from '../../src/bench/figure.js';

const SAMPLES = new Map([
	['limit', [4, 5, 4]],
	['ours & <theirs>', [2, 4, 2]],
]);

const FIGURES = figures('delivered', 'Mpps', SAMPLES, [
	{name: 'limit'},
	{
		name: 'ours & <theirs>',
		yardsticks: ['limit'],
		goals: [
			{ratio: 'limit', bound: 'at least', value: 0.5},
			{bound: 'at most', value: 1},
		],
	},
]);

test('a figure has its ratio of the same rounds and says whether its goals are met', t => {
	const [limit, ours] = FIGURES;
	t.is(limit?.median, 4);
	t.deepEqual(ours?.ratios, [{to: 'limit', median: 0.5, low: 0.5, high: 0.8}]);
	t.deepEqual(
		ours?.goals.map(({met}) => met),
		[true, false],
	);
});

test('a goal that is a ratio to something that was not compared is not met', t => {
	const [figure] = figures('s', 'ns', SAMPLES, [
		{name: 'limit', goals: [{ratio: 'nothing', bound: 'at most', value: 9}]},
	]);
	t.false(figure?.goals[0]?.met);
});

test('what was not measured cannot be shown', t => {
	t.throws(() => figures('s', 'ns', SAMPLES, [{name: 'limit', yardsticks: ['nothing']}]), {message: /nothing was not/});
});

test('the table has a section with a line a figure', t => {
	t.is(
		report(FIGURES, 160, false),
		[
			'delivered           median      spread  ratios       goals',
			'limit            4.00 Mpps  4.00..5.00',
			'ours & <theirs>  2.00 Mpps  2.00..4.00  0.50x limit  ✓ ≥ 0.5x limit, ✗ ≤ 1',
			'',
		].join('\n'),
	);
});

test('amounts have the digits of their unit', t => {
	t.deepEqual([amount(159.6, 'ns'), amount(2.146, 'Mpps'), amount(-0.3, 'ns')], ['160', '2.15', '0']);
	t.deepEqual([times(0.914), times(10.44)], ['0.91x', '10.4x']);
});

test('the chart is well-formed, and its longest bar is the largest figure', t => {
	const svg = chart([{heading: 'one < two', figures: FIGURES, isOurs: ({name}) => name !== 'limit'}], 'some machine');
	t.true(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg"'));
	t.regex(svg, /one &#60; two/);
	t.regex(svg, /ours &#38; &#60;theirs&#62;/);
	const bars = [...svg.matchAll(/<rect class="(\w+)".* width="([\d.]+)"/g)].map(([, owner, width]) => [
		owner,
		Number(width),
	]);
	t.deepEqual(bars, [
		['other', 350],
		['ours', 175],
	]);
	const opened = [...svg.matchAll(/<(svg|style|text|rect)[ >]/g)].length;
	const closed = [...svg.matchAll(/<\/(svg|style|text)>|\/>/g)].length;
	t.is(opened, closed);
});
