// The image that the demo serves: an ext4 file system with the project's documents if e2fsprogs is installed, else numbered sectors. rssrv
// serves it.

import { closeSync, createReadStream, openSync, rmSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { findTool } from '../machine/machine-tools.ts';
import { fillPattern } from './pattern.ts';
import type { Screen } from '../machine/screen.ts';
import type { Shell } from '../machine/shell.ts';

const CHUNK_BYTES = 1024 * 1024;
const CHUNKS = 32;

/** Makes `file` with 32 MiB, and prints a line about its content. Returns whether the content is an ext4 file system. */
export async function makeImage(file: string, contents: string, shell: Shell, screen: Screen, bare: boolean): Promise<boolean> {
  const mke2fs = bare ? null : findTool('mke2fs');
  if (mke2fs !== null) {
    try {
      await shell.tool(mke2fs, '-q', '-t', 'ext4', '-d', contents, file, `${CHUNKS}m`);
      return true;
    } catch (thrown) {
      // If mke2fs fails, the image gets numbered sectors. mke2fs may fail, because small variants cannot fill a file system with files.
      if (!(thrown instanceof Error) || thrown.name === 'AbortError') throw thrown;
      screen.line(`${thrown.message}: a plain image is served instead`);
      rmSync(file, { force: true });
    }
  } else {
    screen.line(`${bare ? '--bare' : 'No mke2fs here (Debian: e2fsprogs)'}: the image is plain, every sector is numbered`);
  }
  writeNumbered(file);
  return false;
}

function writeNumbered(file: string): void {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const descriptor = openSync(file, 'w', 0o600);
  try {
    for (let index = 0; index < CHUNKS; index += 1) {
      fillPattern(chunk, index, 0);
      writeSync(descriptor, chunk);
    }
  } finally {
    closeSync(descriptor);
  }
}

export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
