// Decides in which form a volume is shown, based on the configuration and on what this machine supports. The support is checked each time,
// because kernel modules can be loaded and unloaded. Invariants: `auto` always finds a form, and gives the reason if the form is not a
// block device. Any other setting is refused if this machine cannot provide the form.

import { existsSync } from 'node:fs';
import type { DeviceChoice } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';

export interface DeviceFacts {
  /** True if the daemon has its own root folder (--root), which contains all its files. */
  readonly hasOwnRoot: boolean;
  readonly isRoot: boolean;
  readonly hasFuse: boolean;
  readonly hasLoop: boolean;
}

export interface ChosenDevice {
  readonly kind: 'block' | 'raw' | 'nbd-socket' | 'none';
  /** Reason why `auto` has chosen no block device; null in all other cases. */
  readonly why: string | null;
}

const NO_ROOT = 'rsiod does not run as root';
const NO_FUSE = 'there is no /dev/fuse (modprobe fuse)';
const NO_LOOP = 'there is no /dev/loop-control (modprobe loop)';

/** Chooses the device of a volume. Throws E_RIGHTS or E_SYSTEM if this machine cannot provide the requested device. */
export function chooseDevice(wanted: DeviceChoice, { hasOwnRoot, isRoot, hasFuse, hasLoop }: DeviceFacts): ChosenDevice {
  switch (wanted) {
    case 'none':
    case 'nbd-socket':
      return { kind: wanted, why: null };
    case 'raw':
    case 'block':
      if (!isRoot)
        throw new RsError('E_RIGHTS', `device = ${wanted} is not possible, because ${NO_ROOT}: start it as root, or use nbd-socket`);
      if (!hasFuse) throw new RsError('E_SYSTEM', `device = ${wanted} is not possible, because ${NO_FUSE}: load it, or use nbd-socket`);
      if (wanted === 'block' && !hasLoop)
        throw new RsError('E_SYSTEM', `device = block is not possible, because ${NO_LOOP}: load it, or use raw`);
      return { kind: wanted, why: null };
    case 'auto':
      // If rsiod has its own root, `auto` makes no device. Several daemons with their own roots, for example in tests, would otherwise
      // share the machine's loop devices.
      if (hasOwnRoot)
        return {
          kind: 'nbd-socket',
          why: 'rsiod has its own root (--root), where only device = block or raw makes devices',
        };
      if (!isRoot) return { kind: 'nbd-socket', why: NO_ROOT };
      if (!hasFuse) return { kind: 'nbd-socket', why: NO_FUSE };
      if (!hasLoop) return { kind: 'raw', why: NO_LOOP };
      return { kind: 'block', why: null };
  }
}

/** `root` is the root folder of the daemon's files. An empty string means the real root. */
export function deviceFacts(root: string): DeviceFacts {
  return {
    hasOwnRoot: root !== '',
    isRoot: process.geteuid?.() === 0,
    hasFuse: existsSync('/dev/fuse'),
    hasLoop: existsSync('/dev/loop-control'),
  };
}
