/** Numbers as people read them. */

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1,234,567` */
export function count(value: number): string {
	return value.toLocaleString('en-US');
}

/** `512 B`, `1.5 MiB` */
export function bytes(value: number): string {
	const power = value < 1024 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), BYTE_UNITS.length - 1);
	const scaled = value / 1024 ** power;
	return `${power === 0 ? scaled : scaled.toFixed(1)} ${BYTE_UNITS[power]}`;
}

/** The two largest units: `45s`, `3m 20s`, `2h 5m`, `12d 4h`. Negative ones count as 0. */
export function duration(seconds: number): string {
	const whole = Math.max(Math.floor(seconds), 0);
	const parts = [
		[Math.floor(whole / 86_400), 'd'],
		[Math.floor(whole / 3600) % 24, 'h'],
		[Math.floor(whole / 60) % 60, 'm'],
		[whole % 60, 's'],
	] as const;
	const first = parts.findIndex(([value]) => value > 0);
	if (first === -1) return '0s';
	return parts
		.slice(first, first + 2)
		.filter(([value]) => value > 0)
		.map(([value, unit]) => `${value}${unit}`)
		.join(' ');
}

/** JSON with what the maps hold: 64-bit numbers (in quotes where they are not exact otherwise) and bytes as hex. */
export function json(value: unknown, indent?: string): string {
	return JSON.stringify(
		value,
		(_key, member: unknown) => {
			if (typeof member === 'bigint') return Number.isSafeInteger(Number(member)) ? Number(member) : String(member);
			return member instanceof Uint8Array ? Buffer.from(member).toString('hex') : member;
		},
		indent,
	);
}
