// The command that starts a process of rsiod with descriptors that the keeper holds. The program helpers/inherit.pl copies them. Pure.
// Invariant: the process gets the descriptors on the numbers from INHERITED_FD on, in the order of `places`, whatever the keeper's numbers.

import { helperFile } from '../sys/helper-files.ts';

/** The first number behind stdin, stdout, stderr and the IPC channel of Node. */
export const INHERITED_FD = 4;

/**
 * Returns the program to spawn with its arguments. `keeperPid` is the parent of this process, and `places` are the answers of
 * `KeeperLink.places`. The keeper must hold these descriptors until the process runs. If they cannot be copied, the exit code is 126, and
 * stderr has the reason.
 */
export function inheritCommand(keeperPid: number, places: readonly number[], command: readonly string[]): readonly string[] {
  return places.length === 0 ? command : ['perl', helperFile('inherit.pl'), String(keeperPid), places.join(','), ...command];
}
