/** The accounts of this machine. Node looks up no others than its own, so these are those of the files. */
import {readFileSync} from 'node:fs';
import type {Script} from '../../conf/model.js';

export interface Account {
	readonly uid: number;
	readonly gid: number;
}

/** Whom keepalived runs scripts as when nobody says otherwise, if there is such a user. */
const DEFAULT_USER = 'keepalived_script';

/** Throws if there is no such user or group. */
export function accountOf({user, group}: Pick<Script, 'user' | 'group'>): Account {
	const own = {uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0};
	const account = user === null ? (findUser(DEFAULT_USER) ?? own) : findUser(user);
	if (account === null) throw new Error(`there is no user ${user}`);
	const gid = group === null ? account.gid : findGroup(group);
	if (gid === null) throw new Error(`there is no group ${group}`);
	return {uid: account.uid, gid};
}

/** passwd(5): the user's number and that of its group; null if there is no such user. */
function findUser(name: string): Account | null {
	const [, , uid, gid] = findEntry('/etc/passwd', name) ?? [];
	return uid === undefined || gid === undefined ? null : {uid: Number(uid), gid: Number(gid)};
}

/** group(5): the group's number; null if there is no such group. */
function findGroup(name: string): number | null {
	const gid = findEntry('/etc/group', name)?.[2];
	return gid === undefined ? null : Number(gid);
}

/** The fields of the line that begins with `name`. */
function findEntry(file: string, name: string): readonly string[] | undefined {
	const lines = readFileSync(file, 'utf8').split('\n');
	return lines.map(line => line.split(':')).find(([first]) => first === name);
}
