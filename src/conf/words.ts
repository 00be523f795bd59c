/** What services and backends are called: by us, and by keepalived in its log, FIFOs and mails. */
import type {Backend, Service} from './model.js';

/** `192.168.1.1:80`, or `group WEB`, `group DNS/udp`: the services of one `virtual_server` have one name. */
export function virtualServerName({name, group, protocol}: Pick<Service, 'name' | 'group' | 'protocol'>): string {
	if (group === null) return name;
	return `group ${group}${protocol === 'tcp' ? '' : `/${protocol}`}`;
}

/** `[192.168.1.1]:tcp:80`, or `[WEB]:0` for all services of a group. */
export function serviceWord({group, address, protocol, port}: Service): string {
	return group === null ? `[${address}]:${protocol}:${port}` : `[${group}]:0`;
}

/** `[10.0.0.71]:tcp:80` */
export function backendWord({protocol}: Service, {address, port}: Backend): string {
	return `[${address}]:${protocol}:${port}`;
}
