// Returns a volume's persistent name, rsio-NAMESPACEID-ID, which resembles the names that udev makes in /dev/disk/by-id. Pure; makes no
// links. Invariants: The name depends only on the namespaceid and the volume's id. No two volumes have the same persistent name, and udev
// accepts the name as a file name.

import { createHash } from 'node:crypto';
import { FILE_NAME_MAX_BYTES } from './limits.ts';

/** Matches every character except the ASCII characters that udev allows in names of links. */
const ALLOWED = /[^A-Za-z0-9#+\-.:=@_]/g;

/** `id` is a token: printable ASCII without blanks. */
export function volumeById({ namespaceid, id }: { readonly namespaceid: number; readonly id: string }): string {
  const prefix = `rsio-${namespaceid}-`;
  // Escape characters as udev does. The backslash is escaped too, so that two ids never give the same name.
  const name = prefix + id.replace(ALLOWED, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return name.length <= FILE_NAME_MAX_BYTES ? name : `${prefix}sha256=${createHash('sha256').update(id).digest('hex')}`;
}
