import test from 'ava';
import {describe, monochrome, picture, type View} from '../../lab/demo/picture.js';

const view: View = {
	balancers: {
		lb1: {running: false, vips: ['192.168.1.1']},
		lb2: {running: true, vips: ['192.168.1.1', '10.0.0.100']},
	},
	webServers: {web1: {running: true, answers: 512}, web2: {running: false, answers: 0}},
};

test('the picture shows who is master, who is dead and who owns what', t => {
	t.deepEqual(picture(view, monochrome), [
		'                 clients 198.18.0.0/16',
		'═════════════╤═════════════╧═════════════╤════════════ external 192.168.1.0/24',
		'┌────────────┴───────────┐  ┌────────────┴───────────┐',
		'│ lb1   ✗ dead           │  │ lb2   ● MASTER         │',
		'│ 192.168.1.10 10.0.0.10 │  │ 192.168.1.11 10.0.0.11 │',
		'│ 192.168.1.1            │  │ 192.168.1.1            │',
		'│                        │  │ 10.0.0.100             │',
		'└────────────┬───────────┘  └────────────┬───────────┘',
		'═════════════╪═══════════════════════════╪════════════ internal 10.0.0.0/24',
		'┌────────────┴───────────┐  ┌────────────┴───────────┐',
		'│ web1  ● up             │  │ web2  ✗ dead           │',
		'│ 10.0.0.71              │  │ 10.0.0.72              │',
		'│ 512 answers            │  │ 0 answers              │',
		'└────────────────────────┘  └────────────────────────┘',
	]);
});

test('one line says the same where nothing can be redrawn', t => {
	t.is(describe(view), 'lb1 ✗ dead · lb2 ● MASTER · web1 ● up · web2 ✗ dead');
});
