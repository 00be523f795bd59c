/** The kinds of checks: a row each. */
import type {Keywords} from '../table.js';
import {refused, rows} from '../table.js';
import {type CheckList, checkBlock} from './check-draft.js';
import {httpGet, sslGet} from './http-get.js';
import {miscCheck} from './misc-check.js';
import {tcpCheck} from './tcp-check.js';

export function checkRows<L extends CheckList>(): Keywords<L> {
	return {
		TCP_CHECK: checkBlock(tcpCheck),
		HTTP_GET: checkBlock(httpGet),
		SSL_GET: checkBlock(sslGet),
		...rows('SMTP_CHECK DNS_CHECK', refused('there is no such check yet')),
		MISC_CHECK: checkBlock(miscCheck),
		...rows('UDP_CHECK PING_CHECK FILE_CHECK', refused('there is no such check yet')),
		BFD_CHECK: refused('there are no BFD sessions here'),
	};
}
