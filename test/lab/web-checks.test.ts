/** HTTP_GET against nginx: a page that is another one takes its server out, and without a quorum the sorry server serves. */
import {createHash} from 'node:crypto';
import {renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Lab} from '../../lab/lab.js';
import {waitFor} from '../../lab/wait.js';
import {reference, variant, withoutBackend} from './jobs.js';
import {answers, labOfFile, only, startPrimary, test} from './lab-test.js';
import {sentences} from './observe.js';

const PAGE = 'in good health\n';
const DIGEST = createHash('md5').update(PAGE).digest('hex');

const check = `HTTP_GET {
          url {
            path /put/health
            digest ${DIGEST}
            status_code 200
          }
          connect_timeout 5
          delay_before_retry 1
        }`;

function withHttpGet(configuration: string): string {
	const copy = configuration
		.replace(/TCP_CHECK \{.*?\}/s, check)
		.replace('lb_kind NAT', 'lb_kind NAT\n    sorry_server 10.0.0.72 80');
	if (!copy.includes(DIGEST) || !copy.includes('sorry_server')) throw new Error('the configuration is not as expected');
	return copy;
}

const config = withHttpGet(withoutBackend(variant(reference.primary, {delay_loop: 1}), '10.0.0.72'));
const lab = labOfFile({configs: {lb1: config}}, async built => {
	publish(built, PAGE);
	await startPrimary(built);
});

/** Puts a page in the place of web1's: a check never meets half of one. */
function publish({web1}: Lab, page: string): void {
	const fresh = join(web1.directory, 'health');
	writeFileSync(fresh, page);
	renameSync(fresh, join(web1.directory, 'put', 'health'));
}

/** Waits until clients are answered by this server only. */
async function servedBy(server: string): Promise<void> {
	const isServed = async () => answers(await lab().client.sequence(5)).every(name => name === server);
	await waitFor(`${server} serves`, isServed, {seen: () => lab().lb1.log()});
}

test('a server with the right page serves; with another one it is out, until the page is right again', async t => {
	const {client, lb1} = lab();
	await servedBy('web1');
	const before = sentences(lb1).length;

	publish(lab(), 'ill\n');
	await servedBy('web2');
	t.deepEqual(answers(await client.sequence(10)), only('web2', 10));

	publish(lab(), PAGE);
	await servedBy('web1');
	t.deepEqual(answers(await client.sequence(10)), only('web1', 10));

	const ofService = sentences(lb1, before).filter(sentence => sentence.includes(':tcp:80'));
	t.deepEqual(ofService, [
		'MD5 digest or regex error to server [10.0.0.71]:tcp:80.',
		'HTTP_CHECK on service [10.0.0.71]:tcp:80 failed after 1 retries.',
		'Removing service [10.0.0.71]:tcp:80 from VS [192.168.1.1]:tcp:80',
		'Lost quorum 1-0=1 > 0 for VS [192.168.1.1]:tcp:80',
		'Adding sorry server [10.0.0.72]:tcp:80 to VS [192.168.1.1]:tcp:80',
		'Remote Web server [10.0.0.71]:tcp:80 succeed on service.',
		'Adding service [10.0.0.71]:tcp:80 to VS [192.168.1.1]:tcp:80',
		'Gained quorum 1+0=1 <= 1 for VS [192.168.1.1]:tcp:80',
		'Removing sorry server [10.0.0.72]:tcp:80 from VS [192.168.1.1]:tcp:80',
	]);
});
