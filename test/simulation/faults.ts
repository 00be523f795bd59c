import {cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';

/** A deliberate fault: what must be found once in a compiled file of src/vrrp, and what is put in its place. */
export interface Fault {
	readonly name: string;
	readonly file: 'machine' | 'instance' | 'sync-group' | 'timers' | 'holdings';
	readonly find: string;
	readonly put: string;
}

/** Each must make the simulation fail, or its invariants are worth nothing. */
export const faults: readonly Fault[] = [
	{
		name: 'a master yields to nobody',
		file: 'machine',
		find: 'if (!outranked)',
		put: 'if (true)',
	},
	{
		name: 'of two equals none yields',
		file: 'machine',
		find: 'advert.priority === config.priority && advert.higherAddress',
		put: 'false',
	},
	{
		name: 'of two equals both yield',
		file: 'machine',
		find: 'advert.priority === config.priority && advert.higherAddress',
		put: 'advert.priority === config.priority',
	},
	{
		name: 'preempt and nopreempt are mistaken for each other',
		file: 'machine',
		find: '!config.preempt',
		put: 'config.preempt',
	},
	{name: 'preempt_delay is never over', file: 'machine', find: `preemptDelay: 'over'`, put: `preemptDelay: 'running'`},
	{name: 'a backup waits twice as long', file: 'machine', find: 'DOWN_INTERVALS = 3', put: 'DOWN_INTERVALS = 6'},
	{name: 'a backup waits for no interval', file: 'machine', find: 'DOWN_INTERVALS = 3', put: 'DOWN_INTERVALS = 0'},
	{
		name: 'a master advertises every fourth interval',
		file: 'machine',
		find: `timer: 'advert', us: config.advertUs`,
		put: `timer: 'advert', us: 4 * config.advertUs`,
	},
	{
		name: 'a resignation is not heard',
		file: 'machine',
		find: `{ kind: 'set-timer', timer: 'master-down', us: skewUs(config, heard.masterAdvertUs) },`,
		put: '',
	},
	{
		name: 'a master stops without resigning',
		file: 'machine',
		find: 'stopWithAddresses(state, event.orderly, [RESIGN], config)',
		put: 'stopWithAddresses(state, event.orderly, [], config)',
	},
	{
		name: 'whoever has lingered keeps its addresses',
		file: 'machine',
		find: `stay({ ...state, lingers: false }, { kind: 'remove-addresses' })`,
		put: 'stay({ ...state, lingers: false })',
	},
	{name: 'whoever lingers never lets go', file: 'machine', find: 'return letGo(state);', put: 'return stay(state);'},
	{name: 'addresses go with a resignation', file: 'machine', find: 'if (!orderly)', put: 'if (true)'},
	{
		name: 'addresses go with the advert of a better master',
		file: 'machine',
		find: `lingers ? { kind: 'set-timer', timer: 'linger', us: LINGER_HEARD_US } : { kind: 'remove-addresses' },`,
		put: `{ kind: 'remove-addresses' },`,
	},
	{
		name: 'nobody waits for a slow successor',
		file: 'machine',
		find: 'return Math.min(longestUs, LINGER_MAX_US) + LINGER_MARGIN_US;',
		put: 'return 1_000;',
	},
	{name: 'whoever was released preempts', file: 'machine', find: ' || state.released', put: ''},
	{
		name: 'stolen addresses are not missed',
		file: 'machine',
		find: `return toBackup(state, 'address-lost', config, true);`,
		put: 'return stay(state);',
	},
	{name: 'what a crash has left stays', file: 'holdings', find: 'this.#held.set(found.key, found);', put: '{}'},
	{
		name: 'a cured router stays in fault',
		file: 'machine',
		find: 'config.grouped ? stay(state) : toBackup(state, cause, config)',
		put: 'stay(state)',
	},
	{
		name: 'members of a group fail one by one',
		file: 'sync-group',
		find: `if (members.some(member => !member.healthy))`,
		put: 'if (false)',
	},
	{
		name: 'a group is master by half',
		file: 'sync-group',
		find: 'waiting.every(member => member.ready)',
		put: 'waiting.some(member => member.ready)',
	},
	{
		name: 'only the first of the unicast peers is told',
		file: 'instance',
		find: '(this.#instance.unicast?.peers ?? [])',
		put: '(this.#instance.unicast?.peers.slice(0, 1) ?? [])',
	},
	{name: 'a router that hung believes its timers before its sockets', file: 'timers', find: 'this.#drain();', put: ''},
];

const BUILD = fileURLToPath(new URL('../../', import.meta.url));

/** Runs `use` with the address of a simulation whose routers have the fault. */
export async function withFault(fault: Fault, use: (simulation: URL) => Promise<void>): Promise<void> {
	const directory = mkdtempSync(join(BUILD, 'faulty-'));
	try {
		for (const part of ['src/vrrp', 'test/vrrp', 'test/fake'])
			cpSync(join(BUILD, part), join(directory, part), {recursive: true});
		for (const entry of readdirSync(join(BUILD, 'src')).filter(name => name !== 'vrrp'))
			symlinkSync(join(BUILD, 'src', entry), join(directory, 'src', entry));
		breakFile(join(directory, 'src/vrrp', `${fault.file}.js`), fault);
		await use(pathToFileURL(join(directory, 'test/vrrp/simulation.js')));
	} finally {
		rmSync(directory, {recursive: true});
	}
}

function breakFile(path: string, {name, find, put}: Fault): void {
	const [before, after, ...more] = readFileSync(path, 'utf8').split(find);
	if (before === undefined || after === undefined || more.length > 0) {
		throw new Error(`${name}: \`${find}\` is not there exactly once in ${path}`);
	}
	writeFileSync(path, `${before}${put}${after}`);
}
