import pino from 'pino';
import type {Log} from '../../log.js';

/** Lines of JSON on standard output: one an event, with wall-clock time. */
export function realLog(options: {readonly debug: boolean}): Log {
	return pino(
		{
			level: options.debug ? 'debug' : 'info',
			base: null,
			timestamp: pino.stdTimeFunctions.isoTime,
			formatters: {level: label => ({level: label})},
			serializers: {error: errorText},
		},
		pino.destination({sync: true}),
	);
}

/** An error as its message and those of its causes; the stack only for what is a fault of ours. */
function errorText(error: unknown): unknown {
	if (!(error instanceof Error)) return error;
	if (error.name === 'Bug') return error.stack;
	return error.cause instanceof Error ? `${error.message}: ${String(errorText(error.cause))}` : error.message;
}
