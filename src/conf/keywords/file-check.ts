import {one} from '../args.js';
import {quote} from '../diagnostics.js';
import {type FileCheck, type Place, WEIGHT_MAX} from '../model.js';
import {full, type Keywords, placeOf, refused} from '../table.js';
import {suggestion, word} from '../values.js';
import {type CheckDraft, type CheckSetting, newCheck} from './check-draft.js';
import {fileWeight} from './track-file.js';

interface FileDraft extends CheckDraft {
	trackFile: string | null;
	weight: number | null;
}

/** keepalived hears of changes at once; a look a second is as good for a weight. */
const LOOK_US = 1_000_000;

const keywords: Keywords<FileDraft> = {
	track_file: full(one(word), (draft, name) => {
		draft.trackFile = name;
	}),
	weight: full(fileWeight(WEIGHT_MAX), (draft, weight) => {
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
				weight: weight ?? file.weight,
			},
		];
	},
};
