import type {TrackedFile, TrackedScript, TrackerReport, Trackers} from '../conf/model.js';
import type {Host} from '../host/host.js';
import type {Log} from '../log.js';
import {FileWatch, initialise} from './file.js';
import {ProcessWatch} from './process.js';
import {ScriptWatch} from './script.js';

/** Watches everything that instances track, links apart, and reports what it finds. */
export class TrackerRunner {
	readonly #host: TrackerHost;
	readonly #log: Log;
	readonly #onReport: (report: TrackerReport) => void;
	readonly #processes: ProcessWatch;
	#scripts: ReadonlyMap<string, ScriptWatch> = new Map();
	#files: ReadonlyMap<string, FileWatch> = new Map();
	#isStart = true;

	constructor(options: {
		readonly host: TrackerHost;
		readonly log: Log;
		readonly onReport: (report: TrackerReport) => void;
	}) {
		const {host, log, onReport} = options;
		this.#host = host;
		this.#log = log;
		this.#onReport = onReport;
		const onResult = (name: string, result: 'up' | 'down') => onReport({kind: 'process', name, result});
		this.#processes = new ProcessWatch({clock: host.clock, processes: host.processes, log, onResult});
	}

	/** Starts, keeps and stops until those are watched that are named: what stays keeps its result and its rhythm. */
	async configure({scripts, files, processes}: Trackers): Promise<void> {
		const isStart = this.#isStart;
		this.#isStart = false;
		this.#configureScripts(scripts);
		this.#processes.configure(processes);
		await Promise.all(files.map(file => initialise(file, isStart, {files: this.#host.smallFiles, log: this.#log})));
		this.#configureFiles(files);
	}

	stop(): void {
		for (const watch of [...this.#scripts.values(), ...this.#files.values()]) watch.stop();
		this.#processes.stop();
		this.#scripts = new Map();
		this.#files = new Map();
	}

	#configureScripts(scripts: readonly TrackedScript[]): void {
		const before = this.#scripts;
		this.#scripts = new Map(scripts.map(script => [script.name, before.get(script.name) ?? this.#watch(script)]));
		for (const script of scripts) this.#scripts.get(script.name)?.configure(script);
		for (const [name, watch] of before) if (!this.#scripts.has(name)) watch.stop();
	}

	#watch(script: TrackedScript): ScriptWatch {
		const {clock, scripts} = this.#host;
		const {name} = script;
		const log = this.#log.child({script: name});
		return new ScriptWatch(script, {
			clock,
			scripts,
			log,
			onResult: result => this.#onReport({kind: 'script', name, result}),
		});
	}

	#configureFiles(files: readonly TrackedFile[]): void {
		const before = this.#files;
		this.#files = new Map(
			files.map(({name, path}) => {
				const known = before.get(name);
				return [name, known?.path === path ? known : this.#watchFile(name, path)];
			}),
		);
		for (const [name, watch] of before) if (this.#files.get(name) !== watch) watch.stop();
	}

	#watchFile(name: string, path: string): FileWatch {
		return new FileWatch(path, {
			clock: this.#host.clock,
			files: this.#host.smallFiles,
			log: this.#log,
			onResult: result => this.#onReport({kind: 'file', name, result}),
		});
	}
}

type TrackerHost = Pick<Host, 'clock' | 'scripts' | 'smallFiles' | 'processes'>;
