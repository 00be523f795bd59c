import {packets} from './packets.js';
import {wire} from './wiring.js';
const f = await packets(wire(), Number(process.argv[2] ?? 3));
for (const x of f) console.log(x.name.padEnd(45), x.median.toFixed(1), x.low.toFixed(1), x.high.toFixed(1), x.ratios.map(r=>r.median.toFixed(2)).join(' '), x.goals.map(g=>`${g.bound} ${g.value} ${g.met}`).join(', '));
