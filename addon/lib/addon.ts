import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';

const nodeGypBuild: (directory: string) => unknown = createRequire(import.meta.url)('node-gyp-build');

/** Loads the native module built in (or shipped prebuilt under) a folder of this package, `.` or `net`. */
export function loadAddon(folder: string): unknown {
	return nodeGypBuild(fileURLToPath(new URL(`../${folder}`, import.meta.url)));
}
