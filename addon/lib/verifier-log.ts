import type {FailureDetail} from './errors.js';

/** How libbpf frames what the verifier printed. */
const FRAMED = /^libbpf: prog '(.*)': -- BEGIN PROG LOAD LOG --\n([\s\S]*?)^-- END PROG LOAD LOG --$/m;

/** What is no complaint: instructions, the state of registers, source lines, statistics. */
const NARRATION = /^(\d+: |; |from \d+ to \d+: |[Ff]unc#\d+ |processed \d+ insns|mark_precise: |Validating |\s*$)/;

/** The verifier's complaint is in its last words; more than this is in `verifierLog`. */
const COMPLAINT_LINES_MAX = 2;

/** What an error should say, from what libbpf printed until it failed. */
export function complaintOf(log: string): FailureDetail {
	const framed = FRAMED.exec(log);
	if (framed === null) return lastWarning(log);
	const [, program = '', verifierLog = ''] = framed;
	const complaint = verifierLog.split('\n').filter(line => !NARRATION.test(line));
	return {hint: `program ${program}: ${complaint.slice(-COMPLAINT_LINES_MAX).join('; ')}`, verifierLog};
}

function lastWarning(log: string): FailureDetail {
	const warnings = log
		.split('\n')
		.map(line => line.replace(/^libbpf: /, '').trim())
		.filter(line => line !== '' && !line.startsWith('failed to load object'));
	const last = warnings.at(-1);
	return last === undefined ? {} : {hint: last};
}
