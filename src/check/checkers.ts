import type {Check} from '../conf/model.js';
import type {Checker} from './checker.js';
import {httpChecker} from './http.js';
import {tcpChecker} from './tcp.js';

type Makers = {readonly [Kind in Check['kind']]: (check: Extract<Check, {kind: Kind}>) => Checker};

const MAKERS: Makers = {
	tcp: tcpChecker,
	http: httpChecker,
	https: httpChecker,
};

/** What looks at a backend in the way that a check asks for. */
export function checkerFor(check: Check): Checker {
	const make = MAKERS[check.kind] as (check: Check) => Checker;
	return make(check);
}
