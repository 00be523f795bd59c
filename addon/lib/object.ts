import {check} from './check.js';
import {BpfError} from './errors.js';
import {RawMap} from './map.js';
import {type NativeObject, native} from './native.js';
import {BpfProgram} from './program.js';
import {complaintOf} from './verifier-log.js';

/**
 * A compiled BPF object file. `open` reads it, which needs no privilege; then maps can be sized or replaced and programs
 * left out; then `load` makes all of it in the kernel. Refusals are BpfError.
 */
export class BpfObject {
	readonly maps: ReadonlyMap<string, RawMap>;
	readonly programs: ReadonlyMap<string, BpfProgram>;
	readonly #path: string;
	readonly #object: NativeObject;

	private constructor(path: string, object: NativeObject) {
		this.#path = path;
		this.#object = object;
		this.maps = byName(object.maps().map(map => new RawMap(map)));
		this.programs = byName(object.programs().map(program => new BpfProgram(program)));
	}

	static open(path: string): BpfObject {
		const object = native().openObject(path);
		if ('status' in object) throw new BpfError('object open', path, -object.status, complaintOf(object.log));
		return new BpfObject(path, object);
	}

	/** Creates the maps, then loads the programs. When one is refused, nothing is left; open the file again to retry. */
	load(): void {
		const {status, log} = this.#object.load();
		check('object load', this.#path, status, status < 0 ? complaintOf(log) : {});
		for (const part of [...this.maps.values(), ...this.programs.values()]) part.adopt();
	}

	/** Closes the file and all that `load` made and nothing else holds: pins and links live on. */
	close(): void {
		for (const part of [...this.maps.values(), ...this.programs.values()]) part.close();
		this.#object.close();
	}
}

function byName<T extends {readonly name: string}>(parts: readonly T[]): ReadonlyMap<string, T> {
	return new Map(parts.map(part => [part.name, part]));
}
