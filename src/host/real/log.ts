import pino from 'pino';
import type {Log} from '../../log.js';

/** Lines wait for a destination that takes none, such as a file on a full disk; more than this many bytes are lost. */
const WAITING_BYTES_MAX = 1 << 20;

/** Lines of JSON on standard output: one an event, with wall-clock time. */
export function realLog(options: {readonly debug: boolean}): Log {
	const destination = pino.destination({sync: true, maxLength: WAITING_BYTES_MAX});
	// Nobody has to listen to a balancer for it to go on; an error without a listener would end it.
	destination.on('error', () => {});
	return pino(
		{
			level: options.debug ? 'debug' : 'info',
			base: null,
			timestamp: pino.stdTimeFunctions.isoTime,
			formatters: {level: label => ({level: label})},
			serializers: {error: errorText},
		},
		destination,
	);
}

/** An error as its message and those of its causes; the stack only for what is a fault of ours. */
function errorText(error: unknown): unknown {
	if (!(error instanceof Error)) return error;
	if (error.name === 'Bug') return error.stack;
	return error.cause instanceof Error ? `${error.message}: ${String(errorText(error.cause))}` : error.message;
}
