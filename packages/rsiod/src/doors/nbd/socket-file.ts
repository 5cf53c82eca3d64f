// The file of the NBD socket: is its place free, and who may open it. Leaves listening and connecting to nbd-door.ts.
// Invariant: nothing is removed but a socket, and that only when its caller found that nobody listens on it.

import { chmodSync, chownSync, lstatSync, readFileSync, type Stats, unlinkSync } from 'node:fs';
import { errnoName, RsError } from '@rsio/protocol/lib/errors';
import { UNIX_PATH_MAX_BYTES } from '@rsio/protocol/limits';

const GROUP_FILE = '/etc/group';
const MODE_GROUP = 0o660;
/** Permissions that the socket is never born with, not even for a moment: it is made 0600. */
export const SOCKET_UMASK = 0o177;

/** Node would cut a longer path silently. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path, 'utf8');
  if (bytes <= UNIX_PATH_MAX_BYTES) return;
  throw new RsError(
    'E_SOCKET_PATH',
    `NBD socket path ${path} has ${bytes} bytes, a socket may have ${UNIX_PATH_MAX_BYTES}: choose a shorter --root`,
    { path, bytes, limit: UNIX_PATH_MAX_BYTES },
  );
}

/** True when a socket is there; throws when something else is. */
export function socketExists(path: string): boolean {
  let found: Stats | undefined;
  try {
    found = lstatSync(path, { throwIfNoEntry: false });
  } catch (thrown) {
    throw new RsError('E_SYSTEM', `Cannot look at ${path}: ${errnoName(thrown) ?? 'unknown error'}`, { path }, thrown);
  }
  if (found === undefined) return false;
  if (found.isSocket()) return true;
  throw new RsError('E_SOCKET_PATH', `${path} exists and is not a socket: remove it`, { path });
}

/** Removes a socket on which nobody listens. */
export function removeStaleSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return;
    throw new RsError('E_SYSTEM', `Cannot remove the stale socket ${path}: ${errnoName(thrown) ?? 'unknown error'}`, { path }, thrown);
  }
}

/** Opens the socket to a group (nbd-group). E_CONFIG when there is no such group, E_RIGHTS when we may not give it away. */
export function openToGroup(path: string, group: string, groupFile = GROUP_FILE): void {
  const gid = groupId(group, groupFile);
  if (gid === undefined) {
    throw new RsError('E_CONFIG', `nbd-group ${group} is not in ${groupFile}: create the group or name another`, { group });
  }
  try {
    // The owner stays as he is; the group first: the mode must never open the socket to another group.
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
