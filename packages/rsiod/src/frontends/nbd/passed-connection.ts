// Describes, as plain JSON, an NBD connection that is passed to the process with its export. Pure. Invariants: a description from another
// process is used only if it has the shape PASSED. A description contains the results of the handshake, and all received bytes that were
// not processed yet.

import { atMost, checked, count, flag, list, misfit, object, type Of, orNull, text, whole } from '@rsio/base/lib/shape';
import type { FrontendVolume } from '../../volumes/frontend-volume.ts';
import { NBD_CONTEXTS_SELECTED_MAX, NBD_PASSED_BYTES_MAX } from '../limits.ts';
import { exportName } from './wire/export-names.ts';
import { U32_MAX } from './wire/nbd-constants.ts';
import { exportKey, IDENTITY_FIELDS } from './wire/nbd-export.ts';
import type { Agreement, Transmission } from './nbd-handshake.ts';

const BYTES = checked(text(), (value) => {
  const bytes = Buffer.from(value, 'base64');
  return bytes.length <= NBD_PASSED_BYTES_MAX && bytes.toString('base64') === value
    ? null
    : `is not base64 of at most ${NBD_PASSED_BYTES_MAX} bytes`;
});

const PASSED = object({
  /** The number of the connection in the log. */
  number: count(),
  ...IDENTITY_FIELDS,
  isStructured: flag(),
  contexts: atMost(NBD_CONTEXTS_SELECTED_MAX, list(object({ id: whole(0, U32_MAX), name: text(), since: orNull(text()) }))),
  mayUseAnyRange: flag(),
  /** The answer to the client's choice of the export. The process that has the volume sends this answer. */
  reply: BYTES,
  /** Bytes that were received after this choice. */
  rest: BYTES,
});
export type PassedConnection = Of<typeof PASSED>;

/** What the process with the export needs to continue a connection. */
export interface Adopted {
  readonly number: number;
  readonly agreed: Transmission;
  readonly reply: Buffer;
  readonly rest: Buffer;
}

export function passedConnection(number: number, { volume, ...agreed }: Agreement, reply: Buffer, rest: Buffer): PassedConnection {
  const { namespace, name, universe, id } = volume;
  return { number, namespace, name, universe, id, ...agreed, reply: reply.toString('base64'), rest: rest.toString('base64') };
}

/**
 * Checks a description from another process, and finds its volume among `volumes`. Returns the reason if the description cannot be used.
 */
export function adopted(value: unknown, volumes: readonly FrontendVolume[]): Adopted | string {
  const wrong = misfit(PASSED, value, 'exactly');
  if (wrong !== null) return `its description is wrong: ${wrong}`;
  const passed = value as PassedConnection;
  const { number, isStructured, contexts, mayUseAnyRange } = passed;
  const volume = volumes.find((one) => exportKey(one) === exportKey(passed));
  if (volume === undefined) return `${exportName(passed)} is not exported any more`;
  const [reply, rest] = [Buffer.from(passed.reply, 'base64'), Buffer.from(passed.rest, 'base64')];
  return { number, agreed: { volume, isStructured, contexts, mayUseAnyRange }, reply, rest };
}
