/** How long a large configuration takes to read: what a reload costs before anything is changed. */
import {type Figure, figures} from '../src/bench/figure.js';
import {interleave} from '../src/bench/statistics.js';
import {readConfig} from '../src/conf/read.js';
import type {Wiring} from './wiring.js';

/** 100,000 lines: of as many services as there is room for, and real servers with a check each. */
const SERVICES = 250;
const BACKENDS = 40;
const SECTION = 'a configuration of 100,000 lines';
const NAME = `${SERVICES} services with ${BACKENDS} real servers each`;

export async function configuration(_: Wiring, rounds: number): Promise<Figure[]> {
	const bytes = new TextEncoder().encode(text());
	const files = {read: () => bytes, isExposed: () => false, list: () => []};
	const sample = (): number => {
		const start = performance.now();
		const {config, diagnostics} = readConfig('bench.conf', files);
		if (config === null || diagnostics.length > 0) throw new Error(`not accepted: ${diagnostics[0]?.text}`);
		return performance.now() - start;
	};
	const goals = [{bound: 'at most', value: 1000} as const];
	return figures(SECTION, 'ms', await interleave([{name: NAME, sample}], rounds), [{name: NAME, goals}]);
}

function text(): string {
	const services = Array.from({length: SERVICES}, (_, index) => service(index));
	const addresses = services.map((_, index) => `\t\t10.1.0.${index}/16`);
	return `vrrp_instance VI {
	interface eth0
	virtual_router_id 1
	priority 100
	virtual_ipaddress {
${addresses.join('\n')}
	}
}
${services.join('\n')}`;
}

function service(index: number): string {
	const backends = Array.from({length: BACKENDS}, (_, backend) => realServer(`10.2.${index}.${backend + 1}`));
	return `virtual_server 10.1.0.${index} 80 {
	protocol TCP
	delay_loop 10
	lb_algo wrr
	lb_kind NAT
	persistence_timeout 300
${backends.join('\n')}
}`;
}

function realServer(address: string): string {
	return `	real_server ${address} 80 {
		weight 1
		TCP_CHECK {
			connect_timeout 3
			retry 2
			delay_before_retry 3
			connect_port 80
		}
	}
`;
}
