import type {ExecutionContext} from 'ava';
import type {Balancer} from '../../lab/balancer.js';
import type {Lab} from '../../lab/lab.js';
import {Pings} from '../../lab/pings.js';
import {externalVip, vips} from '../../lab/topology.js';
import {waitFor} from '../../lab/wait.js';
import type {InstanceReport} from '../../src/control/protocol.js';

const ADVERT_MS = 1000;

/** Resolves when lb1 has the addresses, and lb2 knows that it has none. */
export async function isAlone(lab: Lab): Promise<void> {
	const look = async () =>
		(await lab.lb1.vips()).length === vips.length &&
		(await lab.lb2.vips()).length === 0 &&
		(await standings(lab.lb2)).every(standing => standing.startsWith('backup'));
	await waitFor('lb1 alone is master', look, {seen: () => lab.lb1.log()});
}

/** Since when the instances of a balancer are what they are. */
export async function standings(balancer: Balancer): Promise<string[]> {
	const instances = (await balancer.lbctl('vrrp')) as InstanceReport[];
	return instances.map(({state, transitions}) => `${state} after ${transitions} transitions`);
}

/** The longest time between two adverts of lb1's on a wire while something happens, and for two intervals more. */
async function silence(lab: Lab, act: () => Promise<void>): Promise<number> {
	const wire = await lab.capture('client', 'eth0', 'vrrp and src host 192.168.1.10');
	await wire.frame(/vrid 91/);
	await act();
	const since = wire.frames.length;
	await waitFor('two more adverts', () => wire.frames.length >= since + 2);
	await wire.close();
	const times = wire.frames.map(({atMs}) => atMs);
	return Math.max(...times.slice(1).map((atMs, at) => atMs - (times[at] ?? 0)));
}

/** Something happens to lbd on lb1, which nobody notices. */
export async function unnoticed(t: ExecutionContext, lab: Lab, act: () => Promise<void>): Promise<void> {
	const before = await standings(lab.lb2);
	const pings = await Pings.start(lab.namespace('client'), externalVip);
	const longestMs = await silence(lab, act);
	const {sent, lost} = await pings.stop();
	t.log(`${Math.round(longestMs)} ms between adverts at most; ${lost} of ${sent} pings lost`);
	t.true(longestMs <= 2 * ADVERT_MS, `${longestMs} ms without an advert`);
	t.is(lost, 0);
	t.deepEqual(await standings(lab.lb2), before);
	await isAlone(lab);
}
