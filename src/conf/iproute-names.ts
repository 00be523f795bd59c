import type {Files} from './files.js';

/** Where iproute2 keeps the names of numbers: what an administrator wrote goes before what the package brings. */
const DIRECTORIES = ['/etc/iproute2', '/usr/share/iproute2', '/usr/lib/iproute2'];
/** Far more than anybody has tables. */
const FILE_MAX = 1 << 20;

/** The files below these directories, each with the names that the kernel or iproute2 itself has. */
const builtIn = {
	rt_tables: {default: 253, main: 254, local: 255},
	rt_protos: {
		...{redirect: 1, kernel: 2, boot: 3, static: 4, gated: 8, ra: 9, mrt: 10, zebra: 11, bird: 12, dnrouted: 13},
		...{xorp: 14, ntk: 15, dhcp: 16, keepalived: 18, babel: 42, bgp: 186, isis: 187, ospf: 188, rip: 189, eigrp: 192},
	},
	rt_scopes: {global: 0, universe: 0, site: 200, link: 253, host: 254, nowhere: 255},
	rt_realms: {cosmos: 0},
	rt_dsfield: {},
	group: {default: 0},
} as const satisfies Record<string, Readonly<Record<string, number>>>;

export type NamedKind = keyof typeof builtIn;

/** Numbers that routes and rules may call by a name, as `ip` reads them. Each file is read when it is first asked for. */
export class IprouteNames {
	readonly #files: Files;
	readonly #known = new Map<NamedKind, ReadonlyMap<string, number>>();

	constructor(files: Files) {
		this.#files = files;
	}

	/** The number that a name stands for, or undefined. */
	find(kind: NamedKind, name: string): number | undefined {
		return this.#of(kind).get(name);
	}

	all(kind: NamedKind): Iterable<string> {
		return this.#of(kind).keys();
	}

	/** Where a name would be added. */
	static pathOf(kind: NamedKind): string {
		return `${DIRECTORIES[0]}/${kind}`;
	}

	#of(kind: NamedKind): ReadonlyMap<string, number> {
		const known = this.#known.get(kind) ?? this.#read(kind);
		this.#known.set(kind, known);
		return known;
	}

	#read(kind: NamedKind): ReadonlyMap<string, number> {
		const names = new Map<string, number>(Object.entries(builtIn[kind]));
		for (const path of DIRECTORIES.toReversed().flatMap(directory => this.#paths(`${directory}/${kind}`))) {
			const content = this.#files.read(path, FILE_MAX);
			if (typeof content !== 'string') for (const [name, number] of parse(content)) names.set(name, number);
		}
		return names;
	}

	/** A file and the drop-ins beside it. */
	#paths(path: string): string[] {
		const dropIns = this.#files.list(`${path}.d`).filter(name => name.endsWith('.conf'));
		return [path, ...dropIns.toSorted().map(name => `${path}.d/${name}`)];
	}
}

/** Lines of a number and a name; anything else is passed over, as iproute2 does. */
function parse(content: Uint8Array): [name: string, number: number][] {
	const lines = Buffer.from(content).toString('utf8').split('\n');
	return lines.flatMap((line): [string, number][] => {
		const [, number = '', name = ''] = /^\s*(0x[0-9a-f]+|\d+)\s+([^\s#]+)/i.exec(line) ?? [];
		return name === '' ? [] : [[name, Number(number)]];
	});
}
