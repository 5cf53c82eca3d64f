// Controls who may use the NBD socket: its owner and, if the key nbd-group is set, one group. Invariant: the socket is never open to a
// group other than the configured one, not even for a moment.

import { chmodSync, chownSync, readFileSync } from 'node:fs';
import { RsError } from '@rsio/common/lib/errors';

const GROUP_FILE = '/etc/group';
const MODE_GROUP = 0o660;

/**
 * Permits a group to use the socket (key nbd-group). Throws E_CONFIG if the group does not exist, and E_RIGHTS if this process may not
 * change the socket's group.
 */
export function openToGroup(path: string, group: string, groupFile = GROUP_FILE): void {
  const gid = groupId(group, groupFile);
  if (gid === undefined) {
    throw new RsError('E_CONFIG', `nbd-group ${group} is not in ${groupFile}: create the group, or set nbd-group to another one`, {
      group,
    });
  }
  try {
    // The owner stays unchanged. The group is set before the mode, so that the new mode never gives access to another group.
    chownSync(path, -1, gid);
    chmodSync(path, MODE_GROUP);
  } catch (thrown) {
    throw new RsError('E_RIGHTS', `Cannot give ${path} to group ${group}: run as root or as a member of it`, { path, group, gid }, thrown);
  }
}

/** Looks up a group's number by name. The group file has the format of group(5). Returns undefined if there is no such group. */
export function groupId(group: string, groupFile: string): number | undefined {
  for (const line of readFileSync(groupFile, 'utf8').split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group && gid !== undefined && /^\d+$/.test(gid)) return Number(gid);
  }
  return undefined;
}
