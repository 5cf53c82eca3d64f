// What a volume was when it was last served, as volumes.json keeps it. Pure.
// Leaves what follows when it is another one to held-facts.ts.

import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { isRecord, isText } from '@rsio/common/files/state-file';

export interface VolumeFacts {
  readonly readonly: boolean;
  readonly shared: boolean;
  readonly blocksize: number;
  /** Of the file or device (storage-stamp.ts), `memory` or `null`; null: nothing tells it from others. */
  readonly stamp: string | null;
}

export function factsOf(volume: ServerVolumeConfig, stamp: string | null): VolumeFacts {
  return { readonly: volume.readonly, shared: volume.shared, blocksize: volume.blockSizeBytes, stamp };
}

export function isFacts(value: unknown): value is VolumeFacts {
  if (!isRecord(value)) return false;
  const { readonly, shared, blocksize, stamp } = value;
  const isSized = blocksize === 512 || blocksize === 4096;
  return typeof readonly === 'boolean' && typeof shared === 'boolean' && isSized && (stamp === null || isText(stamp));
}

export function areFactsEqual(one: VolumeFacts | undefined, other: VolumeFacts): boolean {
  return one !== undefined && (['readonly', 'shared', 'blocksize', 'stamp'] as const).every((field) => one[field] === other[field]);
}
