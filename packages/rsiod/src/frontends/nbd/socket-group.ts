// Access to the NBD socket: its owner, or (nbd-group) a group. daemon/unix-socket.ts makes the socket.
// Invariant: the socket is never open to another group than the configured one, not even for a moment.

import { chmodSync, chownSync, readFileSync } from 'node:fs';
import { RsError } from '@rsio/common/lib/errors';

const GROUP_FILE = '/etc/group';
const MODE_GROUP = 0o660;

/** Opens the socket to a group (nbd-group). Throws E_CONFIG (no such group) and E_RIGHTS (this process may not change the group). */
export function openToGroup(path: string, group: string, groupFile = GROUP_FILE): void {
  const gid = groupId(group, groupFile);
  if (gid === undefined) {
    throw new RsError('E_CONFIG', `nbd-group ${group} is not in ${groupFile}: create the group, or set nbd-group to another one`, {
      group,
    });
  }
  try {
    // The owner stays unchanged. The group comes first, because the mode must never open the socket to another group.
    chownSync(path, -1, gid);
    chmodSync(path, MODE_GROUP);
  } catch (thrown) {
    throw new RsError('E_RIGHTS', `Cannot give ${path} to group ${group}: run as root or as a member of it`, { path, group, gid }, thrown);
  }
}

/** Group number by name, from a file in the format of group(5). */
export function groupId(group: string, groupFile: string): number | undefined {
  for (const line of readFileSync(groupFile, 'utf8').split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group && gid !== undefined && /^\d+$/.test(gid)) return Number(gid);
  }
  return undefined;
}
