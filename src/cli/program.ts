import {resolve} from 'node:path';
import {Command, CommanderError, InvalidArgumentError} from 'commander';
import type {Measurement} from '../bench/program-time.js';
import type {Entry} from '../conf/reference.js';
import type {NameLock} from '../control/lock.js';
import {checkedName} from '../control/protocol.js';
import {ControlError, ExitCode, KernelError} from '../errors.js';
import {VERSION} from '../version.js';
import type {FlowFilter, MapView} from '../xdp/view.js';
import {backends} from './commands/backends.js';
import {bench} from './commands/bench.js';
import {check, type Findings} from './commands/check.js';
import {drops} from './commands/drops.js';
import {explain} from './commands/explain.js';
import {flows} from './commands/flows.js';
import {dumpMap, maps} from './commands/maps.js';
import {forgetClient, persistence} from './commands/persistence.js';
import {plan} from './commands/plan.js';
import {reload} from './commands/reload.js';
import {services} from './commands/services.js';
import {status} from './commands/status.js';
import {unload} from './commands/unload.js';
import {reclaim, release, vrrp} from './commands/vrrp.js';
import {json} from './format.js';
import {type Daemon, type Report, Session} from './session.js';
import type {Style} from './style.js';

/** What lbctl needs of the machine it runs on; main.ts has the real one. */
export interface Environment {
	out(text: string): void;
	err(text: string): void;
	readonly style: Style;
	daemon(name: string): Daemon;
	openView(name: string): Promise<MapView>;
	/** Throws ControlError `already-running` while a daemon of that name runs. */
	lock(name: string): NameLock;
	/** Detaches the program and removes the pins. */
	unload(name: string): Promise<void>;
	/** What there is to say about a configuration file, on this machine or on one with another ID. */
	diagnose(file: string, configId: string | undefined): Promise<Findings>;
	/** All keywords that a configuration may have. */
	reference(): Promise<readonly Entry[]>;
	/** What packets cost in the program. Throws KernelError where that cannot be measured. */
	measure(): Promise<Measurement>;
}

interface GlobalOptions {
	readonly name: string;
	readonly json?: true;
}

interface CheckOptions {
	readonly configId?: string;
	readonly strict: boolean;
	readonly explain?: string;
}

const ROWS = 100;

/** Runs one lbctl command line (without `node` and `lbctl`). Errors end as one line on stderr and an exit code. */
export async function run(argv: readonly string[], environment: Environment): Promise<ExitCode> {
	const cli = new Cli(environment);
	try {
		await cli.program.parseAsync(argv, {from: 'user'});
		return cli.exitCode;
	} catch (error) {
		return failed(error, environment);
	}
}

function failed(error: unknown, environment: Environment): ExitCode {
	// commander has said what it had to say.
	if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
	if (error instanceof ControlError || error instanceof KernelError) {
		environment.err(`lbctl: ${error.message}\n`);
		return error.exitCode;
	}
	environment.err(`lbctl: this is a bug, please report it: ${error instanceof Error ? error.stack : String(error)}\n`);
	return ExitCode.bug;
}

class Cli {
	readonly program: Command;
	exitCode: ExitCode = ExitCode.ok;
	readonly #environment: Environment;

	constructor(environment: Environment) {
		this.#environment = environment;
		this.program = new Command('lbctl')
			.description('Look into and steer lbd, the load balancer.')
			.option('--name <name>', 'which daemon, where several run on one machine', 'default')
			.option('--json', 'print JSON instead of a table')
			.version(VERSION)
			.exitOverride()
			.configureOutput({writeOut: text => environment.out(text), writeErr: text => environment.err(text)})
			.showHelpAfterError('(lbctl --help lists the commands)');
		this.#addViews();
		this.#addActions();
	}

	#addViews(): void {
		this.#command('status', 'one screen: the daemon, VRRP, services, drops').action(() => this.#show(status));
		this.#command('services [service]', 'services and their traffic; with VIP:PORT, its backends too').action(
			(service?: string) => this.#show(session => services(session, service)),
		);
		this.#command('backends', 'backends: state, load and why').action(() => this.#show(backends));
		this.#command('flows', 'connections in the flow table')
			.option('--client <address>', 'only of this client (ADDRESS or ADDRESS:PORT)')
			.option('--service <service>', 'only of this service (VIP:PORT; VIP:0 for one of all ports)')
			.option('--backend <backend>', 'only to this backend (ADDRESS:PORT)')
			.option('--state <state>', 'only in this state')
			.option('--limit <rows>', 'how many at most; 0 for all', rowCount, ROWS)
			.action(({limit, ...filter}: FlowFilter & {limit: number}) =>
				this.#show(session => flows(session, limit, filter)),
			);
		const persistenceCommand = this.#command('persistence', 'which client is bound to which backend')
			.option('--limit <rows>', 'how many at most; 0 for all', rowCount, ROWS)
			.action(({limit}: {limit: number}) => this.#show(session => persistence(session, limit)));
		persistenceCommand
			.command('delete <service> <client>')
			.description("forget a client's backend; its connections go on")
			.action((service: string, client: string) => this.#show(session => forgetClient(session, service, client)));
		const vrrpCommand = this.#command('vrrp', 'VRRP instances and their states').action(() => this.#show(vrrp));
		vrrpCommand
			.command('release <instance>')
			.description('leave mastership of an instance or sync group to another router, without loss')
			.action((name: string) => this.#show(session => release(session, name)));
		vrrpCommand
			.command('reclaim <instance>')
			.description('compete for mastership again')
			.action((name: string) => this.#show(session => reclaim(session, name)));
		this.#command('drops', 'packets that went nowhere, by reason').action(() => this.#show(drops));
		const mapsCommand = this.#command('maps', 'the pinned BPF maps').action(() => this.#show(maps));
		mapsCommand
			.command('dump <map>')
			.description('the entries of a map')
			.option('--limit <rows>', 'how many at most; 0 for all', rowCount, ROWS)
			.action((map: string, {limit}: {limit: number}) => this.#show(session => dumpMap(session, map, limit)));
	}

	#addActions(): void {
		const environment = this.#environment;
		this.#command('plan <file>', 'what a configuration file would change, and how many connections that touches')
			.option('--limit <changes>', 'how many to show at most; 0 for all', rowCount, ROWS)
			.action((file: string, {limit}: {limit: number}) => this.#show(session => plan(session, resolve(file), limit)));
		this.#command('reload', 'read the configuration again; a bad file changes nothing')
			.option('--limit <changes>', 'how many to show at most; 0 for all', rowCount, ROWS)
			.action(({limit}: {limit: number}) => this.#show(session => reload(session, limit)));
		this.#command('unload', 'take the program of a stopped daemon off its NICs').action(() =>
			this.#show(({name}) => unload(name, environment.lock, environment.unload)),
		);
		this.#command('check [file]', 'check a configuration file')
			.option('-i, --config-id <id>', 'as on the machine with this ID, for lines that begin with @ID')
			.option('--strict', 'warnings count as errors', false)
			.option('--explain <keyword>', 'say where a keyword may stand and what it does here, instead')
			.action((file: string | undefined, {configId, strict, explain: keyword}: CheckOptions) =>
				this.#show(async () => {
					if (keyword !== undefined) return explain(keyword, await environment.reference());
					if (file === undefined) return this.program.error(`error: missing required argument 'file'`);
					return check(file, await environment.diagnose(file, configId), strict);
				}),
			);
		this.#command('bench', 'what a packet costs in the program here; touches no traffic').action(() =>
			this.#show(session => bench(session, () => environment.measure())),
		);
	}

	#command(usage: string, description: string): Command {
		return this.program.command(usage).description(description);
	}

	async #show(command: (session: Session) => Promise<Report>): Promise<void> {
		const {name, json: asJson} = this.program.opts<GlobalOptions>();
		const {out, err, style, daemon, openView} = this.#environment;
		const report = await command(
			new Session({
				name: checkedName(name),
				daemon: daemon(name),
				openView: () => openView(name),
				note: text => err(`lbctl: ${text}\n`),
			}),
		);
		out(asJson ? `${json(report.json, '  ')}\n` : report.text(style));
		this.exitCode = report.exitCode ?? ExitCode.ok;
	}
}

function rowCount(text: string): number {
	if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Not a number of rows.');
	return Number(text);
}
