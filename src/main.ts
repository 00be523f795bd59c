/** `lbd`: arguments, signals and exit codes; everything else is the daemon's. */
import {accessSync, constants, rmSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {parseArgs} from 'node:util';
import {ConfError, exitCodeOf, formatDiagnostic} from './conf/diagnostics.js';
import {Excerpts} from './conf/excerpt.js';
import type {Machine} from './conf/machine.js';
import type {Config} from './conf/model.js';
import {readConfig} from './conf/read.js';
import {Daemon} from './daemon.js';
import {ControlError, ExitCode, KernelError} from './errors.js';
import {realFiles} from './host/real/files.js';
import {keepHeapSmall} from './host/real/heap.js';
import {realHost} from './host/real/host.js';
import {realLog} from './host/real/log.js';
import {realMachine} from './host/real/machine.js';
import type {Orders} from './orders.js';
import {VERSION} from './version.js';

const USAGE = `usage: lbd [-f FILE] [--name NAME] [options]

  -f, --use-file FILE   configuration, default /etc/keepalived/keepalived.conf
      --name NAME       keeps daemons on one machine apart, default "default"
  -i, --config-id ID    keeps the lines that begin with @ID; default the host's name up to its first dot
  -t, --config-test     check the configuration and exit: 0 when it has no errors
      --strict          with -t: warnings count as errors
      --accept-loss     start even if connections that another version has left cannot be taken over
  -p, --pid FILE        write the process id to FILE
  -D, --log-detail      log debug messages too
  -n, --dont-fork       accepted for keepalived's sake: lbd never leaves the foreground
  -l, --log-console     accepted for keepalived's sake: the log always goes to standard output
  -v, --version         print the version and exit
  -h, --help            print this and exit
`;

const OPTIONS = {
	'use-file': {type: 'string', short: 'f', default: '/etc/keepalived/keepalived.conf'},
	name: {type: 'string', default: 'default'},
	'config-id': {type: 'string', short: 'i'},
	'config-test': {type: 'boolean', short: 't', default: false},
	strict: {type: 'boolean', default: false},
	'accept-loss': {type: 'boolean', default: false},
	pid: {type: 'string', short: 'p'},
	'log-detail': {type: 'boolean', short: 'D', default: false},
	'dont-fork': {type: 'boolean', short: 'n', default: false},
	'log-console': {type: 'boolean', short: 'l', default: false},
	version: {type: 'boolean', short: 'v', default: false},
	help: {type: 'boolean', short: 'h', default: false},
} as const;

/** Runs `lbd` to its end, which sets the process's exit code. */
export async function main(argv: readonly string[], orders: Orders): Promise<void> {
	try {
		process.exitCode = await run(argv, orders);
	} catch (error) {
		process.exitCode = explain(error);
	}
}

async function run(argv: readonly string[], orders: Orders): Promise<ExitCode> {
	const {values} = parseArgs({args: [...argv], options: OPTIONS, allowPositionals: false});
	if (values.help) return say(USAGE);
	if (values.version) return say(`lbd ${VERSION}\n`);
	keepHeapSmall();
	const load = (): Config =>
		loadConfig(values['use-file'], realMachine(values['config-id']), values['config-test'] && values.strict);
	const config = load();
	if (values['config-test']) return ExitCode.ok;
	if (values.pid !== undefined) requireDirectory(values.pid);
	const daemon = await Daemon.start({
		name: values.name,
		acceptLoss: values['accept-loss'],
		config,
		stop: orders.stop,
		load,
		read: file => readConfig(file, realFiles, realMachine(values['config-id'])),
		host: realHost,
		log: realLog({debug: values['log-detail']}),
	});
	return daemon === null ? ExitCode.ok : serve(daemon, orders, values.pid);
}

function say(text: string): ExitCode {
	process.stdout.write(text);
	return ExitCode.ok;
}

/** Refuses a pid file that cannot be written before anything is started. */
function requireDirectory(pidFile: string): void {
	try {
		accessSync(dirname(pidFile), constants.W_OK);
	} catch (cause) {
		throw new ControlError('pid-file', `pid file: ${pidFile}: ${(cause as Error).message}`, {cause});
	}
}

/** Lets the daemon work until it is told to stop, or until it cannot go on. */
async function serve(daemon: Daemon, orders: Orders, pidFile: string | undefined): Promise<ExitCode> {
	// A reload prints diagnostics; nobody who reads them, or a full disk, must not end the daemon.
	process.stderr.on('error', () => {});
	try {
		if (pidFile !== undefined) writeFileSync(pidFile, `${process.pid}\n`);
		orders.giveTo(daemon);
		return await daemon.ended;
	} finally {
		await daemon.stop();
		if (pidFile !== undefined) rmSync(pidFile, {force: true});
	}
}

/** Reads the file and prints every diagnostic. Throws ConfError when one of them is an error; `strict`: or a warning. */
function loadConfig(file: string, machine: Machine, strict: boolean): Config {
	const {config, diagnostics} = readConfig(file, realFiles, machine);
	const excerpts = new Excerpts(realFiles);
	for (const diagnostic of diagnostics) {
		process.stderr.write(`${formatDiagnostic(diagnostic)}\n`);
		if (!process.stderr.isTTY) continue;
		for (const line of excerpts.around(diagnostic.place)) process.stderr.write(`${line}\n`);
	}
	const exitCode = exitCodeOf(diagnostics, strict);
	if (config === null || exitCode !== ExitCode.ok) throw new ConfError(diagnostics, exitCode);
	return config;
}

/** Says in one line what went wrong and returns what to exit with. */
function explain(error: unknown): ExitCode {
	if (error instanceof ConfError || error instanceof ControlError || error instanceof KernelError) {
		process.stderr.write(`lbd: ${error.message}\n`);
		return error.exitCode;
	}
	if (isUsageError(error)) {
		process.stderr.write(`lbd: ${error.message}\n\n${USAGE}`);
		return ExitCode.usage;
	}
	process.stderr.write(`lbd: ${error instanceof Error ? error.stack : String(error)}\n`);
	return ExitCode.bug;
}

/** What parseArgs throws for options that do not exist or lack their value. */
function isUsageError(error: unknown): error is Error {
	return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}
