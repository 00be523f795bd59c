import {readFileSync} from 'node:fs';

const packageJson: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** The version of this package, as `lbd --version` and the metrics show it. */
export const VERSION: string =
	typeof packageJson === 'object' && packageJson !== null && 'version' in packageJson
		? String(packageJson.version)
		: 'unknown';
