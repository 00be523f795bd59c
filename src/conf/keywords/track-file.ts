import {type Args, anything, one} from '../args.js';
import type {Place} from '../model.js';
import {accepted, type Draft, draftAt, full, type Keywords} from '../table.js';
import {integer, oneOf, word} from '../values.js';

/** `track_file`: a number in a file. */
export interface TrackFileDraft extends Draft {
	readonly name: string;
	path: string | null;
	weight: number;
}

export function newTrackFile(name: string, place: Place): TrackFileDraft {
	return {...draftAt(place), name, path: null, weight: 1};
}

const reverse = oneOf({reverse: -1, noreverse: 1});

/** `WEIGHT [reverse]`: what the number is multiplied by, of up to `max` in either direction. */
export function fileWeight(max: number): Args<number> {
	const weight = integer(-max, max);
	return {
		usage: `${weight.usage} [${reverse.usage}]`,
		read(words) {
			const factor = words.take(weight);
			const sign = words.peek() === undefined ? 1 : words.take(reverse);
			return factor === undefined || sign === undefined ? undefined : factor * sign;
		},
	};
}

/** Of a priority of VRRP. */
const WEIGHT_MAX = 254;

export const trackFile: Keywords<TrackFileDraft> = {
	file: full(one(word), (draft, path) => {
		draft.path = path;
	}),
	weight: full(fileWeight(WEIGHT_MAX), (draft, weight) => {
		draft.weight = weight;
	}),
	init_file: accepted('a file that is not there says 0', anything),
};
