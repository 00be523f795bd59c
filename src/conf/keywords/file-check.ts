import {type Args, one} from '../args.js';
import {quote} from '../diagnostics.js';
import {type FileCheck, type Place, WEIGHT_MAX} from '../model.js';
import {full, type Keywords, placeOf, refused} from '../table.js';
import {integer, oneOf, suggestion, word} from '../values.js';
import {type CheckDraft, type CheckSetting, newCheck} from './check-draft.js';

interface FileDraft extends CheckDraft {
	trackFile: string | null;
	weight: number | null;
}

/** keepalived hears of changes at once; a look a second is as good for a weight. */
const LOOK_US = 1_000_000;

const weight = integer(-WEIGHT_MAX, WEIGHT_MAX);
const reverse = oneOf({reverse: -1, noreverse: 1});

/** `WEIGHT [reverse]`: what the number is multiplied by. */
const weightArgs: Args<number> = {
	usage: `${weight.usage} [${reverse.usage}]`,
	read(words) {
		const factor = words.take(weight);
		const sign = words.peek() === undefined ? 1 : words.take(reverse);
		return factor === undefined || sign === undefined ? undefined : factor * sign;
	},
};

const keywords: Keywords<FileDraft> = {
	track_file: full(one(word), (draft, name) => {
		draft.trackFile = name;
	}),
	weight: full(weightArgs, (draft, weight) => {
		draft.weight = weight;
	}),
	dynamic: refused('only the manual of keepalived has it'),
};

/** `FILE_CHECK`. */
export const fileCheck = {
	keywords,
	open: (place: Place): FileDraft => ({...newCheck(place), trackFile: null, weight: null}),
	toChecks(draft: FileDraft, setting: CheckSetting): readonly FileCheck[] {
		const {trackFile: name, place, weight} = draft;
		const {trackFiles, report, globals} = setting;
		if (name === null) {
			report.error('missing', place, 'FILE_CHECK names no file', `add 'track_file NAME'`);
			return [];
		}
		const file = trackFiles.find(one => one.name === name);
		if (file?.path == null) {
			const text = `FILE_CHECK names ${quote(name)}, which is no track_file with a file`;
			const names = trackFiles.map(one => one.name).filter(one => one !== name);
			report.error('missing', placeOf(draft, 'track_file'), text, suggestion(name, names));
			return [];
		}
		return [
			{
				kind: 'file',
				place,
				delayLoopUs: LOOK_US,
				retry: 0,
				delayBeforeRetryUs: LOOK_US,
				warmupUs: 0,
				logAllFailures: globals.logAllFailures,
				path: file.path,
				weight: weight ?? (file.weight ?? 1) * (file.reverse ? -1 : 1),
			},
		];
	},
};
