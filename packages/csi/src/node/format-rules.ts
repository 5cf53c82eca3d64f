// Decides whether a file system may be made on a device, and what the exit code of a check means. Pure. Invariants: a device with a
// signature, or with anything but zeros at one of its ends, is never formatted, with one exception: it has the mark of a file system that the
// driver has begun for this volume. Only the device says that, because a record of a node outlives what it describes. Data without a
// signature in the middle of a device cannot be found. Rules: G45.

import type { FsType } from '../rpc/fields.ts';
import { CsiError } from '../rpc/status.ts';
import type { DeviceEnds } from './host.ts';

export interface DeviceLook extends DeviceEnds {
  /** The type of the file system that blkid finds; `?` for anything else that has a signature; null if blkid finds nothing. */
  readonly signature: string | null;
}

export interface Wish {
  readonly volumeId: string;
  readonly label: string;
  readonly fsType: FsType;
  readonly isReadonly: boolean;
}

/** `mount`: the file system is complete. `format`: it is made. */
export type FormatStep = 'mount' | 'format';

/** Throws FAILED_PRECONDITION, with the reason, if the volume can be neither mounted nor formatted. */
export function formatStep(look: DeviceLook, { volumeId, label, fsType, isReadonly }: Wish): FormatStep {
  const { signature, isEmpty, isXfsBegun, begunFor, isRestoring } = look;
  const refusal = (why: string): CsiError => new CsiError('FAILED_PRECONDITION', `Volume ${label} ${why}`);
  const wasBegun = begunFor === volumeId;
  if (isRestoring)
    throw refusal('has a part of a backup, because a restore has not completed: repeat the restore (rsconfig restore FILE NAME)');
  if (isXfsBegun) {
    if (wasBegun && !isReadonly) return 'format';
    throw refusal(
      'has an xfs file system that was never completed, and not by this driver: delete the volume, or make its file system by hand',
    );
  }
  if (signature === fsType) return 'mount';
  if (signature !== null) {
    const what = signature === '?' ? 'data with another signature (partitions, RAID, encryption or swap)' : `a file system ${signature}`;
    throw refusal(`has ${what}, and not ${fsType}: use a class or volume for what it has`);
  }
  if (isReadonly) throw refusal('has no file system, and is attached read-only: write to it first on one node');
  if (isEmpty || wasBegun) return 'format';
  throw refusal(
    'has data without a known signature, and is not formatted: use it with volumeMode Block, or delete it if nothing needs the data',
  );
}

/** Exit codes of e2fsck are sums of bits: 1 and 2 mean that all errors are corrected, 4 that some are not. */
const [E2FSCK_CORRECTED, E2FSCK_LEFT] = [3, 4];

/** What the exit code of `e2fsck -p` means. `killed`: it did not end by itself. `failed`: it could not check. */
export function checkMeaning(code: number | null): 'good' | 'broken' | 'killed' | 'failed' {
  if (code === null) return 'killed';
  if ((code & ~E2FSCK_CORRECTED) === 0) return 'good';
  return (code & E2FSCK_LEFT) !== 0 ? 'broken' : 'failed';
}
