// The lasting name of a volume, as udev's in /dev/disk/by-id are: rsio-NAMESPACEID-ID. Pure. Makes no links: who wants some has the nodes
// beside it (views.ts). Invariants: it stands on nothing but namespaceid and the volume's id, so neither addresses nor servers, names,
// clients or restarts change it; two volumes never have one name; it is a file name that udev allows.

import { createHash } from 'node:crypto';
import { FILE_NAME_MAX_BYTES } from './limits.ts';

/** What udev allows in names of links, without what is not ASCII. */
const ALLOWED = /[^A-Za-z0-9#+\-.:=@_]/g;

/** An id is a token: printable ASCII without blanks. A UUID, as our server makes them, stays as it is. */
export function volumeById({ namespaceid, id }: { readonly namespaceid: number; readonly id: string }): string {
  const prefix = `rsio-${namespaceid}-`;
  // As udev writes what it does not allow; the backslash is among that, so no two ids are written alike.
  const name = prefix + id.replace(ALLOWED, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return name.length <= FILE_NAME_MAX_BYTES ? name : `${prefix}sha256=${createHash('sha256').update(id).digest('hex')}`;
}
