/** Servers and clients of UDP in the laboratory. */
import {fileURLToPath} from 'node:url';
import {Daemon} from '../../lab/daemon.js';
import type {Lab} from '../../lab/lab.js';
import {inside} from '../../lab/namespace.js';
import {run} from '../../lab/run.js';
import {externalVip, externalVip6, type WebServerName} from '../../lab/topology.js';

function program(name: string): string[] {
	return [process.execPath, fileURLToPath(new URL(`../../lab/${name}.js`, import.meta.url))];
}

/** A server that answers with its name. It ends with the laboratory, as all that lives in its namespaces does. */
export async function startServer(built: Lab, name: WebServerName, port: number): Promise<Daemon> {
	const namespace = built.namespace(name);
	return await Daemon.start({
		name: `${name}'s datagram server`,
		namespace,
		argv: [...program('datagram-server'), name, String(port)],
		logFile: `${built.directory}/${name}/datagram-${port}.log`,
		isReady: async () => (await run([...inside(namespace), 'ss', '-Hlun', `sport = :${port}`])) !== '',
	});
}

/** The answer of the external address of the client's family to one datagram, of so many random bytes, from a port of the client's; or why there is none. */
export function ask(
	lab: Lab,
	from: {readonly address: string; readonly port: number},
	port: number,
	bytes = 0,
): Promise<string> {
	const vip = from.address.includes(':') ? externalVip6 : externalVip;
	const args = [from.address, from.port, vip, port, bytes].map(String);
	return lab.run('client', ...program('datagram-client'), ...args);
}
