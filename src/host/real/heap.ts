import {setFlagsFromString} from 'node:v8';

/**
 * Collects garbage when the heap has grown by half since the last time, not to its triple: what checks leave, thousands a
 * second, dies just too old for the young generation. That itself can only be kept small from the start, by the first line
 * of bin/lbd. Both together save a fifth of the memory of ten thousand checks, for a hundredth of a CPU.
 */
export function keepHeapSmall(): void {
	setFlagsFromString('--heap-growing-percent=50');
}
