// Tells whether a loop device still has its earlier use, or is now used by another test. Needs Linux 5.15 to distinguish the two. Reads
// only /sys and the link.

import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

export interface LoopUse {
  readonly folder: string;
  readonly sequence: string;
}

/** Use of the block device at `node`, which is a link to its loop device. */
export function loopUseOf(node: string): LoopUse {
  const folder = `/sys/block/${path.basename(readlinkSync(node))}`;
  return { folder, sequence: sequenceIn(folder) };
}

export function isInUse({ folder, sequence }: LoopUse): boolean {
  return existsSync(`${folder}/loop`) && sequenceIn(folder) === sequence;
}

function sequenceIn(folder: string): string {
  const file = `${folder}/diskseq`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
