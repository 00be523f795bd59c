import {KEEPALIVED} from '../../net/netlink/ip-route.js';
import {none, one} from '../args.js';
import type {Report} from '../diagnostics.js';
import type {Place} from '../model.js';
import {full, type Keywords, type Row, refused} from '../table.js';
import {word} from '../values.js';

/** The lines of a block of addresses, routes or rules, each with its place. */
export type Lines<D> = {readonly place: Place; readonly draft: D}[];

/** Every one of them is asked for when something changes. */
const LINES_MAX = 4096;

/** As many lines as there may be; the first of the others is reported. */
export function bounded<D>(lines: Lines<D>, report: Report): Lines<D> {
	const excess = lines[LINES_MAX];
	if (excess === undefined) return lines;
	report.error('too-many', excess.place, `the block has more than ${LINES_MAX} lines from here on`);
	return lines.slice(0, LINES_MAX);
}

/** What lines of addresses, routes and rules say about being removed by somebody else. */
export interface Tracking {
	tracked: boolean;
	trackGroup: string | null;
}

export function newTracking(): Tracking {
	return {tracked: true, trackGroup: null};
}

const noTrack: Row<Tracking> = full(none, draft => {
	draft.tracked = false;
});

/** Of what an instance holds. */
export const trackOption: Keywords<Tracking> = {
	no_track: noTrack,
	track_group: refused('it is for static blocks: the instance itself tracks what it holds'),
};

/** Of what is static. */
export const trackGroupOption: Keywords<Tracking> = {
	no_track: noTrack,
	track_group: full(one(word), (draft: Tracking, name) => {
		draft.trackGroup = name;
	}),
};

/** Ours are found again by their protocol: only what nobody has to find may have another one. */
export function ourProtocol(
	what: 'routes' | 'rules',
	said: number,
	{tracked}: Tracking,
	place: Place,
	report: Report,
): number {
	if (said === KEEPALIVED || !tracked) return said;
	const text = `protocol is ignored as keepalived does: ${what} that are tracked are of protocol ${KEEPALIVED}`;
	report.warning('adjusted', place, text, `add 'no_track', or remove it`);
	return KEEPALIVED;
}
