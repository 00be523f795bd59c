import type {Check} from '../conf/model.js';
import type {Checker, Means} from './checker.js';
import {dnsChecker} from './dns.js';
import {fileChecker} from './file.js';
import {httpChecker} from './http.js';
import {miscChecker} from './misc.js';
import {pingChecker} from './ping.js';
import {smtpChecker} from './smtp.js';
import {tcpChecker} from './tcp.js';
import {udpChecker} from './udp.js';

type Makers = {readonly [Kind in Check['kind']]: (check: Extract<Check, {kind: Kind}>, means: Means) => Checker};

const MAKERS: Makers = {
	tcp: tcpChecker,
	http: httpChecker,
	https: httpChecker,
	smtp: smtpChecker,
	dns: dnsChecker,
	udp: udpChecker,
	ping: pingChecker,
	misc: miscChecker,
	file: fileChecker,
};

/** What looks at a backend in the way that a check asks for. */
export function checkerFor(check: Check, means: Means): Checker {
	const make = MAKERS[check.kind] as (check: Check, means: Means) => Checker;
	return make(check, means);
}
