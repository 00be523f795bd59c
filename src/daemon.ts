/**
 * The wiring of `lbd`: the only place that knows every feature. It passes values between them and decides nothing that
 * could be decided elsewhere.
 */
import {fileURLToPath} from 'node:url';
import {checkerFor} from './check/checkers.js';
import {CheckRunner} from './check/runner.js';
import {formatDiagnostic} from './conf/diagnostics.js';
import type {Config} from './conf/model.js';
import {lockName} from './control/lock.js';
import {type ReloadReport, socketPath} from './control/protocol.js';
import {serveControl} from './control/server.js';
import {ConfError, ControlError, ExitCode, KernelError} from './errors.js';
import type {Host} from './host/host.js';
import type {Log} from './log.js';
import {Metrics} from './metrics/metrics.js';
import {serveMetrics} from './metrics/server.js';
import {stateOf} from './notify/event.js';
import {Notifier} from './notify/notifier.js';
import {blockChanges} from './plan/block-list.js';
import {NextHops} from './reach/next-hops.js';
import {OwnAddresses} from './reach/own-addresses.js';
import {Reconciler} from './reconcile.js';
import {Reporter} from './report.js';
import {SharingChild} from './sync/child.js';
import {SyncWait} from './sync/wait.js';
import {TrackerRunner} from './track/runner.js';
import {Undo} from './undo.js';
import {VrrpChild} from './vrrp/child.js';
import type {Transition, VrrpConfig} from './vrrp/protocol.js';
import {keepCounting} from './xdp/census.js';
import {DataPlane} from './xdp/dataplane.js';

const OBJECT_DIRECTORY = fileURLToPath(new URL('..', import.meta.url));

export interface DaemonOptions {
	readonly name: string;
	readonly config: Config;
	/** Reads the configuration again, for a reload. Throws ConfError when it has errors. */
	readonly load: () => Config;
	readonly host: Host;
	readonly log: Log;
}

export class Daemon {
	/** Resolves when the daemon has stopped, with what to exit with. */
	readonly ended: Promise<ExitCode>;
	readonly #options: DaemonOptions;
	readonly #undo = new Undo();
	readonly #dataPlane: DataPlane;
	readonly #reconciler: Reconciler;
	readonly #own: OwnAddresses;
	readonly #checks: CheckRunner;
	readonly #notifier: Notifier;
	readonly #vrrp: VrrpChild;
	readonly #trackers: TrackerRunner;
	readonly #sharing: SharingChild;
	readonly #syncWait: SyncWait;
	readonly #reporter: Reporter;
	#config: Config;
	/** Reloads and the stop wait for one another. */
	#work: Promise<void> = Promise.resolve();
	#stopping = false;
	#end: (code: ExitCode) => void = () => {};

	/**
	 * Starts everything: the name's lock, the data plane, the maps, then the ears and eyes, and VRRP last, so that
	 * nobody is answered before there is something to answer with. Rejects with ControlError or KernelError; what had
	 * been started by then is taken back.
	 */
	static async start(options: DaemonOptions): Promise<Daemon> {
		const undo = new Undo();
		try {
			const lock = lockName(options.name);
			undo.add(() => lock.release());
			const {globals, settings} = options.config;
			const dataPlane = await DataPlane.open({
				name: options.name,
				objectDirectory: OBJECT_DIRECTORY,
				sizes: settings,
				timeouts: globals.timeoutsS,
				clock: options.host.clock,
				log: options.log,
			});
			let started = false;
			undo.add(() => (started ? dataPlane.close() : dataPlane.discard()));
			const daemon = new Daemon(options, dataPlane, undo);
			await daemon.#begin();
			started = true;
			return daemon;
		} catch (error) {
			await undo.all();
			throw error;
		}
	}

	private constructor(options: DaemonOptions, dataPlane: DataPlane, undo: Undo) {
		const {host, log} = options;
		this.ended = new Promise(resolve => {
			this.#end = resolve;
		});
		this.#options = options;
		this.#config = options.config;
		this.#dataPlane = dataPlane;
		this.#undo = undo;

		const netlink = host.openNetlink();
		undo.add(() => netlink.close());
		const nextHops = new NextHops({
			netlink,
			clock: host.clock,
			log,
			onChange: () => {
				dataPlane.bumpRouteGeneration();
				this.#reconciler.request();
			},
		});
		undo.add(() => nextHops.close());
		const {scripts, pipes, mailer, name: machine} = host;
		this.#notifier = new Notifier(options.config, {clock: host.clock, log, scripts, pipes, mailer, machine});
		undo.add(() => this.#notifier.end());
		this.#own = new OwnAddresses({netlink, clock: host.clock, log});
		undo.add(() => this.#own.close());
		this.#checks = new CheckRunner({
			clock: host.clock,
			log,
			random: host.random,
			onChange: () => this.#reconciler.request(),
			isHere: address => this.#own.has(address),
			onWeight: () => this.#reconciler.request(),
			checkerFor: check => checkerFor(check, host),
			listener: {
				backend: (service, backend, up, occasion) =>
					this.#notifier.tell({kind: 'backend', service, backend, up, occasion}),
				quorum: (service, up, weight, occasion) => this.#notifier.tell({kind: 'quorum', service, up, weight, occasion}),
				check: (service, backend, {check, ...turn}) =>
					this.#notifier.tell({kind: 'check', service, backend, check: check.kind, ...turn}),
			},
		});
		undo.add(() => this.#checks.stop());
		this.#reconciler = new Reconciler({
			dataPlane,
			nextHops,
			netlink,
			clock: host.clock,
			log,
			isUp: (service, backend) => this.#checks.isUp(service, backend),
			weighed: services => this.#checks.weighed(services),
		});
		undo.add(() => this.#reconciler.close());
		this.#vrrp = new VrrpChild({
			processes: host.subprocesses,
			clock: host.clock,
			log,
			events: {
				onTransition: transition => {
					this.#reporter.transitioned(transition);
					this.#tellTransition(transition);
				},
				onRival: ({instance: name, priority}) => this.#notifier.tell({kind: 'lower-priority', name, priority}),
				onPriority: ({instance: name, ...change}) => this.#notifier.tell({kind: 'priority', name, ...change}),
				onFatal: error => {
					log.error({error}, 'vrrp cannot go on');
					void this.stop(error.exitCode);
				},
			},
		});
		this.#trackers = new TrackerRunner({host, log, onReport: report => this.#vrrp.track(report)});
		undo.add(() => this.#trackers.stop());
		this.#sharing = new SharingChild({
			processes: host.sharingProcesses,
			clock: host.clock,
			log,
			events: {onStatus: ({state}) => this.#syncWait.heard(state)},
		});
		undo.add(() => this.#sharing.stop());
		this.#syncWait = new SyncWait({
			clock: host.clock,
			onEnd: how => {
				log.info({how}, 'preemption waits no more for the connections of the others');
				this.#vrrp.wait(false);
			},
		});
		undo.add(() => this.#syncWait.cancel());
		this.#reporter = new Reporter({
			name: options.name,
			clock: host.clock,
			log,
			dataPlane,
			checks: this.#checks,
			vrrp: this.#vrrp,
			sharing: this.#sharing,
			interfaces: () => this.#reconciler.interfaces(),
			notifications: () => this.#notifier.counts.read(),
		});
	}

	async #begin(): Promise<void> {
		const {name, host, log} = this.#options;
		await this.#notifier.start();
		await this.#own.look();
		this.#checks.configure(this.#config.services);
		await this.#block(this.#config);
		await this.#reconciler.configure(this.#config);
		this.#reporter.configured(this.#config);
		this.#undo.add(this.#reporter.keepSweeping());
		this.#undo.add(keepCounting({dataPlane: this.#dataPlane, clock: host.clock, log}));

		const metrics = new Metrics(() => this.#reporter.snapshot());
		if (this.#config.settings.metrics !== null) {
			const server = await serveMetrics(metrics, this.#config.settings.metrics, log);
			if (server !== null) this.#undo.add(() => server.close());
		}
		const control = await serveControl({
			path: socketPath(name),
			clock: host.clock,
			log,
			handlers: {
				status: () => this.#reporter.status(),
				health: () => this.#reporter.health(),
				vrrp: () => this.#reporter.vrrp(),
				metrics: () => metrics.text(),
				reload: () => this.reload(),
				stop: () => {
					void this.stop();
					return null;
				},
			},
		});
		this.#undo.add(() => control.close());

		this.#share(this.#config);
		this.#syncWait.begin(this.#config.sharing?.waitUs ?? 0);
		this.#trackers.configure(this.#config.trackers);
		this.#undo.add(() => this.#vrrp.stop());
		if (hasHoldings(this.#config)) await this.#vrrp.configure(this.#vrrpConfig(this.#config));
		log.info({name, services: this.#config.services.length, adopted: this.#dataPlane.adopted}, 'lbd is ready');
	}

	/** Reads the file again and puts it in force. A file with errors, or one that cannot be carried out, changes nothing. */
	reload(): Promise<ReloadReport> {
		return this.#oneAtATime(async () => {
			const report = await this.#reload();
			this.#reporter.reloaded(report);
			const level = report.applied ? 'info' : 'error';
			this.#options.log[level]({diagnostics: report.diagnostics}, `reload: ${report.summary}`);
			return report;
		});
	}

	async #reload(): Promise<ReloadReport> {
		const at = this.#options.host.clock.wall().toISOString();
		try {
			if (this.#stopping) throw new ControlError('stopping', 'the daemon is stopping');
			const config = this.#options.load();
			const problems = await this.#change(config);
			const summary = `in force (services: ${config.services.length}, vrrp instances: ${config.instances.length})`;
			return {applied: true, summary, at, diagnostics: problems, exitCode: ExitCode.ok};
		} catch (error) {
			if (!isRefusal(error)) throw error;
			const diagnostics = error instanceof ConfError ? error.diagnostics.map(formatDiagnostic) : [];
			const summary = `refused, nothing was changed: ${error.message}`;
			return {applied: false, summary, at, diagnostics, exitCode: error.exitCode};
		}
	}

	/**
	 * Tries the parts that can refuse first, and goes back to the configuration before when one does. Resolves to what is
	 * in force but did not fit into the maps.
	 */
	async #change(config: Config): Promise<readonly string[]> {
		const before = this.#config;
		try {
			const problems = await this.#enforce(config);
			this.#config = config;
			this.#reporter.configured(config);
			this.#notifier.reloaded();
			return problems;
		} catch (error) {
			await this.#enforce(before);
			throw error;
		}
	}

	async #enforce(config: Config): Promise<readonly string[]> {
		this.#notifier.expect(config);
		await this.#vrrp.configure(this.#vrrpConfig(config));
		this.#trackers.configure(config.trackers);
		this.#checks.configure(config.services);
		this.#dataPlane.setTimeouts(config.globals.timeoutsS);
		await this.#block(config);
		this.#share(config);
		return this.#reconciler.configure(config);
	}

	#share({sharing}: Config): void {
		this.#dataPlane.setSharing(sharing !== null);
		this.#sharing.configure(sharing === null ? null : {...sharing, daemon: this.#options.name});
	}

	async #block({settings: {blocked}}: Config): Promise<void> {
		await this.#dataPlane.block(blockChanges(this.#dataPlane.blocked, blocked));
	}

	#vrrpConfig(config: Config): VrrpConfig {
		return {
			instances: config.instances,
			syncGroups: config.syncGroups,
			multicastGroups: config.globals.multicastGroups,
			statics: config.statics,
			trackGroups: config.trackGroups,
			waits: this.#syncWait.waits,
		};
	}

	#tellTransition({scope, name, to, priority}: Transition): void {
		const state = stateOf(to, this.#stopping);
		if (state !== null) this.#notifier.tell({kind: 'entered', scope, name, state, priority});
	}

	/** Hands over and ends; `ended` resolves with the code. Forwarding goes on for whoever still sends here. */
	async stop(code: ExitCode = ExitCode.ok): Promise<void> {
		if (this.#stopping) return;
		this.#stopping = true;
		try {
			await this.#oneAtATime(() => this.#undo.all());
			this.#end(code);
		} catch (error) {
			this.#options.log.error({error}, 'not everything could be taken back');
			this.#end(code === ExitCode.ok ? ExitCode.failure : code);
		}
	}

	#oneAtATime<T>(work: () => Promise<T>): Promise<T> {
		const result = this.#work.then(work);
		this.#work = result.then(
			() => {},
			() => {},
		);
		return result;
	}
}

/** Whether there is work for `lbd-vrrp`. */
function hasHoldings({instances, statics: {addresses, routes, rules}}: Config): boolean {
	return [instances, addresses, routes, rules].some(({length}) => length > 0);
}

/** Errors that a user can mend; anything else is a fault of ours. */
function isRefusal(error: unknown): error is ConfError | KernelError | ControlError {
	return error instanceof ConfError || error instanceof KernelError || error instanceof ControlError;
}
