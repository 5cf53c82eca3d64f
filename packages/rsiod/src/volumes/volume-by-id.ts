// Returns a volume's persistent name, rsio-NAMESPACEID-ID, which resembles the names that udev makes in /dev/disk/by-id. Pure; makes no
// links. Invariants: The name depends only on the namespaceid and the volume's id, so it does not change with addresses, servers, volume
// names, clients or restarts. No two volumes have the same persistent name, and udev accepts the name as a file name.

import { createHash } from 'node:crypto';
import { FILE_NAME_MAX_BYTES } from './limits.ts';

/** Matches every character except the ASCII characters that udev allows in names of links. */
const ALLOWED = /[^A-Za-z0-9#+\-.:=@_]/g;

/** `id` is a token: printable ASCII without blanks. The ids that rssrv creates are UUIDs, which appear unchanged in the name. */
export function volumeById({ namespaceid, id }: { readonly namespaceid: number; readonly id: string }): string {
  const prefix = `rsio-${namespaceid}-`;
  // Escape characters in the same way as udev. Escaping the backslash ensures that two ids never give the same name.
  const name = prefix + id.replace(ALLOWED, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return name.length <= FILE_NAME_MAX_BYTES ? name : `${prefix}sha256=${createHash('sha256').update(id).digest('hex')}`;
}
