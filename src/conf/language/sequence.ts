/** `~SEQ(…)` and `~LST(…)`: a line that is read several times. */
import type {Text} from './text.js';

/** What the variables of a line are on one of its rounds, by name. */
export type Round = readonly (readonly [name: string, value: Text | string])[];

/** Rounds, or why there are none. */
export type Sequence = {readonly rounds: Iterable<Round>} | {readonly why: string};

const NAME = /^[A-Za-z_]\w*$/;
/** As strtol(3) reads them in base 0, but of a size that can be counted with. */
const NUMBER = /^[+-]?(?:0x[\da-f]{1,12}|\d{1,15})$/i;

/** What stands in the parentheses of `~SEQ`, or of `~SEQx`: VARIABLE, [START, [STEP,]] END. */
export function countingSequence(args: Text, hexadecimal: boolean): Sequence {
	const [name = '', ...written] = args.text.split(',').map(word => word.trim());
	if (!NAME.test(name)) return {why: 'names no variable'};
	if (written.length < 1 || written.length > 3) return {why: 'needs one to three numbers'};
	if (!written.every(word => NUMBER.test(word))) return {why: 'has something that is not a number'};
	const {start, step, end} = bounds(written.map(toNumber));
	if (step === 0 || Math.sign(end - start) * step < 0) return {why: 'never gets from its start to its end'};
	if (hexadecimal && Math.min(start, end) < 0)
		return {why: 'has negative numbers, which are not written in hexadecimal'};
	return {rounds: count(name, start, step, end, hexadecimal ? 16 : 10)};
}

function bounds(numbers: readonly number[]): {readonly start: number; readonly step: number; readonly end: number} {
	const [first = 0, second = 0, third = 0] = numbers;
	if (numbers.length === 3) return {start: first, step: second, end: third};
	if (numbers.length === 2) return {start: first, step: first <= second ? 1 : -1, end: second};
	return {start: first < 0 ? -1 : 1, step: first < 1 ? -1 : 1, end: first};
}

function toNumber(text: string): number {
	const [, sign, digits = ''] = /^([+-]?)(.*)$/.exec(text) ?? [];
	const magnitude = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
	return sign === '-' ? -magnitude : magnitude;
}

function* count(name: string, start: number, step: number, end: number, radix: number): Generator<Round> {
	for (let value = start; step > 0 ? value <= end : value >= end; value += step) yield [[name, value.toString(radix)]];
}

/** What stands in the parentheses of `~LST`: VARIABLE, VALUE, … or {VARIABLE, …}, {VALUE, …}, … */
export function listSequence(args: Text): Sequence {
	const [names, ...values] = splitAtCommas(args).map(inBraces);
	if (names === undefined || !names.every(({text}) => NAME.test(text))) return {why: 'names no variable'};
	if (values.length === 0) return {why: 'has no values'};
	if (values.some(({length}) => length !== names.length)) return {why: `has not ${names.length} values in each round`};
	return {rounds: values.map(round => round.map((value, index) => [names[index]?.text ?? '', value]))};
}

/** `{a, b}` → a, b; what has no braces is one. */
function inBraces(part: Text): Text[] {
	if (!part.text.startsWith('{') || !part.text.endsWith('}')) return [part];
	return splitAtCommas(part.slice(1, part.text.length - 1));
}

/** The parts between the commas that are in no braces, without blanks around them. */
function splitAtCommas(text: Text): Text[] {
	const parts: Text[] = [];
	let start = 0;
	let depth = 0;
	for (const {0: character, index} of text.text.matchAll(/[{},]/g)) {
		if (character === '{') depth++;
		else if (character === '}') depth--;
		else if (depth === 0) {
			parts.push(text.slice(start, index).trim());
			start = index + 1;
		}
	}
	return [...parts, text.slice(start).trim()];
}
