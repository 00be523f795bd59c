/**
 * The reference job with `use_vmac`: both virtual routers have MAC addresses of their own (RFC 9568 §7.3), which move with
 * the addresses. Beside keepalived, and as keepalived has it in the kernel's tables.
 */
import type {Balancer, Program} from '../../lab/balancer.js';
import type {Lab} from '../../lab/lab.js';
import type {Outcome} from '../../lab/protocol.js';
import {externalVip, internalVip, type NodeName} from '../../lab/topology.js';
import {monotonicMs, waitFor} from '../../lab/wait.js';
import {reference} from './jobs.js';
import {answers, inLab, inTurn, test} from './lab-test.js';

const MAC = {external: '00:00:5e:00:01:5b', internal: '00:00:5e:00:01:5c'} as const;
const PERIOD_MS = 20;
/** Requests in half a second. */
const LATE = 25;

const withVirtualMac = (text: string): string => text.replace(/^(\s*)virtual_router_id .*$/gm, '$&\n$1use_vmac');
const configs = {lb1: withVirtualMac(reference.primary), lb2: withVirtualMac(reference.backup)};

function inPair(programs: {lb1?: Program; lb2?: Program}, act: (lab: Lab) => Promise<void>): Promise<void> {
	return inLab({configs, programs}, lab => mastery(lab, 'lb1'), act);
}

async function mastery(lab: Lab, name: 'lb1' | 'lb2'): Promise<void> {
	const seen = () => `${lab.lb1.log()}\n${lab.lb2.log()}`;
	const other = name === 'lb1' ? lab.lb2 : lab.lb1;
	const isOnly = async () => (await lab[name].isMaster()) && !(other.running && (await other.isMaster()));
	await waitFor(`${name} is the only master`, isOnly, {seen});
}

/** The MAC address that a node sends to for an address, as it remembers it. */
async function neighbour(lab: Lab, node: NodeName, address: string): Promise<string | undefined> {
	const [entry] = JSON.parse(await lab.run(node, 'ip', '-j', 'neigh', 'show', 'to', address));
	return entry?.lladdr;
}

/** What the kernel has of both interfaces, but for numbers that differ from machine to machine. */
async function inKernel(lab: Lab, {name}: Balancer): Promise<unknown> {
	const links = ['vrrp.91', 'vrrp.92'].map(async device => {
		const [link] = JSON.parse(await lab.run(name, 'ip', '-j', '-d', 'address', 'show', 'dev', device));
		const {ifindex, link_index, ...rest} = link;
		const sysctls = await lab.run(name, 'sh', '-c', `sysctl -a 2>/dev/null | grep 'net.ipv[46].conf.${device}[.]'`);
		// What IPv6 has found out about the link, and when.
		const settings = sysctls.split('\n').filter(line => !/stable_secret|\.mtu /.test(line));
		return {...rest, settings};
	});
	const below = await lab.run(name, 'sysctl', 'net.ipv4.conf.eth0.arp_ignore', 'net.ipv4.conf.eth0.arp_filter');
	return {links: await Promise.all(links), below};
}

async function macvlans(lab: Lab, {name}: Balancer): Promise<string[]> {
	const links: {ifname?: string}[] = JSON.parse(await lab.run(name, 'ip', '-j', 'link', 'show', 'type', 'macvlan'));
	return links.flatMap(({ifname}) => ifname ?? []);
}

/** By both servers, all of them. */
function areServed(outcomes: readonly Outcome[]): boolean {
	return [...new Set(answers(outcomes))].toSorted().join() === 'web1,web2';
}

for (const survivor of ['lbd', 'keepalived'] as const) {
	test(`SIGKILL beside ${survivor}: everybody goes on sending to the same MAC address, and SIGTERM leaves nothing behind`, async t => {
		await inPair({lb2: survivor}, async lab => {
			t.deepEqual(answers(await lab.client.sequence(4)), inTurn('web1', 4));
			t.is(await neighbour(lab, 'client', externalVip), MAC.external);
			t.is(await neighbour(lab, 'web1', internalVip), MAC.internal);
			if (survivor === 'lbd') {
				const [link] = JSON.parse(await lab.run('lb2', 'ip', '-s', '-j', 'link', 'show', 'dev', 'vrrp.91'));
				t.is(link.stats64.tx.packets, 0, 'a backup says nothing with the virtual MAC address');
			}
			const ours = await inKernel(lab, lab.lb1);
			const arp = await lab.capture('client', 'eth0', `arp host ${externalVip} and arp[6:2] = 2`);
			const stream = lab.client.stream({periodMs: PERIOD_MS});
			await lab.lb1.kill('SIGKILL');
			await mastery(lab, 'lb2');
			const takenOverMs = monotonicMs();
			const late = () => stream.outcomes.filter(({startedMs}) => startedMs > takenOverMs).slice(-LATE);
			// keepalived runs without IPVS here, so that nobody serves behind it.
			const goesOn = () => late().length === LATE && (survivor === 'keepalived' || areServed(late()));
			await waitFor('the stream goes on', goesOn);
			await stream.stop();
			if (survivor === 'keepalived') t.deepEqual(await inKernel(lab, lab.lb2), ours, 'as keepalived has it');
			t.is(await neighbour(lab, 'client', externalVip), MAC.external);
			t.is(await neighbour(lab, 'web1', internalVip), MAC.internal);
			await arp.close();
			const elsewhere = arp.matching(/is-at/).filter(({text}) => !text.includes(MAC.external));
			t.deepEqual(elsewhere, [], 'nobody is told another MAC address');
			t.deepEqual(await macvlans(lab, lab.lb1), ['vrrp.91', 'vrrp.92'], 'left by the crash, and found again');
			await lab.lb1.start();
			await mastery(lab, 'lb1');
			t.deepEqual(answers(await lab.client.sequence(2)).toSorted(), ['web1', 'web2']);
			await lab.lb1.stop();
			t.deepEqual(await macvlans(lab, lab.lb1), []);
			await mastery(lab, 'lb2');
		});
	});
}
