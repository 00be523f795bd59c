/** `vrrp_strict` and `strict_mode`: what keepalived takes from an instance that is to keep to the RFC. */
import {isLinkLocal} from '../../net/address.js';
import {quote, type Report} from '../diagnostics.js';
import type {Instance} from '../model.js';
import {type Draft, placeOf} from '../table.js';

/** RFC 9568 §6.1: the priority of the router that owns the addresses. */
const PRIORITY_OWNER = 255;

/** The instance without what strict mode does not allow, or null if nothing allowed is left. */
export function toStrict(instance: Instance, draft: Draft, report: Report): Instance | null {
	const {name, addresses, priority} = instance;
	const ignore = (keyword: string, why: string): void =>
		report.warning(
			'contradiction',
			placeOf(draft, keyword),
			`${keyword} is ignored in strict mode: ${why}`,
			'remove it',
		);
	const [first] = addresses;
	if (first === undefined) {
		const text = `vrrp_instance ${quote(name)} has no virtual address, which strict mode does not allow`;
		report.error('missing', draft.place, text, `add one to 'virtual_ipaddress { … }'`);
		return null;
	}
	if (instance.family === 6 && !isLinkLocal(first.address)) {
		const text = 'the first virtual address must be a link-local one in strict mode';
		report.error('contradiction', first.place, text, 'put one such as fe80::100 before it, on both balancers');
		return null;
	}
	if (instance.unicast !== null) {
		const text = 'strict mode knows no unicast peers';
		report.error('contradiction', placeOf(draft, 'unicast_peer'), text, 'remove them, or vrrp_strict');
		return null;
	}
	if (instance.authHmac !== null && instance.authHmac.mode !== 'enforce') {
		const text = `mode ${instance.authHmac.mode} of auth_hmac believes adverts that strict mode does not allow`;
		report.error('contradiction', placeOf(draft, 'auth_hmac'), text, `write 'mode enforce', or remove vrrp_strict`);
		return null;
	}
	if (instance.password !== null) ignore('authentication', 'the RFC has none');
	if (instance.virtualMac?.sendFromBase) ignore('vmac_xmit_base', "adverts have the virtual router's MAC address");
	if (instance.preemptDelayUs > 0) ignore('preempt_delay', 'the RFC has none');
	const isOwner = priority === PRIORITY_OWNER;
	const isAccepting = draft.written.has('accept') && instance.accept;
	if (!isOwner && isAccepting && instance.version === 2) ignore('accept', 'RFC 3768 has none');
	if (!isOwner && instance.initialState === 'master')
		ignore('state', `only priority ${PRIORITY_OWNER} starts as MASTER`);
	return {
		...instance,
		initialState: isOwner ? 'master' : 'backup',
		password: null,
		usesAuthHeader: false,
		virtualMac: instance.virtualMac && {...instance.virtualMac, sendFromBase: false},
		preemptDelayUs: 0,
		accept: isOwner || (isAccepting && instance.version === 3),
		garp: {...instance.garp, lowerPriorityRepeat: 0},
	};
}
