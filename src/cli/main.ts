/** lbctl on this machine. Maps, configuration and addon are loaded only by the commands that need them. */
import {ControlClient} from '../control/client.js';
import {lockName} from '../control/lock.js';
import {run} from './program.js';

/** Tables stay this narrow where there is no terminal to ask. */
const WIDTH = 100;

process.stdout.on('error', error => {
	// `lbctl flows | head` closes the pipe when it has seen enough.
	if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
	process.exit();
});

process.exitCode = await run(process.argv.slice(2), {
	out: text => void process.stdout.write(text),
	err: text => void process.stderr.write(text),
	style: {
		terminal: process.stdout.isTTY === true,
		colour: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
		width: process.stdout.columns ?? WIDTH,
	},
	daemon: name => new ControlClient(name),
	lock: name => lockName(name),
	openView: async name => {
		const [{openView}, {openNetlink}] = await Promise.all([
			import('../xdp/reader.js'),
			import('../host/real/netlink.js'),
		]);
		const netlink = openNetlink([]);
		try {
			return await openView(name, new Map((await netlink.links()).map(link => [link.ifindex, link.name])));
		} finally {
			netlink.close();
		}
	},
	unload: async name => (await import('../xdp/reader.js')).unload(name),
	diagnose: async (file, configId) => {
		const [{readConfig}, {Excerpts}, {realFiles}, {realMachine}] = await Promise.all([
			import('../conf/read.js'),
			import('../conf/excerpt.js'),
			import('../host/real/files.js'),
			import('../host/real/machine.js'),
		]);
		const excerpts = new Excerpts(realFiles);
		const {diagnostics} = readConfig(file, realFiles, realMachine(configId));
		return {diagnostics, excerpt: place => excerpts.around(place)};
	},
	reference: async () => (await import('../conf/reference.js')).reference(),
	measure: async () => {
		const [{measureProgramTime}, {realClock}] = await Promise.all([
			import('../bench/program-time.js'),
			import('../host/real/clock.js'),
		]);
		return measureProgramTime(realClock);
	},
});
