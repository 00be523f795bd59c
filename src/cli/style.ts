export type Tone = 'good' | 'warning' | 'bad' | 'faint' | 'bold';

/** How text may look where it goes. */
export interface Style {
	readonly colour: boolean;
	/** Whether somebody reads it as it comes; no if absent. */
	readonly terminal?: boolean;
	/** Columns that a table may take. */
	readonly width: number;
}

const CODES: Readonly<Record<Tone, number>> = {good: 32, warning: 33, bad: 31, faint: 2, bold: 1};

/** The text in a tone's colour, or as it is where colours would only be noise. */
export function paint(style: Style, tone: Tone | null, text: string): string {
	return style.colour && tone !== null ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text;
}

/** Text from outside without the control characters that could play tricks on a terminal. */
export function printable(text: string): string {
	return text.replace(/\p{Cc}/gu, '?');
}

/** The tone that says at a glance how a backend, check or VRRP instance is. */
export function stateTone(state: string): Tone | null {
	if (state === 'up' || state === 'master') return 'good';
	if (state === 'down' || state === 'kept' || state === 'fault') return 'bad';
	return state === 'drain' || state === 'untested' ? 'warning' : null;
}
