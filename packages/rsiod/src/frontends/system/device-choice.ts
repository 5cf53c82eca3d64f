// Which door shows a volume, given what the configuration wants and what this machine has. Pure.
// Invariant: `auto` always finds something, and says why it is not more; what was asked for by name is refused with the remedy instead.

import type { DeviceChoice } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';

export interface DeviceFacts {
  /** The daemon's files are below a root of its own. */
  readonly hasOwnRoot: boolean;
  readonly isRoot: boolean;
  readonly hasFuse: boolean;
  readonly hasLoop: boolean;
}

export interface ChosenDevice {
  readonly kind: 'block' | 'raw' | 'nbd-socket' | 'none';
  /** Why it is not a block device; null: it is one, or was asked for. */
  readonly why: string | null;
}

const NO_ROOT = 'rsiod does not run as root';
const NO_FUSE = 'there is no /dev/fuse (modprobe fuse)';
const NO_LOOP = 'there is no /dev/loop-control (modprobe loop)';

/** Throws E_RIGHTS and E_SYSTEM when what was asked for cannot be had. */
export function chooseDevice(wanted: DeviceChoice, { hasOwnRoot, isRoot, hasFuse, hasLoop }: DeviceFacts): ChosenDevice {
  switch (wanted) {
    case 'none':
    case 'nbd-socket':
      return { kind: wanted, why: null };
    case 'raw':
    case 'block':
      if (!isRoot) throw new RsError('E_RIGHTS', `device = ${wanted} is not possible, as ${NO_ROOT}: start it as root, or use nbd-socket`);
      if (!hasFuse) throw new RsError('E_SYSTEM', `device = ${wanted} is not possible, as ${NO_FUSE}: load it, or use nbd-socket`);
      if (wanted === 'block' && !hasLoop)
        throw new RsError('E_SYSTEM', `device = block is not possible, as ${NO_LOOP}: load it, or use raw`);
      return { kind: wanted, why: null };
    case 'auto':
      // Several of them, of tests perhaps, share the loop devices of one machine.
      if (hasOwnRoot)
        return {
          kind: 'nbd-socket',
          why: 'rsiod has a root of its own (--root), where devices are made when device = block or raw asks for them',
        };
      if (!isRoot) return { kind: 'nbd-socket', why: NO_ROOT };
      if (!hasFuse) return { kind: 'nbd-socket', why: NO_FUSE };
      if (!hasLoop) return { kind: 'raw', why: NO_LOOP };
      return { kind: 'block', why: null };
  }
}
