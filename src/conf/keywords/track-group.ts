import {anything} from '../args.js';
import type {Place, TrackGroup} from '../model.js';
import {type Draft, draftAt, items, type Keywords} from '../table.js';

/** `track_group`. */
export interface TrackGroupDraft extends Draft {
	readonly name: string;
	readonly instances: string[];
}

export function newTrackGroup(name: string, place: Place): TrackGroupDraft {
	return {...draftAt(place), name, instances: []};
}

export const trackGroup: Keywords<TrackGroupDraft> = {
	group: items(anything, ({instances}, names) => {
		instances.push(...names);
	}),
};

export function toTrackGroup({place, name, instances}: TrackGroupDraft): TrackGroup {
	return {place, name, instances: [...new Set(instances)]};
}
