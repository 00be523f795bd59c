import type {Report} from '../diagnostics.js';
import type {Statics} from '../model.js';
import type {RoutingNames} from './instance.js';
import {type RouteDrafts, toRoutes} from './route.js';
import {type RuleDrafts, toRules} from './rule.js';
import {type AddressDrafts, toAddresses} from './virtual-address.js';

/** `static_ipaddress`, `static_routes` and `static_rules`, each as often as it is written. */
export interface StaticsDraft {
	readonly addresses: AddressDrafts;
	readonly routes: RouteDrafts;
	readonly rules: RuleDrafts;
}

export function toStatics(
	{addresses, routes, rules}: StaticsDraft,
	defaultInterface: string,
	{resolver, priorities}: RoutingNames,
	report: Report,
): Statics {
	return {
		addresses: toAddresses(addresses, defaultInterface, report),
		routes: toRoutes(routes, resolver, report),
		rules: toRules(rules, resolver, priorities, report),
	};
}
