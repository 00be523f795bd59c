/** enum bpf_map_type of linux/bpf.h. */
export const MapType = {
	hash: 1,
	array: 2,
	programArray: 3,
	perfEventArray: 4,
	perCpuHash: 5,
	perCpuArray: 6,
	stackTrace: 7,
	cgroupArray: 8,
	lruHash: 9,
	lruPerCpuHash: 10,
	lpmTrie: 11,
	arrayOfMaps: 12,
	hashOfMaps: 13,
	devmap: 14,
	sockmap: 15,
	cpumap: 16,
	xskmap: 17,
	sockhash: 18,
	queue: 22,
	stack: 23,
	devmapHash: 25,
	ringBuffer: 27,
	bloomFilter: 30,
} as const;
export type MapType = (typeof MapType)[keyof typeof MapType];

/** `hash` for 1; `type 99` for a type without a name here. */
export function mapTypeName(type: number): string {
	const named = Object.entries(MapType).find(([, value]) => value === type);
	return named === undefined ? `type ${type}` : named[0];
}
