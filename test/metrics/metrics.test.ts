import test from 'ava';
import {FAMILIES} from '../../src/metrics/families.js';
import {Metrics} from '../../src/metrics/metrics.js';
import {snapshot} from './snapshot.js';

/** The sample lines of a page whose metric has this name, in the order of the page. */
function samples(page: string, name: string): string[] {
	return page.split('\n').filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

const page = (changes = {}) => new Metrics(() => snapshot(changes)).text();

test('packets are counted by service and verdict', async t => {
	t.deepEqual(samples(await page(), 'lbd_packets_total'), [
		'lbd_packets_total{service="none",verdict="pass-not-ours"} 99',
		'lbd_packets_total{service="192.168.1.1:80",verdict="forward"} 6000',
		'lbd_packets_total{service="192.168.1.1:80",verdict="drop-no-backend"} 3',
	]);
});

test('backends: state and traffic both ways', async t => {
	const text = await page();
	t.deepEqual(samples(text, 'lbd_backend_up'), [
		'lbd_backend_up{service="192.168.1.1:80",backend="10.0.0.71:80"} 1',
		'lbd_backend_up{service="192.168.1.1:80",backend="10.0.0.72:80"} 0',
	]);
	t.deepEqual(samples(text, 'lbd_backend_bytes_total').slice(0, 2), [
		'lbd_backend_bytes_total{service="192.168.1.1:80",backend="10.0.0.71:80",direction="in"} 600000',
		'lbd_backend_bytes_total{service="192.168.1.1:80",backend="10.0.0.71:80",direction="out"} 49000000',
	]);
});

test('a NIC in generic mode is told from one whose driver runs the program', async t => {
	t.deepEqual(samples(await page(), 'lbd_nic_native'), [
		'lbd_nic_native{nic="eth0"} 1',
		'lbd_nic_native{nic="eth1"} 0',
	]);
});

test('checks: several of one kind are told apart; no duration before the first result', async t => {
	const labels = 'service="192.168.1.1:80",backend="10.0.0.72:80"';
	const text = await page();
	t.deepEqual(samples(text, 'lbd_checks_total').slice(2), [
		`lbd_checks_total{${labels},check="tcp",result="passed"} 0`,
		`lbd_checks_total{${labels},check="tcp",result="failed"} 3`,
		`lbd_checks_total{${labels},check="tcp 2",result="passed"} 1`,
		`lbd_checks_total{${labels},check="tcp 2",result="failed"} 0`,
	]);
	t.deepEqual(samples(text, 'lbd_check_duration_seconds').slice(1), [
		`lbd_check_duration_seconds{${labels},check="tcp 2"} 0.25`,
	]);
});

test('a VRRP instance is in exactly one of its states', async t => {
	t.deepEqual(samples(await page(), 'lbd_vrrp_state'), [
		'lbd_vrrp_state{instance="external",state="init"} 0',
		'lbd_vrrp_state{instance="external",state="backup"} 0',
		'lbd_vrrp_state{instance="external",state="master"} 1',
		'lbd_vrrp_state{instance="external",state="fault"} 0',
	]);
});

test('the outcome of reloads', async t => {
	const text = await page();
	t.deepEqual(samples(text, 'lbd_reloads_total'), [
		'lbd_reloads_total{outcome="applied"} 1',
		'lbd_reloads_total{outcome="refused"} 2',
	]);
	t.deepEqual(samples(text, 'lbd_drift_total'), [
		'lbd_drift_total{map="backends"} 2',
		'lbd_drift_total{map="links"} 1',
	]);
	t.deepEqual(samples(text, 'lbd_notifications_total'), [
		'lbd_notifications_total{channel="script",outcome="delivered"} 3',
		'lbd_notifications_total{channel="script",outcome="failed"} 1',
		'lbd_notifications_total{channel="mail",outcome="lost"} 2',
	]);
	t.deepEqual(samples(text, 'lbd_last_reload_applied'), ['lbd_last_reload_applied 0']);
});

test('each scrape is made afresh: what is gone from the snapshot is gone from the page', async t => {
	const pages = [snapshot(), snapshot({services: [], otherVerdicts: {'pass-not-ours': 100}})];
	const metrics = new Metrics(() => pages.shift() ?? snapshot());
	await metrics.text();
	t.deepEqual(samples(await metrics.text(), 'lbd_packets_total'), [
		'lbd_packets_total{service="none",verdict="pass-not-ours"} 100',
	]);
});

test('scrapes that overlap share one snapshot', async t => {
	let taken = 0;
	const metrics = new Metrics(async () => {
		taken++;
		return snapshot();
	});
	const [first, second] = await Promise.all([metrics.text(), metrics.text()]);
	t.is(first, second);
	t.is(taken, 1);
});

test('a snapshot that fails fails that scrape only', async t => {
	let broken = true;
	const metrics = new Metrics(() => {
		if (broken) throw new Error('no maps');
		return snapshot();
	});
	await t.throwsAsync(metrics.text(), {message: 'no maps'});
	broken = false;
	t.regex(await metrics.text(), /lbd_build_info/);
});

test('every family follows the conventions: prefix, help as a sentence, _total on counters alone', t => {
	for (const {name, help, type} of FAMILIES) {
		t.regex(name, /^(lbd|process)_[a-z_]+$/);
		t.regex(help, /^[A-Z0-9].*\.$/, name);
		t.is(name.endsWith('_total'), type === 'counter', name);
	}
	t.is(new Set(FAMILIES.map(({name}) => name)).size, FAMILIES.length);
});

test('samples carry exactly the labels that their family declares', t => {
	for (const {name, labels, samples} of FAMILIES) {
		for (const [values] of samples(snapshot())) t.deepEqual(Object.keys(values), [...labels], name);
	}
});

test('VRRP: both priorities, and what trackers have found', async t => {
	const text = await page();
	t.deepEqual(samples(text, 'lbd_vrrp_priority'), ['lbd_vrrp_priority{instance="external"} 140']);
	t.deepEqual(samples(text, 'lbd_vrrp_base_priority'), ['lbd_vrrp_base_priority{instance="external"} 200']);
	t.deepEqual(samples(text, 'lbd_vrrp_tracker'), [
		'lbd_vrrp_tracker{instance="external",kind="script",tracker="check"} 0',
		'lbd_vrrp_tracker{instance="external",kind="file",tracker="load"} -7',
	]);
});
