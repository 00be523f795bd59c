import {type SpawnSyncReturns, spawn, spawnSync} from 'node:child_process';

/** Runs a command to its end and resolves to its output; rejects with the command line, its exit code and what it complained about. */
export function run(argv: readonly string[], options: {readonly input?: string} = {}): Promise<string> {
	const [command = '', ...args] = argv;
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, {stdio: ['pipe', 'pipe', 'pipe']});
		let output = '';
		let complaint = '';
		child.stdout.setEncoding('utf8').on('data', (text: string) => {
			output += text;
		});
		child.stderr.setEncoding('utf8').on('data', (text: string) => {
			complaint += text;
		});
		child.once('error', reject);
		child.once('close', (code, signal) => {
			if (code === 0) resolve(output);
			else reject(new Error(`${argv.join(' ')}: exit ${code ?? signal}: ${complaint.trim()}`));
		});
		// A command that refuses its arguments is gone before it reads its input: its exit code tells the story, not EPIPE.
		child.stdin.on('error', () => {});
		child.stdin.end(options.input ?? '');
	});
}

/** As `run`, for exit handlers, where nothing may be awaited; the caller looks at the status. */
export function runSync(argv: readonly string[], input = ''): SpawnSyncReturns<string> {
	const [command = '', ...args] = argv;
	return spawnSync(command, args, {input, encoding: 'utf8'});
}
