// Follows symbolic links to a configuration file and checks who owns the links and the target. The owner of a link or of the target
// controls the daemons, which often run as root. Invariant: links are followed only if every link and the target belong to trusted users
// (see isRootOrUser).

import type { lstatSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { RsError } from '../lib/errors.ts';
import { CONFIG_LINKS_MAX } from './limits.ts';

export interface LinkFileSystem {
  readonly lstatSync: typeof lstatSync;
  readonly readlinkSync: typeof readlinkSync;
  readonly statSync: typeof statSync;
}

const ROOT_UID = 0;

/**
 * Returns the final target of the links, even if the target does not exist. If `file` is not a link, returns `file` itself as an absolute
 * path. Throws E_SYSTEM if there are too many links, or E_RIGHTS if an untrusted user owns a link or the target.
 */
export function targetOf(file: string, fs: LinkFileSystem, isTrusted: (uid: number) => boolean = isRootOrUser): string {
  let target = path.resolve(file);
  for (let hops = 0; hops < CONFIG_LINKS_MAX; hops++) {
    const found = fs.lstatSync(target, { throwIfNoEntry: false });
    if (found?.isSymbolicLink() !== true) {
      if (hops > 0 && found !== undefined && !isTrusted(found.uid)) throw foreign(file, `is a link to ${target}`, found.uid);
      return target;
    }
    if (!isTrusted(found.uid)) throw foreign(file, hops === 0 ? 'is a link' : `leads to the link ${target}`, found.uid);
    target = path.resolve(path.dirname(target), fs.readlinkSync(target));
  }
  throw new RsError('E_SYSTEM', `More than ${CONFIG_LINKS_MAX} symbolic links lead from ${file}: replace the links with the file itself`);
}

/** Returns true if the uid is trusted: root, the user of this process or, under sudo, the user who called sudo. */
function isRootOrUser(uid: number): boolean {
  return uid === ROOT_UID || uid === process.geteuid?.() || String(uid) === process.env['SUDO_UID'];
}

function foreign(file: string, what: string, uid: number): RsError {
  const remedy = 'give it to root (chown -h root), or replace it with the file itself';
  return new RsError('E_RIGHTS', `${file} ${what} of user ${uid}, who is neither root nor the user of this program: ${remedy}`, {
    file,
    uid,
  });
}
