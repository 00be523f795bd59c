/**
 * The wiring of `lbd`: the only place that knows every feature. It passes values between them and decides nothing that
 * could be decided elsewhere.
 */
import {fileURLToPath} from 'node:url';
import {checkerFor} from './check/checkers.js';
import {CheckRunner} from './check/runner.js';
import {ConfError, type Diagnostic, exitCodeOf, formatDiagnostic} from './conf/diagnostics.js';
import type {Config} from './conf/model.js';
import {lockName} from './control/lock.js';
import {type PlanReport, type ReloadOutcome, socketPath, vrrpSocketPath} from './control/protocol.js';
import {serveControl} from './control/server.js';
import {DriftWatch} from './drift.js';
import {ControlError, ExitCode, KernelError} from './errors.js';
import type {Host} from './host/host.js';
import type {Log} from './log.js';
import {Metrics} from './metrics/metrics.js';
import {serveMetrics} from './metrics/server.js';
import {stateOf} from './notify/event.js';
import {Notifier} from './notify/notifier.js';
import {blockChanges} from './plan/block-list.js';
import {type Preview, preview} from './preview.js';
import {NextHops} from './reach/next-hops.js';
import {OwnAddresses} from './reach/own-addresses.js';
import {Reconciler} from './reconcile.js';
import {Reporter} from './report.js';
import {SharingChild} from './sync/child.js';
import {SyncWait} from './sync/wait.js';
import {TrackerRunner} from './track/runner.js';
import {Undo} from './undo.js';
import {VrrpChild} from './vrrp/child.js';
import {type Transition, vrrpConfig} from './vrrp/protocol.js';
import {keepCounting} from './xdp/census.js';
import {DataPlane} from './xdp/dataplane.js';

const OBJECT_DIRECTORY = fileURLToPath(new URL('..', import.meta.url));

export interface DaemonOptions {
	readonly name: string;
	/** See DataPlaneOptions. */
	readonly acceptLoss: boolean;
	readonly config: Config;
	/** Ends the start where it is, in order. */
	readonly stop: AbortSignal;
	/** Reads the configuration again, for a reload. Throws ConfError when it has errors. */
	readonly load: () => Config;
	/** Reads another file, for a plan; `config` is null when it has errors. */
	readonly read: (file: string) => {readonly config: Config | null; readonly diagnostics: readonly Diagnostic[]};
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
	readonly #drift: DriftWatch;
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
	 * been started by then is taken back. Resolves to null, likewise, when it was told to stop meanwhile; a process that
	 * an earlier daemon left then hands over, too.
	 */
	static async start(options: DaemonOptions): Promise<Daemon | null> {
		const undo = new Undo();
		try {
			const lock = lockName(options.name);
			undo.add(() => lock.release());
			const vrrp = vrrpChild(options);
			undo.add(() => (options.stop.aborted ? vrrp.stop() : vrrp.leave()));
			// First of all, as somebody may be waiting for us, and to load a program takes seconds.
			await vrrp.find();
			options.stop.throwIfAborted();
			const {globals, settings} = options.config;
			const dataPlane = await DataPlane.open({
				name: options.name,
				objectDirectory: OBJECT_DIRECTORY,
				sizes: settings,
				timeouts: globals.timeoutsS,
				acceptLoss: options.acceptLoss,
				clock: options.host.clock,
				log: options.log,
			});
			let started = false;
			undo.add(() => (started ? dataPlane.close() : dataPlane.discard()));
			options.stop.throwIfAborted();
			const daemon = new Daemon(options, dataPlane, vrrp, undo);
			await daemon.#oneAtATime(() => daemon.#begin());
			started = true;
			return daemon;
		} catch (error) {
			await undo.all();
			if (error === options.stop.reason) return null;
			throw error;
		}
	}

	private constructor(options: DaemonOptions, dataPlane: DataPlane, vrrp: VrrpChild, undo: Undo) {
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
			willBeUp: (service, backend) => this.#checks.willBeUp(service, backend),
			weighed: services => this.#checks.weighed(services),
		});
		undo.add(() => this.#reconciler.close());
		this.#drift = new DriftWatch({reconciler: this.#reconciler, clock: host.clock, log});
		undo.add(() => this.#drift.stop());
		this.#vrrp = vrrp;
		vrrp.report({
			onTransition: transition => this.#tellTransition(transition),
			onAdopted: ({instances, groups}) => {
				for (const {name, role, priority} of instances) this.#recall('instance', name, role, priority);
				for (const {name, role} of groups) this.#recall('group', name, role, 0);
			},
			onRival: ({instance: name, priority}) => this.#notifier.tell({kind: 'lower-priority', name, priority}),
			onPriority: ({instance: name, ...change}) => this.#notifier.tell({kind: 'priority', name, ...change}),
			onFatal: error => {
				log.error({error}, 'vrrp cannot go on');
				void this.stop(error.exitCode);
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
			drift: () => this.#drift.counts(),
		});
	}

	async #begin(): Promise<void> {
		const {name, host, log} = this.#options;
		await this.#notifier.start();
		await this.#own.look();
		this.#checks.configure(this.#config.services);
		await this.#block(this.#config);
		await this.#reconciler.configure(this.#config);
		await this.#dataPlane.finishUpgrade();
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
				release: name => this.#reporter.released(this.#vrrp.release('release', name)),
				reclaim: name => this.#reporter.released(this.#vrrp.release('reclaim', name)),
				metrics: () => metrics.text(),
				plan: ({file}) => this.plan(file),
				reload: () => this.reload(),
				stop: () => {
					void this.stop();
					return null;
				},
			},
		});
		this.#undo.add(() => control.close());

		this.#options.stop.throwIfAborted();
		this.#share(this.#config);
		this.#syncWait.begin(this.#config.sharing?.waitUs ?? 0);
		this.#trackers.configure(this.#config.trackers);
		this.#undo.add(() => this.#vrrp.stop());
		await this.#vrrp.configure(vrrpConfig(this.#options.name, this.#config, this.#syncWait.waits));
		const {adopted, loaded} = this.#dataPlane;
		log.info({name, services: this.#config.services.length, adopted, loaded}, 'lbd is ready');
	}

	/** What would change if a file came into force, without touching anything. */
	plan(file: string): Promise<PlanReport> {
		return this.#oneAtATime(async () => {
			const {config, diagnostics} = this.#options.read(file);
			const printed = diagnostics.map(formatDiagnostic);
			if (config === null) {
				const {message, exitCode} = new ConfError(diagnostics, exitCodeOf(diagnostics));
				const summary = `would be refused: ${message}`;
				return {accepted: false, file, summary, diagnostics: printed, changes: [], mapEntries: 0, exitCode};
			}
			const {changes, mapEntries, problems} = await this.#preview(config);
			const summary = `would be put in force (${changesText(changes.length, mapEntries)})`;
			const exitCode = ExitCode.ok;
			return {accepted: true, file, summary, diagnostics: [...printed, ...problems], changes, mapEntries, exitCode};
		});
	}

	#preview(config: Config): Promise<Preview> {
		return preview(this.#config, config, {dataPlane: this.#dataPlane, reconciler: this.#reconciler});
	}

	/** Reads the file again and puts it in force. A file with errors, or one that cannot be carried out, changes nothing. */
	reload(): Promise<ReloadOutcome> {
		return this.#oneAtATime(async () => {
			const outcome = await this.#reload();
			const {changes, mapEntries, ...report} = outcome;
			this.#reporter.reloaded(report);
			const level = report.applied ? 'info' : 'error';
			this.#options.log[level]({diagnostics: report.diagnostics}, `reload: ${report.summary}`);
			return outcome;
		});
	}

	async #reload(): Promise<ReloadOutcome> {
		const at = this.#options.host.clock.wall().toISOString();
		try {
			if (this.#stopping) throw new ControlError('stopping', 'the daemon is stopping');
			const config = this.#options.load();
			const {changes, mapEntries} = await this.#preview(config);
			const problems = await this.#change(config);
			const summary = `in force (${changesText(changes.length, mapEntries)})`;
			return {applied: true, summary, at, diagnostics: problems, exitCode: ExitCode.ok, changes, mapEntries};
		} catch (error) {
			if (!isRefusal(error)) throw error;
			const diagnostics = error instanceof ConfError ? error.diagnostics.map(formatDiagnostic) : [];
			const summary = `refused, nothing was changed: ${error.message}`;
			return {applied: false, summary, at, diagnostics, exitCode: error.exitCode, changes: [], mapEntries: 0};
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
		await this.#vrrp.configure(vrrpConfig(this.#options.name, config, this.#syncWait.waits));
		this.#trackers.configure(config.trackers);
		this.#checks.configure(config.services);
		this.#dataPlane.setTimeouts(config.globals.timeoutsS);
		await this.#block(config);
		this.#share(config);
		const problems = await this.#reconciler.configure(config);
		// Nobody may have been counted before: thresholds are to hold now, not from the next census on.
		this.#dataPlane.takeCensus();
		return problems;
	}

	#share({sharing, notSharing}: Config): void {
		if (notSharing !== null) {
			this.#options.log.warn({}, `connections are not shared with the other balancers, as ${notSharing}`);
		}
		this.#dataPlane.setSharing(sharing !== null);
		this.#sharing.configure(sharing === null ? null : {...sharing, daemon: this.#options.name});
	}

	async #block({settings: {blocked}}: Config): Promise<void> {
		await this.#dataPlane.block(blockChanges(this.#dataPlane.blocked, blocked));
	}

	/** What a transition was told of when it happened is not told again. */
	#tellTransition({scope, name, to, cause, priority}: Transition): void {
		if (cause === 'resumed') return this.#recall(scope, name, to, priority);
		const state = stateOf(to, this.#stopping);
		if (state !== null) this.#notifier.tell({kind: 'entered', scope, name, state, priority});
	}

	#recall(scope: Transition['scope'], name: string, role: Transition['to'], priority: number): void {
		const state = stateOf(role, this.#stopping);
		if (state !== null) this.#notifier.recall({scope, name, state, priority});
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

function changesText(changes: number, mapEntries: number): string {
	const count = (number: number, one: string, many: string): string => `${number} ${number === 1 ? one : many}`;
	return `${count(changes, 'change', 'changes')}, ${count(mapEntries, 'map entry', 'map entries')}`;
}

function vrrpChild({name, host, log}: DaemonOptions): VrrpChild {
	const {subprocesses: processes, clock, build} = host;
	return new VrrpChild({processes, clock, log, socket: vrrpSocketPath(name), build});
}

/** Errors that a user can mend; anything else is a fault of ours. */
function isRefusal(error: unknown): error is ConfError | KernelError | ControlError {
	return error instanceof ConfError || error instanceof KernelError || error instanceof ControlError;
}
