/** `interface_up_down_delays`, a line for each interface. */
import type {Args} from '../args.js';
import {formatPlace, quote, type Report} from '../diagnostics.js';
import type {Instance, LinkDelay} from '../model.js';
import {interfaceName, seconds} from '../values.js';

/** keepalived's most. */
const delay = seconds(0, 255);

/** `INTERFACE DOWN [UP]`. keepalived's manual has DOWN for an UP that is not written, its source and behaviour 0. */
export const linkDelayArgs: Args<Omit<LinkDelay, 'place'>> = {
	usage: `${interfaceName.usage} ${delay.usage} [${delay.usage}]`,
	read(words) {
		const place = words.peek()?.place;
		const name = words.take(interfaceName);
		if (place !== undefined && name !== undefined && words.peek() === undefined) {
			const text = `no delay for ${name}; ignored as keepalived does`;
			words.report.warning('missing-argument', place, text, `write '${name} 0.5', or remove it`);
			return undefined;
		}
		const downUs = words.take(delay);
		const upUs = words.peek() === undefined ? 0 : words.take(delay);
		return name === undefined || downUs === undefined || upUs === undefined ? undefined : {name, downUs, upUs};
	},
};

/** Of several lines for one interface the last one holds. */
export function toLinkDelays(
	lines: readonly LinkDelay[],
	instances: readonly Instance[],
	report: Report,
): readonly LinkDelay[] {
	const last = new Map<string, LinkDelay>();
	for (const line of lines) {
		const earlier = last.get(line.name);
		if (earlier !== undefined) {
			const text = `the delays of ${line.name} replace those at ${formatPlace(earlier.place)}`;
			report.warning('duplicate', line.place, text, 'keep one');
		}
		last.set(line.name, line);
	}
	return [...last.values()].map(line => limitDown(line, instances, report));
}

/**
 * Whoever is silent on a dead link for as long as a backup waits is master on both sides when the link is back: keepalived's
 * limit, and like its 2.4 only for the delay of going down.
 */
function limitDown(line: LinkDelay, instances: readonly Instance[], report: Report): LinkDelay {
	const users = instances.filter(instance => instance.interface === line.name);
	const [tightest] = users.toSorted((a, b) => downMaxUs(a) - downMaxUs(b));
	if (tightest === undefined || line.downUs <= downMaxUs(tightest)) return line;
	const downUs = downMaxUs(tightest);
	const text = `the delay of ${line.name} becomes ${downUs / 1_000_000} s: vrrp_instance ${quote(tightest.name)} must be in fault before its backup takes over`;
	report.warning('adjusted', line.place, text, 'write less than two advert intervals');
	return {...line, downUs};
}

/** Two adverts, less the skew of the best backup. */
function downMaxUs({version, advertUs}: Instance): number {
	const skewSpanUs = version === 2 ? 1_000_000 : advertUs;
	return 2 * advertUs - Math.floor(skewSpanUs / 256);
}
