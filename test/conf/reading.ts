import {formatDiagnostic} from '../../src/conf/diagnostics.js';
import type {Config} from '../../src/conf/model.js';
import {readConfig} from '../../src/conf/read.js';
import {MemoryFiles} from './memory-files.js';

/** What `readConfig` makes of a text, with the complaints as they are printed; `lists` are other files. */
export function read(
	text: string | Uint8Array,
	lists: Readonly<Record<string, string | Uint8Array>> = {},
): {readonly config: Config | null; readonly printed: readonly string[]} {
	const {config, diagnostics} = readConfig('lb.conf', new MemoryFiles({...lists, 'lb.conf': text}));
	return {config, printed: diagnostics.map(formatDiagnostic)};
}

/** A sound configuration with room for one more line in each kind of block. The line is where the comment says. */
export interface Extra {
	/** Line 2. */
	readonly globals?: string;
	/** Line 7. */
	readonly instance?: string;
	/** Line 9. */
	readonly address?: string;
	/** Line 16. */
	readonly service?: string;
	/** Line 18. */
	readonly backend?: string;
	/** Line 20. */
	readonly check?: string;
	/** Line 24. */
	readonly top?: string;
}

/** The lines have no indentation, so that an extra line starts at column 1. */
export function sound(extra: Extra = {}): string {
	return `global_defs {
${extra.globals ?? ''}
}
vrrp_instance VI_1 {
interface eth0
virtual_router_id 51
${extra.instance ?? ''}
virtual_ipaddress {
${extra.address ?? ''}
192.168.1.1/24
}}
virtual_server 192.168.1.1 80 {
protocol TCP
lb_algo rr
lb_kind NAT
${extra.service ?? ''}
real_server 10.0.0.71 80 {
${extra.backend ?? ''}
TCP_CHECK {
${extra.check ?? ''}
}
}
}
${extra.top ?? ''}
`;
}

/** The configuration of a text that must have one; `lists` are other files. */
export function configOf(text: string, lists: Readonly<Record<string, string | Uint8Array>> = {}): Config {
	const {config, printed} = read(text, lists);
	if (config === null) throw new Error(printed.join('\n'));
	return config;
}
