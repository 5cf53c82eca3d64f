// The names with which hosts log in (NQN, iSCSI name). They reach logs, screens and gate records. Pure. Invariant: a host whose name this
// file refuses never logs in, so that each name prints as it is and fits into a gate record.

import { escapeControls } from '@rsio/base/lib/printable';
import { GATE_HOST_NAME_MAX_BYTES } from '../limits.ts';

/** What stands in a text for bytes that are no UTF-8. Two hosts must not get one name that way. */
const NO_CHARACTER = '\ufffd';

export function isHostName(name: string): boolean {
  const bytes = Buffer.byteLength(name);
  return bytes > 0 && bytes <= GATE_HOST_NAME_MAX_BYTES && !name.includes(NO_CHARACTER) && escapeControls(name) === name;
}
