/** `make demo`: the reference job on real parts, step by step. KEEP=1 leaves the laboratory running. */
import {readFileSync} from 'node:fs';
import {setTimeout as pause} from 'node:timers/promises';
import type {View} from './demo/picture.js';
import {Screen} from './demo/screen.js';
import {type Step, steps} from './demo/steps.js';
import {Lab} from './lab.js';
import {obstacle} from './prerequisites.js';
import type {Outcome} from './protocol.js';
import {externalVip, type WebServerName} from './topology.js';

interface Verdict {
	readonly title: string;
	readonly ok: boolean;
	readonly figures: string;
}

const REDRAW_MS = 250;

function reference(name: 'primary' | 'backup'): string {
	return readFileSync(new URL(`../../test/conf/reference-${name}.conf`, import.meta.url), 'utf8');
}

async function look(lab: Lab, counted: readonly (readonly Outcome[])[]): Promise<View> {
	const [lb1Vips, lb2Vips] = await Promise.all([lab.lb1.vips(), lab.lb2.vips()]);
	const answers = (name: WebServerName) =>
		counted.reduce((sum, outcomes) => sum + outcomes.filter(outcome => outcome.body === name).length, 0);
	return {
		balancers: {
			lb1: {running: lab.lb1.running, vips: lb1Vips},
			lb2: {running: lab.lb2.running, vips: lb2Vips},
		},
		webServers: {
			web1: {running: lab.web1.running, answers: answers('web1')},
			web2: {running: lab.web2.running, answers: answers('web2')},
		},
	};
}

/** Performs the steps in order; without the first the others make no sense. */
async function perform(lab: Lab, screen: Screen, counted: (readonly Outcome[])[]): Promise<Verdict[]> {
	const stage = {
		lab,
		progress: (text: string, detail?: string) => screen.progress(text, detail),
		count: (outcomes: readonly Outcome[]) => void counted.push(outcomes),
	};
	const verdicts: Verdict[] = [];
	for (const step of steps) {
		const verdict = await attempt(step, () => step.run(stage));
		verdicts.push(verdict);
		screen.progress('');
		screen.line(`${sign(verdict, screen)} ${verdict.title}\n    ${screen.paint.faint(verdict.figures)}`);
		if (!verdict.ok && step === steps[0]) break;
	}
	return verdicts;
}

async function attempt({title}: Step, action: () => Promise<string>): Promise<Verdict> {
	try {
		return {title, ok: true, figures: await action()};
	} catch (error) {
		return {title, ok: false, figures: (error as Error).message};
	}
}

function sign({ok}: Verdict, {paint}: Screen): string {
	return ok ? paint.good('✓') : paint.bad('✗');
}

function firstLine(text: string): string {
	return text.split('\n', 1)[0] ?? '';
}

function summary(verdicts: readonly Verdict[], lab: Lab, screen: Screen): string[] {
	const failed = verdicts.filter(verdict => !verdict.ok);
	const skipped = steps.slice(verdicts.length).map(step => `- ${step.title} (not tried)`);
	const logs = failed.length === 0 ? [] : [lab.lb1, lab.lb2].map(lb => `\nlast of ${lb.name}'s log:\n${lb.log(12)}`);
	return [
		'',
		'Summary',
		...verdicts.map(verdict => `${sign(verdict, screen)} ${verdict.title}: ${firstLine(verdict.figures)}`),
		...skipped,
		...logs,
	];
}

function lookAround(lab: Lab): string {
	const enter = (node: 'client' | 'lb1' | 'web1') => `nsenter --net=/run/netns/${lab.namespace(node)}`;
	const hints = [
		['the first balancer (also: services, backends, flows, vrrp)', `bin/lbctl --name ${lab.lb1.daemonName} status`],
		['the second', `bin/lbctl --name ${lab.lb2.daemonName} vrrp`],
		['be a client', `${enter('client')} curl --interface 198.18.200.1 http://${externalVip}/`],
		['what the first balancer owns', `${enter('lb1')} ip address`],
		['what reaches a web server', `${enter('web1')} tcpdump -ni eth0 port 80`],
		['configuration files and logs', `ls ${lab.directory}`],
		['remove it all', 'make lab-clean'],
	];
	const lines = hints.flatMap(([what, command]) => [`  # ${what}`, `  ${command}`]);
	return ['', 'The laboratory is still running. As root:', ...lines].join('\n');
}

async function demo(): Promise<boolean> {
	const keep = Boolean(process.env.KEEP);
	const screen = new Screen(process.stdout);
	screen.line('Sluice: two balancers run the keepalived.conf of the reference job (test/conf/reference-*.conf)');
	const configs = {lb1: reference('primary'), lb2: reference('backup')};
	const lab = await Lab.create({configs, ...(keep ? {id: 'demo'} : {})});
	const counted: (readonly Outcome[])[] = [];
	let over = false;
	const redraw = async () => {
		for (; !over; await pause(REDRAW_MS)) screen.show(await look(lab, counted));
	};
	const redrawing = redraw();
	const verdicts = await perform(lab, screen, counted);
	over = true;
	await redrawing;
	screen.show(await look(lab, counted));
	screen.finish();
	for (const line of summary(verdicts, lab, screen)) screen.line(line);
	if (keep) {
		lab.keep();
		await lab.client.end();
		screen.line(lookAround(lab));
	} else {
		await lab.destroy();
	}
	return verdicts.length === steps.length && verdicts.every(verdict => verdict.ok);
}

const reason = obstacle();
if (reason !== null) {
	console.error(`demo: ${reason}`);
	process.exitCode = 1;
} else {
	try {
		process.exitCode = (await demo()) ? 0 : 1;
	} catch (error) {
		console.error(`demo: ${(error as Error).message}`);
		process.exitCode = 1;
	}
}
