import type {MachineEvent, MachineState} from './machine.js';

type Follow = Extract<MachineEvent, {kind: 'follow'}>;

/**
 * Where a sync group must go next, given what its members have become: the event every member must get, or null when the
 * group is settled (keepalived §3.5). All members share one fate: traffic in through one and out through another needs
 * both on the same router.
 */
export function decideGroup(members: readonly MachineState[]): Follow | null {
	if (members.some(member => member.role === 'init' || member.role === 'stopped')) return null;
	if (members.some(member => !member.healthy)) return unlessAll(members, 'fault', false);
	if (members.some(member => member.role === 'fault')) return unlessAll(members, 'backup', false);
	if (members.every(member => member.role === 'master')) return null;
	const waiting = members.filter(member => member.role === 'backup');
	// A group becomes master as one, so a mixed one means that a member has just left.
	if (waiting.length < members.length) {
		return {kind: 'follow', role: 'backup', hurried: waiting.some(member => member.hurried)};
	}
	return waiting.every(member => member.ready) ? {kind: 'follow', role: 'master', hurried: false} : null;
}

function unlessAll(members: readonly MachineState[], role: 'fault' | 'backup', hurried: boolean): Follow | null {
	return members.every(member => member.role === role) ? null : {kind: 'follow', role, hurried};
}
