/**
 * `node other-version.js NAME DIRECTORY`, in the namespace of a balancer whose daemon of that name has been killed: another version of
 * the program takes the place of what it has left behind, as if it had always been there.
 */
import {fileURLToPath} from 'node:url';
import {BpfLink} from 'libbpf-ts';
import {layoutsIn, openPinned} from '../../src/xdp/load.js';
import {Pins} from '../../src/xdp/pins.js';
import {loadOther} from '../xdp/other-version.js';

const OBJECT_DIRECTORY = fileURLToPath(new URL('../..', import.meta.url));

const [name = '', directory = ''] = process.argv.slice(2);
const pins = new Pins(name);
const found = openPinned(pins, layoutsIn(OBJECT_DIRECTORY));
const links = pins.links().map(pinned => ({...pinned, link: BpfLink.openPinned(pinned.path)}));
const version = await loadOther(directory, new Map([...found].map(([map, {map: raw}]) => [map, raw])));
// The links live on by their descriptors.
pins.remove();
version.pin(pins);
for (const {link, path} of links) {
	link.update(version.program);
	link.pin(path);
}
