import {attempt} from '../../src/check/attempt.js';
import type {Checker, Look, Result} from '../../src/check/checker.js';
import type {Backend, CheckTarget, Place, Service, TcpCheck} from '../../src/conf/model.js';
import {realClock} from '../../src/host/real/clock.js';
import {backend as anyBackend, service as anyService} from '../services.js';

const PLACE: Place = {file: 'lb.conf', line: 1, column: 1};

/** TCP_CHECK of the reference file: every 10 s, one retry after 1 s, 5 s to connect. */
export function check(changes: Partial<TcpCheck> = {}): TcpCheck {
	return {
		place: PLACE,
		kind: 'tcp',
		connectAddress: '10.0.0.71',
		connectPort: 80,
		bindAddress: null,
		bindPort: 0,
		connectTimeoutUs: 5_000_000,
		delayLoopUs: 10_000_000,
		retry: 1,
		delayBeforeRetryUs: 1_000_000,
		warmupUs: 0,
		logAllFailures: false,
		...changes,
	};
}

/** What `check` says of when to check, for a check of another kind. */
export function rhythm(): Omit<TcpCheck, 'kind' | keyof CheckTarget> {
	const {place, delayLoopUs, retry, delayBeforeRetryUs, warmupUs, logAllFailures} = check();
	return {place, delayLoopUs, retry, delayBeforeRetryUs, warmupUs, logAllFailures};
}

/** Of a check that speaks to a port on loopback. */
export function loopback(connectPort: number): Omit<TcpCheck, 'kind'> {
	// Long enough for a busy machine.
	const {kind, ...all} = check({connectAddress: '127.0.0.1', connectPort, connectTimeoutUs: 30_000_000});
	return all;
}

export function backend(address: string, changes: Partial<Backend> = {}): Backend {
	return anyBackend(address, {checks: [check({connectAddress: address})], ...changes});
}

export function service(backends: readonly Backend[], changes: Partial<Service> = {}): Service {
	return anyService('192.168.1.1', backends, changes);
}

/** A signal that never fires. */
export function patient(): AbortSignal {
	return new AbortController().signal;
}

/** A look as a checker gets it, without a time limit but for `signal`. */
export function lookFor(signal: AbortSignal = patient(), stage = 0): Look {
	const onOver = (listener: () => void): void => {
		if (signal.aborted) listener();
		else signal.addEventListener('abort', listener);
	};
	return {stage, advance() {}, onOver};
}

/** A look as the runner makes it, each step with its time. */
export function timed(checker: Checker): Promise<Result> {
	return new Promise(resolve => {
		attempt(realClock, 'test', {checker, stage: 0}, resolve);
	});
}
