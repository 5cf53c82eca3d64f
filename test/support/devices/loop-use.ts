// Tells whether a loop device is still used for the same file. If the use has changed, another test may already use the device for its own
// file. Needs Linux 5.15 to distinguish two uses. Reads only /sys and the link to the device, because opening a dead device would block.

import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

export interface LoopUse {
  readonly folder: string;
  readonly sequence: string;
}

/** Returns the current use of the loop device to which the link `node` leads. */
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
