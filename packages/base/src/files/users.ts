// Looks up users in the user file, because Node has no function for that. Users that exist only in a directory service are not
// found. Invariant: a malformed line of the file defines no user.

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

/** Returns the name of the first user with this number; undefined if the file has none. */
export function userOfId(uid: number, userFile = USER_FILE): string | undefined {
  for (const line of readFileSync(userFile, 'utf8').split('\n')) {
    const [name, , number] = line.split(':');
    if (name !== undefined && name !== '' && number === String(uid)) return name;
  }
  return undefined;
}
