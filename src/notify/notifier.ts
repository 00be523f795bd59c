import type {Config, Globals, Instance, InstanceNotify, Script, SyncGroup, Timed} from '../conf/model.js';
import type {Cancel, Clock, Mailer, Pipes, Scripts} from '../host/host.js';
import type {Log} from '../log.js';
import {Counts} from './counts.js';
import {due, type Subscriptions} from './due.js';
import type {NotifyEvent, Standing} from './event.js';
import {FifoSet, type Topic} from './fifo-set.js';
import {MailQueue} from './mail-queue.js';
import {endWords, ScriptQueue} from './script-queue.js';
import type {Message} from './words.js';

/** How long the last scripts and mails may take when the daemon ends. */
const GRACE_US = 5_000_000;

export interface NotifierSeams {
	readonly clock: Clock;
	readonly log: Log;
	readonly scripts: Scripts;
	readonly pipes: Pipes;
	readonly mailer: Mailer;
	/** What the machine calls itself. */
	readonly machine: string;
}

/**
 * Tells scripts, FIFOs and people what happens. Nothing here waits for any of them: what finds no room is counted, logged
 * and lost.
 */
export class Notifier implements Subscriptions {
	readonly counts = new Counts();
	readonly #seams: NotifierSeams;
	/** Of VRRP apart from those of services, so that a thousand dead backends do not stand in its way. */
	readonly #scripts: Readonly<Record<Topic, ScriptQueue>>;
	readonly #fifos: FifoSet;
	readonly #mails: MailQueue;
	#config: Config;
	/** Instances and groups that the configuration before had: they may be about to be told as deleted. */
	#gone: {readonly instances: readonly Instance[]; readonly groups: readonly SyncGroup[]} = {instances: [], groups: []};
	/** Where instances and groups were when they were last told of. */
	readonly #standings = new Map<string, Standing>();
	/** The state of the last mail about each. */
	readonly #mailed = new Map<string, string>();

	constructor(config: Config, seams: NotifierSeams) {
		this.#config = config;
		this.#seams = seams;
		const {scripts, log, clock, pipes, mailer} = seams;
		const queue = (): ScriptQueue =>
			new ScriptQueue({scripts, log, counts: this.counts, timeoutUs: () => this.#config.settings.notifyTimeoutUs});
		this.#scripts = {vrrp: queue(), lvs: queue()};
		this.#fifos = new FifoSet({pipes, scripts, clock, log, counts: this.counts});
		this.#mails = new MailQueue({mailer, clock, log, counts: this.counts});
	}

	/** Opens the FIFOs, then runs the `startup_script` to its end; what it says of itself stops nothing. */
	async start(): Promise<void> {
		await this.#once('startup_script', this.#config.globals.startup);
		this.#fifos.configure(this.#config.globals.fifos);
	}

	/** Is about to be put in force: what comes of that is told by it, and of what it removes by the one before. */
	expect(config: Config): void {
		const {instances, syncGroups: groups} = this.#config;
		this.#gone = {instances, groups};
		this.#config = config;
		this.#fifos.configure(config.globals.fifos);
	}

	/** A reload is done: tells the FIFOs of what stands as before, if they want. */
	reloaded(): void {
		this.#forget();
		for (const standing of this.#standings.values()) this.tell({...standing, kind: 'still'});
	}

	/** What a daemon before this one has told. */
	recall(standing: Standing): void {
		this.#note(standing);
	}

	tell(event: NotifyEvent): void {
		const isNews = event.kind !== 'entered' || this.#isNews(event);
		if (event.kind === 'entered') this.#note(event);
		if (event.kind === 'priority') this.#notePriority(event);
		if (!isNews) return;
		const {scripts, line, message} = due(event, this);
		const topic = topicOf(event);
		const subject = subjectOf(event);
		this.#scripts[topic].add(subject, scripts);
		if (line !== null) this.#fifos.write(topic, line);
		if (message !== null && this.#isNewsByMail(event)) this.#mail(message);
	}

	/** Lets what is under way come to its end, for a short while; then runs the `shutdown_script`. */
	async end(): Promise<void> {
		const idle = [this.#scripts.vrrp.idle(), this.#scripts.lvs.idle(), this.#mails.idle(), this.#fifos.end()];
		await this.#within(GRACE_US, Promise.all(idle));
		for (const part of [this.#scripts.vrrp, this.#scripts.lvs, this.#mails, this.#fifos]) part.close();
		await this.#once('shutdown_script', this.#config.globals.shutdown);
	}

	// Who asked to be told

	get globals(): Globals {
		return this.#config.globals;
	}

	instance(name: string): InstanceNotify | null {
		const notify = named([...this.#config.instances, ...this.#gone.instances], name)?.notify ?? null;
		const ofGroup = this.#groupOf(name)?.notify;
		return notify && {...notify, priorityChanges: notify.priorityChanges || (ofGroup?.priorityChanges ?? false)};
	}

	group(name: string): SyncGroup['notify'] {
		return named([...this.#config.syncGroups, ...this.#gone.groups], name)?.notify ?? null;
	}

	#groupOf(instance: string): SyncGroup | undefined {
		return this.#config.syncGroups.find(({instances}) => instances.includes(instance));
	}

	/** After the first time, an instance that only follows its group is not told of (keepalived §3.5). */
	#isNews({scope, name, state}: Standing): boolean {
		const group = scope === 'instance' ? this.#groupOf(name) : undefined;
		if (group === undefined || !this.#standings.has(`instance ${name}`)) return true;
		return this.#standings.get(`group ${group.name}`)?.state !== state;
	}

	/** Names that the configuration does not have any more. */
	#forget(): void {
		const {instances, syncGroups} = this.#config;
		for (const [subject, {scope, name}] of this.#standings) {
			const known: readonly {readonly name: string}[] = scope === 'instance' ? instances : syncGroups;
			if (named(known, name) !== undefined) continue;
			this.#standings.delete(subject);
			this.#mailed.delete(subject);
		}
	}

	#note({scope, name, state, priority}: Standing): void {
		const subject = `${scope} ${name}`;
		if (state === 'DELETED') this.#standings.delete(subject);
		else this.#standings.set(subject, {scope, name, state, priority});
	}

	#notePriority({name, priority}: Extract<NotifyEvent, {kind: 'priority'}>): void {
		const subject = `instance ${name}`;
		const standing = this.#standings.get(subject);
		if (standing !== undefined) this.#standings.set(subject, {...standing, priority});
	}

	/** A state that was the last one to be mailed is no news: FAULT may have been between, which need not be mailed. */
	#isNewsByMail(event: NotifyEvent): boolean {
		if (event.kind !== 'entered') return true;
		const subject = subjectOf(event);
		const before = this.#mailed.get(subject);
		if (event.state === 'DELETED') this.#mailed.delete(subject);
		else this.#mailed.set(subject, event.state);
		return event.state !== before;
	}

	#mail({subject, text}: Message): void {
		const {machine} = this.#seams;
		const {routerId, mail} = this.#config.globals;
		const {server, to, timeoutUs} = mail;
		if (server === null || to.length === 0) return;
		this.#mails.add({
			server,
			heloName: mail.heloName ?? machine,
			from: mail.from ?? `keepalived@${machine}`,
			to,
			subject: `[${routerId ?? machine}] ${subject}`,
			text,
			timeoutUs,
		});
	}

	async #once(what: string, timed: Timed | null): Promise<void> {
		if (timed === null) return;
		const {script, timeoutUs}: {script: Script; timeoutUs: number} = timed;
		const end = await this.#seams.scripts.run(script, {timeoutUs});
		const level = end.kind === 'exited' && end.status === 0 ? 'info' : 'error';
		this.#seams.log[level]({script: script.argv}, `${what} ${script.argv[0]}: ${endWords(end)}`);
	}

	#within(us: number, work: Promise<unknown>): Promise<void> {
		return new Promise(resolve => {
			const cancel: Cancel = this.#seams.clock.after(us, 'last notifications', resolve);
			void work.then(() => {
				cancel();
				resolve();
			});
		});
	}
}

function named<T extends {readonly name: string}>(all: readonly T[], name: string): T | undefined {
	return all.find(one => one.name === name);
}

function topicOf({kind}: NotifyEvent): Topic {
	return kind === 'backend' || kind === 'quorum' || kind === 'check' ? 'lvs' : 'vrrp';
}

/** What events must stay in order about. */
function subjectOf(event: NotifyEvent): string {
	switch (event.kind) {
		case 'entered':
		case 'still':
			return `${event.scope} ${event.name}`;
		case 'priority':
		case 'lower-priority':
			return `instance ${event.name}`;
		case 'quorum':
			return `service ${event.service.name}`;
		case 'backend':
		case 'check':
			return `service ${event.service.name} backend ${event.backend.name}`;
		default:
			return event satisfies never;
	}
}
