// The content of a file with the record of a mirror, and the names of these files. Pure; state-file.ts reads and writes the files.
// Invariants: the next start can read every file that this server writes. A file whose name and content name different mirrors does not
// count as a record. Rules: Q1, M1.

import { isDeepStrictEqual } from 'node:util';
import type { StateForm } from '@rsio/base/files/state-file';
import { checked, misfit, record as anyRecord, type Shape } from '@rsio/base/lib/shape';
import { type Guard, mirrorId, name, orNull, positiveNumber, record } from '@rsio/protocol/wire/guards';
import { DATA_PROCESSES_MAX } from '@rsio/protocol/wire/limits';
import { foundFields, storedConfigGuard, termGuard } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { VoterRecord } from './voter-rules.ts';

const SUFFIX = '.json';

const guard: Guard<VoterRecord> = record({
  ...foundFields,
  voter: mirrorId,
  founder: name,
  promise: orNull(termGuard),
  dataProcess: positiveNumber(DATA_PROCESSES_MAX),
  stored: orNull(storedConfigGuard),
});

/** Returns the form of the file of a mirror. */
export function voterFile(mirror: string): StateForm<VoterRecord> {
  const shape = checked(anyRecord(), (content) =>
    content['mirror'] === mirror && isSound(content) ? null : 'is not the record of this mirror',
  ) as Shape<unknown> as Shape<VoterRecord>;
  return {
    version: 2,
    shape,
    // A record of version 1 is read only if it has no configuration, because configurations of version 1 lack the size and cannot be
    // converted. No record of version 1 has a configuration, because no client sent configurations while version 1 was written.
    earlier: { 1: (content) => (misfit(shape, content) === null ? (content as VoterRecord) : null) },
    remedy: `remove it with rsadm witness remove ${mirror}, and let the holder of the mirror name another voter; never restore it from a backup`,
  };
}

function isSound(content: unknown): boolean {
  try {
    const checked = guard(content, '');
    if (!isDeepStrictEqual(checked, content)) return false;
    const { promise, stored } = checked;
    return stored === null || (promise !== null && compareTerms(stored.term, promise) <= 0);
  } catch {
    return false;
  }
}

export function voterFileName(mirror: string): string {
  return `${mirror}${SUFFIX}`;
}

/** Returns the id of the mirror whose record has this file name; null for any other name. */
export function mirrorOf(fileName: string): string | null {
  if (!fileName.endsWith(SUFFIX)) return null;
  const mirror = fileName.slice(0, -SUFFIX.length);
  return /^[0-9a-f]{32}$/.test(mirror) ? mirror : null;
}
