// Looks up users by name, in the user file of this machine. Node has no function for that. Users of a directory service that are not in the
// file do not exist here. Invariant: a broken line of the file names no user.

import { readFileSync } from 'node:fs';

export const USER_FILE = '/etc/passwd';

export interface NamedUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Looks up a user by name. The user file has the format of passwd(5). Returns undefined if there is no such user. */
export function userNamed(user: string, userFile = USER_FILE): NamedUser | undefined {
  for (const line of readFileSync(userFile, 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name !== user || uid === undefined || gid === undefined || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) continue;
    return { name, uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}
