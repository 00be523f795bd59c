/** The block list of a data plane: written in slices, adopted by the next run, gone without a trace. */
import {blockChanges} from '../../src/plan/block-list.js';
import {SettingFlag} from '../../src/xdp/layout.gen.js';
import {packetTest} from '../packets/balancer.js';
import {freshName, open} from './plane.js';

const BOTH = SettingFlag.SETTING_BLOCKS | SettingFlag.SETTING_BLOCKS6;

packetTest('what is wanted is in the maps, and the next run knows it', async t => {
	const name = freshName(t);
	const first = await open(t, {name});
	t.is(first.settings.flags, 0);
	const many = Array.from({length: 5000}, (_, n) => `10.${n >> 8}.${n & 255}.0/24`);
	const wanted = [...many, '0.0.0.0/0', '192.0.2.1/32', '2001:db8::/32', '::/0'];
	await first.block(blockChanges(first.blocked, wanted));
	t.is(first.settings.flags, BOTH);
	t.is(first.maps.settings.get(0)?.flags, BOTH);
	first.close();

	const second = await open(t, {name});
	t.deepEqual([...second.blocked].toSorted(), wanted.toSorted());
	t.is(second.settings.flags, BOTH);
	await second.block(blockChanges(second.blocked, ['2001:db8::/33']));
	t.deepEqual([...second.blocked], ['2001:db8::/33']);
	t.deepEqual(await second.maps.blocked[4].entries(), []);
	t.is((await second.maps.blocked[6].entries()).length, 1);
	t.is(second.settings.flags, SettingFlag.SETTING_BLOCKS6);
	await second.block(blockChanges(second.blocked, []));
	t.is(second.settings.flags, 0);
});
