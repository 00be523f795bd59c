import type {Report, Session} from '../session.js';
import {outcomeText} from './changes.js';

/** `lbctl reload`: the daemon reads its file again, and says what that has changed; a file with errors changes nothing. */
export async function reload(session: Session, limit: number): Promise<Report> {
	const outcome = await session.daemon.call('reload', null);
	return {json: outcome, text: style => outcomeText(outcome, limit, style), exitCode: outcome.exitCode};
}
