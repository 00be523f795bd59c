/** The files of a soak: the reference job, with shared connections, a service of UDP, and checks that a test can fail. */
import {type BalancerName, externalVip, nodes, type WebServerName} from '../../lab/topology.js';
import {reference, variant, withoutBackend, withWeight} from '../lab/jobs.js';
import type {Edit} from './plan.js';

export const DATAGRAM_PORT = 5300;
/** Below /put/ of a web server: without this page its checks fail. */
export const HEALTH_PAGE = 'health';

const KEY = '5f1d0c2b9e8a47763344aabbccddeeff';
const CHECK = `HTTP_GET {
            url {
                path /put/${HEALTH_PAGE}
                status_code 200
            }
            connect_port 80
            connect_timeout 1
            retry 1
            delay_before_retry 1
        }`;

function address(server: WebServerName): string {
	return nodes[server].nics[0]?.address ?? '';
}

/** Replaces what must be there. */
function replaced(text: string, what: RegExp, by: string): string {
	if (!what.test(text)) throw new Error(`no ${what} in the configuration`);
	return text.replace(what, by);
}

function datagramService(): string {
	const backends = (['web1', 'web2'] as const).map(
		server => `	real_server ${address(server)} ${DATAGRAM_PORT} {
		${CHECK}
	}`,
	);
	return `virtual_server ${externalVip} ${DATAGRAM_PORT} {
	protocol UDP
	delay_loop 1
	lb_algo rr
	lb_kind NAT
${backends.join('\n')}
}
`;
}

/** Closed connections are soon forgotten, so that the flow table of ten minutes is that of one. */
const GLOBALS = `global_defs {
   lvs_sync_daemon eth1 internal
   lvs_timeouts tcp 900 tcpfin 10 udp 30
`;
/** A failed check costs no connection that lives. */
const SETTINGS = `lbd {
    failed_backend keep
    sync {
        key "${KEY}"
    }
}
`;

function base(node: BalancerName): string {
	const file = variant(node === 'lb1' ? reference.primary : reference.backup, {delay_loop: 1});
	const checked = replaced(file, /TCP_CHECK \{.*?\}/gs, CHECK);
	return `${replaced(checked, /global_defs \{\n/, GLOBALS)}\n${datagramService()}\n${SETTINGS}`;
}

const changes: Readonly<Record<Edit, (file: string) => string>> = {
	weights: file => withWeight(file, address('web1'), 3),
	timeouts: file => replaced(file, /lvs_timeouts tcp 900/, 'lvs_timeouts tcp 600'),
	thresholds: file => replaced(file, /weight \d+\n/, '$&        uthreshold 60000\n        lthreshold 50000\n'),
	scheduler: file => replaced(file, /lb_algo rr/, 'lb_algo mh'),
	persistence: file => variant(file, {persistence_timeout: 3600}),
};

/** The file of a balancer while these changes are in force. */
export function configurationOf(
	node: BalancerName,
	edits: Iterable<Edit> = [],
	removed: Iterable<WebServerName> = [],
): string {
	const edited = [...edits].reduce((file, edit) => changes[edit](file), base(node));
	return [...removed].reduce((file, server) => withoutBackend(file, address(server)), edited);
}

/** A file that is refused, as `ExitCode.badValue`. */
export function badConfiguration(node: BalancerName): string {
	return replaced(base(node), /lb_algo rr/, 'lb_algo rrr');
}
