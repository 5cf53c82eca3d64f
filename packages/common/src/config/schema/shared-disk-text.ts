// Prints the disk and the fence of a shared pool as they are written in rssrvcfg, for views. Invariant: value-types.ts reads back what these
// functions return.

import type { DiskConfig, FenceConfig } from './value-types.ts';

export function diskText(disk: DiskConfig): string {
  return disk.kind === 'rbd' ? `rbd:${disk.pool}/${disk.image}` : disk.path;
}

export function fenceText(fence: FenceConfig): string {
  return fence.kind === 'command' ? `command:${[fence.program, ...fence.words].join(' ')}` : fence.kind;
}
