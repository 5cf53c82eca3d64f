// Decides whether a file system may be made on a device. Pure. Invariants: a device with a signature, or with anything but zeros at one of
// its ends, is never formatted, with one exception: this node has begun a file system there, and has not completed it. Data without a
// signature in the middle of a device cannot be found. Rules: G45.

import type { FsType } from '../rpc/fields.ts';
import { CsiError } from '../rpc/status.ts';
import type { DeviceEnds } from './host.ts';

export interface DeviceLook extends DeviceEnds {
  /** The type of the file system that blkid finds; `?` for anything else that has a signature; null if blkid finds nothing. */
  readonly signature: string | null;
}

export interface Wish {
  readonly label: string;
  readonly fsType: FsType;
  readonly isReadonly: boolean;
  /** True if this node has a record that mkfs was begun on the volume. */
  readonly wasBegun: boolean;
}

/**
 * `mount`: the file system is mounted as it is. `check`: it may be half-made, and is mounted if it passes a check. `format`: it is made.
 */
export type FormatStep = 'mount' | 'check' | 'format';

/** Throws FAILED_PRECONDITION, with the reason, if the volume can be neither mounted nor formatted. */
export function formatStep({ signature, isEmpty, isXfsBegun }: DeviceLook, { label, fsType, isReadonly, wasBegun }: Wish): FormatStep {
  const refusal = (why: string): CsiError => new CsiError('FAILED_PRECONDITION', `Volume ${label} ${why}`);
  if (isXfsBegun) {
    if (wasBegun && !isReadonly) return 'format';
    throw refusal('has an xfs file system that was never completed: wipefs -a on its device removes it, if the volume has no data');
  }
  if (signature === fsType) return wasBegun ? 'check' : 'mount';
  if (signature !== null) {
    const what = signature === '?' ? 'data with another signature (partitions, RAID, encryption or swap)' : `a file system ${signature}`;
    throw refusal(`has ${what}, and not ${fsType}: use a class or volume for what it has`);
  }
  if (isReadonly) throw refusal('has no file system, and is attached read-only: write to it first on one node');
  if (isEmpty || wasBegun) return 'format';
  throw refusal(
    'has data without a known signature, and is not formatted: wipefs and dd on its device can empty it, if the data is not needed',
  );
}
