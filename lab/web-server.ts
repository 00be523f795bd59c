import {mkdirSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Daemon} from './daemon.js';
import {inside} from './namespace.js';
import {run} from './run.js';

/** Size of the file at /big. */
export const BIG_BYTES = 64 * 1024 * 1024;
/** How fast /slow delivers the same file, in bytes a second. */
export const SLOW_BYTES_PER_SECOND = 64 * 1024;

/** One plain program without workers, so that a signal hits the whole server; connections stay open as long as clients like. */
function nginxConfiguration(name: string, directory: string): string {
	const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
	return `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr notice;
events { worker_connections 8192; }
http {
	${scratch.map(kind => `${kind}_temp_path ${directory}/${kind};`).join('\n\t')}
	access_log off;
	default_type text/plain;
	sendfile on;
	keepalive_timeout 3600s;
	keepalive_requests 1000000;
	server {
		listen 80 backlog=4096;
		listen [::]:80 backlog=4096;
		location / { return 200 "${name}\\n"; }
		location = /big { alias ${directory}/big; }
		location /put/ { dav_methods PUT; client_max_body_size 0; alias ${directory}/put/; }
		location = /slow { alias ${directory}/big; limit_rate ${SLOW_BYTES_PER_SECOND}; }
	}
}
`;
}

/** Whether someone listens on port 80 for both families: asked in the namespace, where the server itself comes only later. */
async function listensOnPort80(namespace: string): Promise<boolean> {
	const listeners = await run([...inside(namespace), 'ss', '-Hltn', 'sport = :80']);
	return listeners.trim().split('\n').length === 2;
}

/** A real nginx: `/` answers with the server's name, `/big` is a large file, `/slow` the same at a trickle, `/put/NAME` keeps what is sent. */
export class WebServer {
	readonly name: string;
	readonly namespace: string;
	/** `big` and the folder `put` are in it. */
	readonly directory: string;
	#daemon: Daemon | null = null;

	constructor(name: string, namespace: string, labDirectory: string) {
		this.name = name;
		this.namespace = namespace;
		this.directory = join(labDirectory, name);
		mkdirSync(join(this.directory, 'put'), {recursive: true});
		writeFileSync(join(this.directory, 'nginx.conf'), nginxConfiguration(name, this.directory));
		writeFileSync(join(this.directory, 'big'), '');
		truncateSync(join(this.directory, 'big'), BIG_BYTES);
	}

	get running(): boolean {
		return this.#daemon?.running ?? false;
	}

	/** Resolves when it accepts connections. */
	async start(): Promise<void> {
		if (this.running) throw new Error(`${this.name}: runs already`);
		this.#daemon = await Daemon.start({
			name: this.name,
			namespace: this.namespace,
			argv: ['nginx', '-p', this.directory, '-e', 'stderr', '-c', join(this.directory, 'nginx.conf')],
			logFile: join(this.directory, 'log'),
			isReady: () => listensOnPort80(this.namespace),
		});
	}

	/** Ends it; the machine stays up, so new connections are refused and open ones are reset. */
	async stop(): Promise<void> {
		await this.#daemon?.kill('SIGKILL');
	}
}
