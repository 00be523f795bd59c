/** Every object that `make` builds, as the kernel sees it: `make test-6.1` asks the oldest one. */
import {readdirSync} from 'node:fs';
import {release} from 'node:os';
import {BpfObject} from 'libbpf-ts';
import {packetTest} from './balancer.js';

const OBJECTS = readdirSync('build').filter(name => name.endsWith('.bpf.o'));

for (const name of OBJECTS) {
	packetTest(`Linux ${release()} takes all programs of ${name}`, t => {
		const object = BpfObject.open(`build/${name}`);
		t.teardown(() => object.close());
		object.load();
		t.true(object.programs.size > 0);
		for (const {fd} of object.programs.values()) t.true(fd >= 0);
	});
}

packetTest('the program is one of them', t => {
	t.true(OBJECTS.includes('lb.bpf.o'));
});
