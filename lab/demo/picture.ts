import {type BalancerName, clientNetwork, networks, nodes, type WebServerName} from '../topology.js';

/** What the picture shows, as seen from outside. */
export interface View {
	readonly balancers: Readonly<Record<BalancerName, BalancerView>>;
	readonly webServers: Readonly<Record<WebServerName, WebServerView>>;
}

export interface BalancerView {
	readonly running: boolean;
	readonly vips: readonly string[];
}

export interface WebServerView {
	readonly running: boolean;
	readonly answers: number;
}

export interface Paint {
	good(text: string): string;
	bad(text: string): string;
	faint(text: string): string;
}

const paint = (code: number) => (text: string) => `\x1b[${code}m${text}\x1b[0m`;
export const colours: Paint = {good: paint(32), bad: paint(31), faint: paint(2)};
export const monochrome: Paint = {good: text => text, bad: text => text, faint: text => text};

/** Inner width of a box. */
const WIDTH = 24;

export function roleOf(balancer: BalancerView): string {
	if (!balancer.running) return '✗ dead';
	return balancer.vips.length > 0 ? '● MASTER' : '○ BACKUP';
}

function stateOf(server: WebServerView): string {
	return server.running ? '● up' : '✗ dead';
}

/** The view in one line, for output that cannot be redrawn. */
export function describe({balancers, webServers}: View): string {
	const roles = Object.entries(balancers).map(([name, balancer]) => `${name} ${roleOf(balancer)}`);
	const states = Object.entries(webServers).map(([name, server]) => `${name} ${stateOf(server)}`);
	return [...roles, ...states].join(' · ');
}

/** Figure 17.3 with the present roles; fits into 80 columns. */
export function picture(view: View, {good, bad, faint}: Paint): string[] {
	const mark = (state: string) => (state.startsWith('✗') ? bad(state) : state.startsWith('●') ? good(state) : state);
	const balancer = (name: BalancerName) => {
		const {running, vips} = view.balancers[name];
		const lines = vips.map(vip => cell(vip, running ? good : faint));
		const address = nodes[name].nics.map(nic => nic.address).join(' ');
		return [
			title(name, roleOf(view.balancers[name]), mark),
			cell(address, faint),
			lines[0] ?? cell(''),
			lines[1] ?? cell(''),
		];
	};
	const webServer = (name: WebServerName) => [
		title(name, stateOf(view.webServers[name]), mark),
		cell(nodes[name].nics[0]?.address ?? '', faint),
		cell(`${view.webServers[name].answers} answers`),
	];
	return [
		centred(`clients ${clientNetwork}`),
		wire('╧', ['╤', '╤'], `external ${networks.external}`),
		...boxes([balancer('lb1'), balancer('lb2')], '┴', '┬'),
		wire('═', ['╪', '╪'], `internal ${networks.internal}`),
		...boxes([webServer('web1'), webServer('web2')], '┴', '─'),
	];
}

function cell(text: string, dye: (text: string) => string = plain => plain): string {
	return dye(` ${text}`.padEnd(WIDTH));
}

function title(name: string, state: string, dye: (text: string) => string): string {
	const start = ` ${name}`.padEnd(7);
	return start + dye(state) + ' '.repeat(WIDTH - start.length - state.length);
}

const HALF = WIDTH / 2;
const GAP = '  ';

function centred(text: string): string {
	const total = 2 * (WIDTH + 2) + GAP.length;
	return ' '.repeat(Math.round((total - text.length) / 2)) + text;
}

/** A network from edge to edge, with a joint in the middle and one above or below each box. */
function wire(middle: string, [left, right]: readonly [string, string], label: string): string {
	const line = '═'.repeat(HALF);
	const between = '═'.repeat(GAP.length / 2);
	return `═${line}${left}${line}${between}${middle}${between}${line}${right}${line} ${label}`;
}

/** Boxes side by side, joined to the wires above and below. */
function boxes(contents: readonly (readonly string[])[], above: string, below: string): string[] {
	const edge = (start: string, joint: string, end: string) =>
		contents.map(() => `${start}${'─'.repeat(HALF)}${joint}${'─'.repeat(HALF - 1)}${end}`).join(GAP);
	const rows = (contents[0] ?? []).map((_, row) => contents.map(lines => `│${lines[row]}│`).join(GAP));
	return [edge('┌', above, '┐'), ...rows, edge('└', below, '┘')];
}
