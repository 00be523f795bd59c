import type {Cancel, Clock, Mail, MailEnd, Mailer} from '../host/host.js';
import type {Log} from '../log.js';
import type {Counts} from './counts.js';

/** A failover of a hundred instances, with their groups. */
const WAITING_MAX = 256;
/** How long until a mail is tried again; after the last of them it is given up. */
const RETRIES_US = [10_000_000, 60_000_000];
/** A server that answers everything just in time is believed for this many timeouts. */
const TIMEOUTS_MAX = 5;

/** Sends mails one after the other, and some of them again. */
export class MailQueue {
	readonly #mailer: Mailer;
	readonly #clock: Clock;
	readonly #log: Log;
	readonly #counts: Counts;
	readonly #waiting: Mail[] = [];
	#sending: AbortController | null = null;
	/** What is tried again before everything that waits. */
	#again: {readonly mail: Mail; readonly reason: string; readonly cancel: Cancel} | null = null;
	#closing = false;
	#onIdle: () => void = () => {};

	constructor(options: {
		readonly mailer: Mailer;
		readonly clock: Clock;
		readonly log: Log;
		readonly counts: Counts;
	}) {
		this.#mailer = options.mailer;
		this.#clock = options.clock;
		this.#log = options.log;
		this.#counts = options.counts;
	}

	add(mail: Mail): void {
		if (this.#waiting.length === WAITING_MAX) {
			this.#give(mail, 'lost', 'too many wait');
			return;
		}
		this.#waiting.push(mail);
		this.#sendNext();
	}

	/** Resolves when nothing is left to be sent; nothing is tried again from now on. */
	idle(): Promise<void> {
		this.#closing = true;
		this.#giveUpAgain();
		this.#sendNext();
		if (this.#sending === null) return Promise.resolve();
		return new Promise(resolve => {
			this.#onIdle = resolve;
		});
	}

	/** Drops what waits and breaks off what is being sent. */
	close(): void {
		this.#closing = true;
		this.#giveUpAgain();
		for (const mail of this.#waiting.splice(0)) this.#give(mail, 'lost', 'the daemon ends');
		this.#sending?.abort();
	}

	#sendNext(): void {
		if (this.#sending !== null || this.#again !== null) return;
		const mail = this.#waiting.shift();
		if (mail === undefined) this.#onIdle();
		else void this.#send(mail, 0);
	}

	async #send(mail: Mail, retries: number): Promise<void> {
		const sending = new AbortController();
		this.#sending = sending;
		const cancel = this.#clock.after(TIMEOUTS_MAX * mail.timeoutUs, 'mail', () => sending.abort());
		const end = await this.#mailer.send(mail, sending.signal);
		cancel();
		this.#sending = null;
		this.#conclude(mail, retries, end);
		this.#sendNext();
	}

	#conclude(mail: Mail, retries: number, end: MailEnd): void {
		const delayUs = RETRIES_US[retries];
		if (end.kind === 'sent') {
			this.#counts.add('mail', 'delivered');
			this.#log.debug({subject: mail.subject}, 'mail sent');
		} else if (end.kind === 'refused' || delayUs === undefined || this.#closing) {
			this.#give(mail, 'failed', end.reason);
		} else {
			const cancel = this.#clock.after(delayUs, 'mail again', () => {
				this.#again = null;
				void this.#send(mail, retries + 1);
			});
			this.#again = {mail, reason: end.reason, cancel};
			this.#log.info({subject: mail.subject, reason: end.reason}, 'mail not sent yet');
		}
	}

	#giveUpAgain(): void {
		if (this.#again === null) return;
		this.#again.cancel();
		this.#give(this.#again.mail, 'failed', this.#again.reason);
		this.#again = null;
	}

	#give({subject, server}: Mail, outcome: 'failed' | 'lost', reason: string): void {
		this.#counts.add('mail', outcome);
		this.#log.error({subject, server: `${server.host}:${server.port}`, reason}, 'mail not sent');
	}
}
