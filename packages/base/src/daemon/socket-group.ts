// Permits one group, besides the owner, to use a daemon's Unix socket. The keys nbd-group of rsiod and control-group of rssrv name this
// group. Invariant: no other group can open the socket at any moment.

import { chmodSync, chownSync } from 'node:fs';
import { GROUP_FILE, groupId, groupMissingText } from '../files/groups.ts';
import { RsError } from '../lib/errors.ts';

const MODE_GROUP = 0o660;

/**
 * Permits a group to use the socket. `key`: the key of the configuration that names the group. Throws E_CONFIG if the group does not exist,
 * and E_RIGHTS if this process may not change the socket's group.
 */
export function openToGroup(path: string, group: string, key: string, groupFile = GROUP_FILE): void {
  const gid = groupId(group, groupFile);
  if (gid === undefined) throw new RsError('E_CONFIG', groupMissingText(key, group, groupFile), { group });
  try {
    // The owner stays unchanged. The group is set before the mode, so that the new mode never gives access to another group.
    chownSync(path, -1, gid);
    chmodSync(path, MODE_GROUP);
  } catch (thrown) {
    throw new RsError('E_RIGHTS', `Cannot give ${path} to group ${group}: run as root or as a member of it`, { path, group, gid }, thrown);
  }
}
