import type {NicStatus, SharingReport, Status} from '../../control/protocol.js';
import {ExitCode, KernelError} from '../../errors.js';
import type {DropView} from '../../xdp/view.js';
import {duration} from '../format.js';
import type {Report, Session} from '../session.js';
import {paint, printable, type Style} from '../style.js';
import {mostFirst, renderDrops} from './drops.js';
import {renderServices, type ServiceRow, serviceRows} from './services.js';
import {renderInstances} from './vrrp.js';

const TOP_DROPS = 5;

interface Forwarding {
	readonly services: readonly ServiceRow[];
	readonly drops: readonly DropView[];
}

/** `lbctl status`: one screen. Exits with 1 while no daemon answers, so that a script can ask "is it well?". */
export async function status(session: Session): Promise<Report> {
	const daemon = await session.status();
	const forwarding = await readForwarding(session, daemon);
	return {
		json: {name: session.name, running: daemon !== null, daemon, forwarding},
		text: style =>
			[
				renderDaemon(session.name, daemon, style),
				...(daemon === null || daemon.vrrp.instances.length === 0
					? []
					: [renderInstances(daemon.vrrp.instances, style)]),
				...(forwarding === null
					? []
					: [renderServices(forwarding.services, style), renderDrops(forwarding.drops, style)]),
			].join('\n'),
		exitCode: daemon === null ? ExitCode.failure : ExitCode.ok,
	};
}

/** null, and one line that says so, when no maps can be read. */
async function readForwarding(session: Session, daemon: Status | null): Promise<Forwarding | null> {
	try {
		return await session.withView(view => ({
			services: serviceRows(view, daemon?.health ?? null),
			drops: mostFirst(view.drops()).slice(0, TOP_DROPS),
		}));
	} catch (error) {
		if (!(error instanceof KernelError)) throw error;
		session.note(error.message);
		return null;
	}
}

function renderDaemon(name: string, daemon: Status | null, style: Style): string {
	if (daemon === null) return `lbd ${name}: ${paint(style, 'bad', 'not running')}\n`;
	const {version, pid, uptimeS, file, nics, sharing, notSharing, lastReload} = daemon;
	const lines = [
		`lbd ${name}: ${paint(style, 'good', 'running')} for ${duration(uptimeS)}, version ${version}, pid ${pid}`,
		`configuration: ${printable(file)}`,
		`NICs: ${nics.length === 0 ? 'none' : nics.map(nic => renderNic(nic, style)).join(', ')}`,
	];
	if (sharing !== null) lines.push(`sharing: ${renderSharing(sharing, style)}`);
	if (notSharing !== null) lines.push(`sharing: ${paint(style, 'warning', 'off')}, as ${printable(notSharing)}`);
	if (lastReload !== null && !lastReload.applied) {
		lines.push(paint(style, 'bad', `last reload refused at ${lastReload.at}: ${printable(lastReload.summary)}`));
	}
	return lines.map(line => `${line}\n`).join('');
}

/** Generic mode costs most of the speed, so it is not passed over in silence. */
function renderNic({name, mode}: NicStatus, style: Style): string {
	return mode === 'native' ? `${name} (native)` : `${name} (${paint(style, 'warning', 'generic: slow')})`;
}

const KEYS = {sync: 'under the key of the file', vrrp: 'under a key made of the secret of VRRP'} as const;

/** What was not believed and should have been, perhaps. */
const COMPLAINTS = [
	['authentication', 'somebody had another key'],
	['version', 'somebody had another version'],
	['sender', 'somebody spoke who is no peer'],
	['strangers', 'there were too many'],
] as const;

/** Whether a take-over here would keep the connections of the others. */
function renderSharing(sharing: SharingReport, style: Style): string {
	const {state, peers, interface: device, keyFrom, unsent, overwritten, refusals} = sharing;
	const paints = {joining: 'warning', 'in-sync': 'good', alone: 'warning'} as const;
	const names = peers.map(({address}) => address).join(', ');
	const untold = unsent + overwritten;
	return [
		paint(style, paints[state], state.replace('-', ' ')),
		...(names === '' ? [] : [`with ${names}`]),
		`on ${printable(device)} ${keyFrom === null ? paint(style, 'bad', 'without a key') : KEYS[keyFrom]}`,
		...(untold === 0 ? [] : [`${untold} records were late`]),
		...COMPLAINTS.flatMap(([reason, text]) => ((refusals[reason] ?? 0) === 0 ? [] : [paint(style, 'warning', text)])),
	].join(', ');
}
