import type {TrackedFile, TrackedScript, TrackerReport, TrackerResult, Trackers} from '../conf/model.js';
import type {Host} from '../host/host.js';
import type {Log} from '../log.js';
import {FileWatch} from './file.js';
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
	configure({scripts, files, processes}: Trackers): void {
		this.#configureScripts(scripts);
		this.#processes.configure(processes);
		this.#configureFiles(files);
		this.#isStart = false;
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
		const onResult = (result: TrackerResult) => this.#onReport({kind: 'script', name, result});
		return new ScriptWatch(script, {clock, scripts, log: this.#log.child({script: name}), onResult});
	}

	#configureFiles(files: readonly TrackedFile[]): void {
		const before = this.#files;
		this.#files = new Map(
			files.map(file => {
				const known = before.get(file.name);
				return [file.name, known?.path === file.path ? known : this.#watchFile(file)];
			}),
		);
		for (const [name, watch] of before) if (this.#files.get(name) !== watch) watch.stop();
	}

	#watchFile(file: TrackedFile): FileWatch {
		const {clock, smallFiles: files} = this.#host;
		const onResult = (result: number) => this.#onReport({kind: 'file', name: file.name, result});
		return new FileWatch(file, {clock, files, log: this.#log, isStart: this.#isStart, onResult});
	}
}

type TrackerHost = Pick<Host, 'clock' | 'scripts' | 'smallFiles' | 'processes'>;
