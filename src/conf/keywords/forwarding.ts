import {type Args, type Arguments, none, one} from '../args.js';
import type {Forwarding} from '../model.js';
import {full, type Keywords, type Row, readOptions} from '../table.js';
import {integer, oneOf} from '../values.js';

/** What may stand behind `TUN`. */
interface TunnelDraft {
	type: 'ipip' | 'gre' | 'gue';
	port: number | null;
	checksum: 'none' | 'full' | 'remote';
}

const method = oneOf({NAT: 'nat', DR: 'dr', TUN: 'tun'});

function checksum(value: TunnelDraft['checksum']): Row<TunnelDraft> {
	return full(none, tunnel => {
		tunnel.checksum = value;
	});
}

const tunnelOptions: Keywords<TunnelDraft> = {
	type: full(one(oneOf({ipip: 'ipip', gue: 'gue', gre: 'gre'})), (tunnel, type) => {
		tunnel.type = type;
	}),
	port: full(one(integer(1, 65_535)), (tunnel, port) => {
		tunnel.port = port;
	}),
	nocsum: checksum('none'),
	csum: checksum('full'),
	remcsum: checksum('remote'),
};

/** `lb_kind` of a service, `lvs_method` of either. */
export const forwardingArgs: Args<Forwarding> = {
	usage: 'NAT | DR | TUN [type ipip|gre|gue port PORT] [nocsum|csum|remcsum]',
	read(words) {
		const chosen = words.take(method);
		if (chosen !== 'tun') return chosen && {method: chosen};
		const tunnel: TunnelDraft = {type: 'ipip', port: null, checksum: 'none'};
		return readOptions(words, tunnelOptions, tunnel) ? toTunnel(tunnel, words) : undefined;
	},
};

/** keepalived's rules: only GUE has a port, and must have one; IPIP has no checksum, GRE none that is left to the other end. */
function toTunnel({type, port, checksum}: TunnelDraft, {keyword, report}: Arguments): Forwarding | undefined {
	const refuse = (why: string, wayOut: string): undefined => {
		report.error('contradiction', keyword.place, `${keyword.text} TUN type ${type} ${why}`, wayOut);
	};
	if (type !== 'gue' && port !== null) return refuse('has no port', 'remove it');
	if (type === 'ipip') return checksum === 'none' ? {method: 'tun', type} : refuse('has no checksum', 'remove it');
	if (type === 'gre') {
		return checksum === 'remote' ? refuse('knows no remcsum', 'use csum') : {method: 'tun', type, checksum};
	}
	return port === null ? refuse('needs a port', `add 'port PORT'`) : {method: 'tun', type, port, checksum};
}
