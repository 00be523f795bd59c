/** The machine that figures come from, and the state it is in: figures without it say nothing. */
import {readdirSync, readFileSync} from 'node:fs';
import {cpus, loadavg, release} from 'node:os';

export interface Machine {
	readonly cpu: string;
	readonly cpus: number;
	readonly kernel: string;
	readonly system: string;
	/** What the kernel does against its CPU's faults, by fault; those that the CPU does not have are left out. */
	readonly mitigations: Readonly<Record<string, string>>;
	/** Whether BPF programs are compiled to machine code, and hardened against their authors. */
	readonly jit: string;
	/** Programs that wanted to run meanwhile, on the average of a minute. */
	readonly load: number;
}

const VULNERABILITIES = '/sys/devices/system/cpu/vulnerabilities';

export function machine(): Machine {
	const faults = readdirSync(VULNERABILITIES).map(name => [name, text(`${VULNERABILITIES}/${name}`)] as const);
	return {
		cpu: cpus()[0]?.model.trim() ?? 'unknown',
		cpus: cpus().length,
		kernel: release(),
		system: /^PRETTY_NAME="(.*)"$/m.exec(text('/etc/os-release'))?.[1] ?? 'Linux',
		mitigations: Object.fromEntries(faults.filter(([, state]) => state !== 'Not affected')),
		jit: `${switched('bpf_jit_enable')}, hardening ${switched('bpf_jit_harden')}`,
		load: loadavg()[0] ?? 0,
	};
}

/** The machine in a few lines, for people. */
export function describe(of: Machine): string[] {
	const mitigations = Object.entries(of.mitigations).map(([fault, state]) => `${fault}: ${state.split(';')[0]}`);
	return [
		`${of.cpus} CPUs, ${of.cpu}; Linux ${of.kernel}; ${of.system}`,
		`BPF JIT ${of.jit}; load ${of.load.toFixed(1)}`,
		`mitigations: ${mitigations.join(', ') || 'none needed'}`,
	];
}

function switched(sysctl: string): string {
	return text(`/proc/sys/net/core/${sysctl}`) === '0' ? 'off' : 'on';
}

function text(path: string): string {
	try {
		return readFileSync(path, 'utf8').trim();
	} catch {
		return '';
	}
}
