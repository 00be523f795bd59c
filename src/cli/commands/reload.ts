import type {Report, Session} from '../session.js';
import {printable} from '../style.js';

/** `lbctl reload`: the daemon reads its file again; a file with errors changes nothing. */
export async function reload(session: Session): Promise<Report> {
	const report = await session.daemon.call('reload', null);
	return {
		json: report,
		text: () => [...report.diagnostics, report.summary].map(line => `${printable(line)}\n`).join(''),
		exitCode: report.exitCode,
	};
}
