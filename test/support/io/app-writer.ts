// The service of the tests of applications: appends lines to a volume over NBD, one in each block, and reports each line only when it is written.
// Every line has its number and the node. It continues after the last line that it finds. Arguments: SOCKET EXPORT REPORT NODE.

import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NbdIo } from './nbd-io.ts';

export const LINE_BYTES = 512;
const CHUNK_BYTES = 512 * 1024;
const PAUSE_MS = 20;
const DEADLINE_MS = 600_000;

export function lineOf(number: number, node: string): string {
  return `${number} ${node}`;
}

/** Returns the lines on the volume, up to the first empty block. */
export async function linesOn(nbd: NbdIo): Promise<string[]> {
  const lines: string[] = [];
  for (let offset = 0; offset < nbd.sizeBytes; offset += CHUNK_BYTES) {
    const chunk = await nbd.read(offset, Math.min(CHUNK_BYTES, nbd.sizeBytes - offset));
    for (let at = 0; at < chunk.length; at += LINE_BYTES) {
      const line = chunk.toString('utf8', at, at + LINE_BYTES).replace(/\0+$/, '');
      if (line === '') return lines;
      lines.push(line);
    }
  }
  return lines;
}

async function main([socket = '', name = '', report = '', node = '']: readonly string[]): Promise<void> {
  const nbd = await NbdIo.open(socket, name, DEADLINE_MS);
  for (let number = (await linesOn(nbd)).length; ; number++) {
    const block = Buffer.alloc(LINE_BYTES);
    block.write(lineOf(number, node));
    await nbd.write(number * LINE_BYTES, block);
    appendFileSync(report, `${lineOf(number, node)}\n`);
    await sleep(PAUSE_MS);
  }
}

if (process.argv[2] !== undefined && process.argv[1]?.endsWith('app-writer.js') === true) await main(process.argv.slice(2));
