// Looks up user groups by name in the group file, because Node has no function for that. Groups that exist only in a directory service are
// not found. Invariant: a malformed line of the file defines no group.

import { readFileSync } from 'node:fs';

export const GROUP_FILE = '/etc/group';

/** Returns the message about a group that does not exist. `key`: the key of the configuration that names the group. */
export function groupMissingText(key: string, group: string, groupFile = GROUP_FILE): string {
  return `${key} ${group} is not in ${groupFile}: create the group, or set ${key} to another one`;
}

/** Looks up a group's number by name. The group file has the format of group(5). Returns undefined if there is no such group. */
export function groupId(group: string, groupFile = GROUP_FILE): number | undefined {
  for (const line of readFileSync(groupFile, 'utf8').split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group && gid !== undefined && /^\d+$/.test(gid)) return Number(gid);
  }
  return undefined;
}
