import {type Keywords, refused} from '../table.js';
import {type CheckList, checkBlock} from './check-draft.js';
import {dnsCheck} from './dns-check.js';
import {fileCheck} from './file-check.js';
import {httpGet, sslGet} from './http-get.js';
import {miscCheck} from './misc-check.js';
import {pingCheck} from './ping-check.js';
import {smtpCheck} from './smtp-check.js';
import {tcpCheck} from './tcp-check.js';
import {udpCheck} from './udp-check.js';

/** The kinds of checks of a `real_server`: a row each. */
export function checkRows<L extends CheckList>(): Keywords<L> {
	return {
		TCP_CHECK: checkBlock(tcpCheck),
		HTTP_GET: checkBlock(httpGet),
		SSL_GET: checkBlock(sslGet),
		SMTP_CHECK: checkBlock(smtpCheck),
		DNS_CHECK: checkBlock(dnsCheck),
		UDP_CHECK: checkBlock(udpCheck),
		PING_CHECK: checkBlock(pingCheck),
		MISC_CHECK: checkBlock(miscCheck),
		FILE_CHECK: checkBlock(fileCheck),
		BFD_CHECK: refused('there are no BFD sessions here'),
	};
}
