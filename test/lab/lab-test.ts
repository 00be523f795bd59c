/** What the tests of the laboratory share: one laboratory a file, and the words for what its clients see. */
import anyTest from 'ava';
import {Lab, type LabOptions} from '../../lab/lab.js';
import {obstacle} from '../../lab/prerequisites.js';
import type {Outcome} from '../../lab/protocol.js';
import {waitFor} from '../../lab/wait.js';
import {sentences} from './observe.js';

const reason = obstacle();
if (reason !== null) console.warn(`skipped: ${reason}`);

/** ava's `test.serial`; where the laboratory cannot work, its `skip`, said aloud. */
export const test = reason === null ? anyTest.serial : anyTest.serial.skip;

/** The same for tests that each have laboratories of their own, and most of whose time passes in waiting. */
export const sideBySide = reason === null ? anyTest : anyTest.skip;

/** A laboratory for all tests of the file: built and `prepare`d before the first, removed after the last in any case. */
export function labOfFile(options: LabOptions, prepare: (lab: Lab) => Promise<void> = async () => {}): () => Lab {
	let lab: Lab | null = null;
	if (reason === null) {
		anyTest.before(async () => {
			lab = await Lab.create(options);
			await prepare(lab);
		});
		anyTest.after.always(() => lab?.destroy());
	}
	return () => {
		if (lab === null) throw new Error('the laboratory was not built');
		return lab;
	};
}

/** A laboratory for one test, with both balancers running; `act` begins when `isReady` has resolved. */
export async function inLab(
	options: LabOptions,
	isReady: (lab: Lab) => Promise<void>,
	act: (lab: Lab) => Promise<void>,
): Promise<void> {
	const lab = await Lab.create(options);
	try {
		await Promise.all([lab.lb1.start(), lab.lb2.start()]);
		await isReady(lab);
		await act(lab);
	} finally {
		await lab.destroy();
	}
}

/**
 * Starts the first balancer and waits until its VRRP is master. The addresses alone do not tell: those of a daemon that was
 * killed are still there when the next one starts.
 */
export async function startPrimary({lb1}: Lab): Promise<void> {
	const before = sentences(lb1).length;
	await lb1.start();
	const isMaster = async () => {
		const said = sentences(lb1, before);
		const entered = ['external', 'internal'].every(name =>
			said.some(line => line.startsWith(`(${name}) Entering MASTER STATE`)),
		);
		return entered && (await lb1.isMaster());
	};
	await waitFor('lb1 is master', isMaster, {seen: () => lb1.log()});
}

/** Who answered, or why nobody did, in the order of the requests. */
export function answers(outcomes: readonly Outcome[]): string[] {
	const inOrder = outcomes.toSorted((a, b) => a.startedMs - b.startedMs);
	return inOrder.map(({error, body}) => error ?? body);
}

/** As many answers strictly in turn, from `first` on. */
export function inTurn(first: string, count: number): string[] {
	const second = other(first);
	return Array.from({length: count}, (_, n) => (n % 2 === 0 ? first : second));
}

/** The one of the two web servers that `server` is not. */
export function other(server: string): string {
	return server === 'web1' ? 'web2' : 'web1';
}

/** As many answers from one server. */
export function only(server: string, count: number): string[] {
	return Array.from({length: count}, () => server);
}
