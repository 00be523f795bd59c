/** The accounts of this machine. Node looks up no others than its own, so these are those of the files. */
import {readFileSync} from 'node:fs';

export interface Account {
	readonly uid: number;
	readonly gid: number;
}

/** passwd(5): the user's number and that of its group; null if there is no such user. */
export function findUser(name: string): Account | null {
	const [, , uid, gid] = findEntry('/etc/passwd', name) ?? [];
	return uid === undefined || gid === undefined ? null : {uid: Number(uid), gid: Number(gid)};
}

/** group(5): the group's number; null if there is no such group. */
export function findGroup(name: string): number | null {
	const gid = findEntry('/etc/group', name)?.[2];
	return gid === undefined ? null : Number(gid);
}

/** The fields of the line that begins with `name`. */
function findEntry(file: string, name: string): readonly string[] | undefined {
	const lines = readFileSync(file, 'utf8').split('\n');
	return lines.map(line => line.split(':')).find(([first]) => first === name);
}
