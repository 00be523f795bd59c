import {connect} from 'node:net';
import {ControlError} from '../errors.js';
import {LineReader} from './lines.js';
import {pathError} from './path-error.js';
import {
	type CallName,
	type CallResult,
	type Params,
	parseResponse,
	RESPONSE_BYTES_MAX,
	socketPath,
} from './protocol.js';

/** Longer than any call takes, a release among them, so silence means that the daemon hangs. */
const TIMEOUT_MS = 20_000;

/** Asks the daemon called `name`. */
export class ControlClient {
	readonly #name: string;
	readonly #path: string;
	readonly #timeoutMs: number;

	constructor(name: string, options: {readonly directory?: string; readonly timeoutMs?: number} = {}) {
		this.#name = name;
		this.#path = socketPath(name, options.directory);
		this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
	}

	/** One request on a connection of its own. Throws ControlError; code `no-daemon` when nobody answers. */
	async call<C extends CallName>(call: C, params: Params<C>): Promise<CallResult<C>> {
		const line = await this.#exchange(`${JSON.stringify({id: 1, call, params})}\n`);
		const response = parseResponse(line);
		if (response === null) throw this.#broken('its answer is not in our form');
		if ('error' in response) {
			const {code, text, exitCode} = response.error;
			throw new ControlError(code, text, {exitCode});
		}
		return response.result as CallResult<C>;
	}

	#exchange(request: string): Promise<string> {
		return new Promise((resolve, reject) => {
			const socket = connect({path: this.#path, timeout: this.#timeoutMs});
			const lines = new LineReader(RESPONSE_BYTES_MAX);
			const fail = (error: ControlError) => {
				socket.destroy();
				reject(error);
			};
			socket.on('timeout', () => fail(this.#silent()));
			socket.on('error', error => fail(this.#unreachable(error)));
			socket.on('end', () => fail(this.#broken('the connection ended before the answer')));
			socket.on('data', bytes => {
				const complete = lines.push(bytes);
				if (complete === null) fail(this.#broken('its answer is too long'));
				else if (complete[0] !== undefined) {
					socket.destroy();
					resolve(complete[0]);
				}
			});
			socket.write(request);
		});
	}

	#unreachable(cause: NodeJS.ErrnoException): ControlError {
		if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED') {
			return new ControlError(
				'no-daemon',
				`no daemon named "${this.#name}" answers at ${this.#path} (is it running? systemctl status lbd)`,
				{cause},
			);
		}
		return pathError('ask the daemon', this.#path, cause);
	}

	#silent(): ControlError {
		return new ControlError(
			'timeout',
			`the daemon named "${this.#name}" took the request and said nothing for ${this.#timeoutMs / 1000} s (it hangs: look at its log, then systemctl restart lbd; forwarding goes on meanwhile)`,
		);
	}

	#broken(what: string): ControlError {
		return new ControlError('broken', `${this.#path}: ${what} (is lbctl of the same version as lbd?)`);
	}
}
