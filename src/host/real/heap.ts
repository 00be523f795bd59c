import {setFlagsFromString} from 'node:v8';

/**
 * Collects garbage when the heap has grown by half since the last time, not to its triple: sockets of checks, thousands a
 * second, die just too old for the young generation. A quarter less memory for a hundredth of a CPU.
 */
export function keepHeapSmall(): void {
	setFlagsFromString('--heap-growing-percent=50');
}
