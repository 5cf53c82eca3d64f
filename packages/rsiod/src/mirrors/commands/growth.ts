// Grows an attached mirror by command (rule M21 in test/models/README.md). The holder's decider orders the growth. Users get the new size
// when all counted replicas and a majority of the voters have it. Invariant: a repeated command waits for a growth in progress, and repeats
// a growth that was refused.

import { RsError } from '@rsio/base/lib/errors';
import { printDuration, printSize } from '@rsio/base/lib/units';
import type { AttachedMirror } from '../attached-mirror.ts';
import { GROW_WAIT_MS } from '../limits.ts';

export type GrowingMirror = Pick<AttachedMirror, 'grow' | 'view'> & {
  readonly io: { readonly volume: { readonly sizeBytes: number; readonly blockSizeBytes: number } | null };
};

/** Grows the mirror, and returns its old size in bytes. Throws E_USAGE, E_VOLUME or E_TIMEOUT. */
export async function growMirror(label: string, mirror: GrowingMirror, sizeBytes: number): Promise<number> {
  const { volume } = mirror.io;
  if (volume === null) throw new RsError('E_VOLUME', `Mirror ${label} takes no I/O yet: try again later`);
  const { sizeBytes: fromBytes, blockSizeBytes } = volume;
  if (sizeBytes % blockSizeBytes !== 0)
    throw new RsError('E_USAGE', `The size ${sizeBytes} is no multiple of the block size ${blockSizeBytes}`);
  // If the command is repeated after the growth, the mirror already has the size.
  if (sizeBytes === fromBytes) return fromBytes;
  if (sizeBytes < fromBytes)
    throw new RsError(
      'E_VOLUME',
      `Mirror ${label} has ${printSize(fromBytes)}, and ${printSize(sizeBytes)} is not more: a mirror cannot be made smaller`,
    );
  const refusal = await mirror.grow(sizeBytes, GROW_WAIT_MS);
  if (refusal === '') return fromBytes;
  if (refusal !== null)
    throw new RsError('E_VOLUME', `Mirror ${label} was not grown: ${refusal}; its users see no change, and the command can be repeated`);
  const why = mirror.view?.waitsFor ?? 'it is under way';
  throw new RsError(
    'E_TIMEOUT',
    `Mirror ${label} has not grown within ${printDuration(GROW_WAIT_MS)}, and goes on: ${why}; the same command waits for it again`,
  );
}
