import type {Report, Session} from '../session.js';
import {outcomeText} from './changes.js';

/** `lbctl plan FILE`: what would change if the file came into force, and whom that touches. `file` is an absolute path. */
export async function plan(session: Session, file: string, limit: number): Promise<Report> {
	const report = await session.daemon.call('plan', {file});
	return {json: report, text: style => outcomeText(report, limit, style), exitCode: report.exitCode};
}
