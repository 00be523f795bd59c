/**
 * Mastership changes hands in good order, under load: the one who leaves serves until the other one does. Pings to a
 * virtual address are lost if nobody has it for 5 ms; requests show that the balancing goes on as well.
 */
import type {ExecutionContext} from 'ava';
import type {Program} from '../../lab/balancer.js';
import {interruption} from '../../lab/interruption.js';
import type {Lab} from '../../lab/lab.js';
import {Pings} from '../../lab/pings.js';
import type {Outcome} from '../../lab/protocol.js';
import {externalVip, internalVip} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import {ExitCode} from '../../src/errors.js';
import {reference} from './jobs.js';
import {inLab, test} from './lab-test.js';
import {external, lbctl, onlyMaster} from './observe.js';

/** The reference job, its primary master. */
function inPair(programs: Record<'lb1' | 'lb2', Program>, act: (lab: Lab) => Promise<void>): Promise<void> {
	const configs = {lb1: reference.primary, lb2: reference.backup};
	return inLab({configs, programs}, lab => onlyMaster(lab.lb1, lab.lb2), act);
}

interface Loss {
	/** From outside to the external address, and from a web server to the internal one. */
	readonly outside: number;
	readonly inside: number;
	readonly gapMs: number;
	/**
	 * HTTP requests without an answer: those that were under way when the flows stayed behind, if any. NaN while one of the
	 * two is keepalived, which balances nothing here.
	 */
	readonly requests: number;
	/** As many of them as were under way at a time: connections do not follow to the other balancer. */
	readonly underWay: number;
}

/** Between the starts of two requests. */
const PERIOD_MS = 20;

/** What is lost while mastership goes from one to the other. */
async function during(lab: Lab, act: () => Promise<unknown>, successor: 'lb1' | 'lb2'): Promise<Loss> {
	const balanced = lab.lb1.program === 'lbd' && lab.lb2.program === 'lbd';
	const stream = lab.client.stream({periodMs: PERIOD_MS});
	const pings = await Promise.all([
		Pings.start(lab.namespace('client'), externalVip),
		Pings.start(lab.namespace('web1'), internalVip),
	]);
	const acted = act();
	await onlyMaster(lab[successor], lab[successor === 'lb1' ? 'lb2' : 'lb1']);
	await acted;
	const since = stream.outcomes.length;
	await waitFor('requests go on', () => stream.outcomes.length > since + 50);
	const [outside, inside] = await Promise.all(pings.map(ping => ping.stop()));
	const outcomes = await stream.stop();
	return {
		outside: outside?.lost ?? Number.NaN,
		inside: inside?.lost ?? Number.NaN,
		requests: balanced ? interruption(outcomes).lost : Number.NaN,
		underWay: Math.ceil(usualMs(outcomes) / PERIOD_MS) + 1,
		gapMs: Math.max(outside?.gapMs ?? 0, inside?.gapMs ?? 0),
	};
}

/** What a request takes, but for the slowest ones. */
function usualMs(outcomes: readonly Outcome[]): number {
	const served = outcomes.filter(({status}) => status !== null).map(({ms}) => ms);
	return served.toSorted((a, b) => a - b)[Math.floor(served.length * 0.95)] ?? 0;
}

function assertNothingLost(t: ExecutionContext, what: string, loss: Loss): void {
	t.log(`${what}: ${words(loss)}`);
	t.is(loss.outside, 0, `${what}: pings from outside`);
	t.is(loss.inside, 0, `${what}: pings from inside`);
	t.false(loss.requests > loss.underWay, `${what}: ${loss.requests} requests, ${loss.underWay} were under way`);
}

function words({outside, inside, requests, gapMs}: Loss): string {
	const http = Number.isNaN(requests) ? '' : `, ${requests} HTTP requests lost`;
	return `${outside + inside} pings lost, ${gapMs} ms at most without an answer${http}`;
}

test('lbd and lbd: an orderly stop, a return, a release and its end lose nothing', async t => {
	await inPair({lb1: 'lbd', lb2: 'lbd'}, async lab => {
		assertNothingLost(t, 'SIGTERM', await during(lab, () => lab.lb1.stop(), 'lb2'));
		assertNothingLost(t, 'the better one returns', await during(lab, () => lab.lb1.start(), 'lb1'));

		const release = () => lab.lb1.lbctl('vrrp', 'release', 'internal');
		assertNothingLost(t, 'lbctl vrrp release', await during(lab, release, 'lb2'));
		t.like(await external(lab.lb1), {state: 'backup', reason: 'released', released: true, master: '192.168.1.11'});
		t.regex((await lbctl(lab.lb1, 'vrrp')).stdout, /external +BACKUP \(released\)/);

		const reclaim = () => lab.lb1.lbctl('vrrp', 'reclaim', 'VRRP1');
		assertNothingLost(t, 'lbctl vrrp reclaim', await during(lab, reclaim, 'lb1'));
		t.like(await external(lab.lb1), {state: 'master', released: false});

		await lab.lb2.stop();
		const alone = await lbctl(lab.lb1, 'vrrp', 'release', 'VRRP1');
		t.is(alone.code, ExitCode.failure);
		t.is(alone.stderr, 'lbctl: nobody has taken over, so external, internal went on as master\n');
		const unknown = await lbctl(lab.lb1, 'vrrp', 'release', 'nobody');
		t.is(unknown.stderr, 'lbctl: vrrp: there is no instance or sync group "nobody"\n');
	});
});

test('lbd leaves to keepalived and comes back, and nothing is lost', async t => {
	await inPair({lb1: 'lbd', lb2: 'keepalived'}, async lab => {
		assertNothingLost(t, 'SIGTERM', await during(lab, () => lab.lb1.stop(), 'lb2'));
		assertNothingLost(t, 'lbd returns', await during(lab, () => lab.lb1.start(), 'lb1'));
		const release = () => lab.lb1.lbctl('vrrp', 'release', 'VRRP1');
		assertNothingLost(t, 'lbctl vrrp release', await during(lab, release, 'lb2'));
	});
});

test('keepalived leaves to lbd as keepalived does, but where it comes back nothing is lost', async t => {
	await inPair({lb1: 'keepalived', lb2: 'lbd'}, async lab => {
		const stop = await during(lab, () => lab.lb1.stop(), 'lb2');
		t.log(`keepalived stops: ${words(stop)}`);
		t.true(stop.outside > 0, 'it breaks before it makes, or this test would notice nothing');
		assertNothingLost(t, 'keepalived returns', await during(lab, () => lab.lb1.start(), 'lb1'));
	});
});
