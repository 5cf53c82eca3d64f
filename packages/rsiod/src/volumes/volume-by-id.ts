// The lasting name of a volume, like udev's names in /dev/disk/by-id: rsio-NAMESPACEID-ID. Pure; makes no links. Invariants: the name depends on
// the namespaceid and the volume's id only, so that addresses, servers, volume names, clients and restarts do not change it; two volumes never
// have the same name; it is a file name that udev allows.

import { createHash } from 'node:crypto';
import { FILE_NAME_MAX_BYTES } from './limits.ts';

/** All but the ASCII characters that udev allows in names of links. */
const ALLOWED = /[^A-Za-z0-9#+\-.:=@_]/g;

/** `id` is a token: printable ASCII without blanks. A UUID, as our server makes them, is unchanged. */
export function volumeById({ namespaceid, id }: { readonly namespaceid: number; readonly id: string }): string {
  const prefix = `rsio-${namespaceid}-`;
  // udev escapes the same way. The backslash is escaped too, so that two ids never give the same name.
  const name = prefix + id.replace(ALLOWED, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return name.length <= FILE_NAME_MAX_BYTES ? name : `${prefix}sha256=${createHash('sha256').update(id).digest('hex')}`;
}
