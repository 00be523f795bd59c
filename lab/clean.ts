/** `node build/lab/clean.js [ID…]`: removes the named laboratories, or all on this machine, whoever made them. */
import {list, remove} from './record.js';

const wanted = process.argv.slice(2);
for (const id of wanted.length > 0 ? wanted : list()) {
	remove(id);
	console.log(`laboratory ${id}: removed`);
}
