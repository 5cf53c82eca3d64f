// Reads a key from a file or from stdin. A key is never given on the command line, because `ps` would show it to every user. Invariant: no
// error message contains a key.

import { readFileSync } from 'node:fs';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { usageError } from './context.ts';

const STDIN = '-';
const STDIN_DESCRIPTOR = 0;

/**
 * Returns the only line of the file; the name `-` means stdin. Throws E_SYSTEM if the file cannot be read, and E_USAGE if it does not
 * consist of one line.
 */
export function keyFrom(file: string): string {
  const lines = read(file).trim().split('\n');
  const [key = ''] = lines;
  if (lines.length === 1 && key !== '') return key;
  throw usageError(`No key in ${file === STDIN ? 'stdin' : `file ${file}`}: it must hold one line, the key`);
}

function read(file: string): string {
  try {
    return readFileSync(file === STDIN ? STDIN_DESCRIPTOR : file, 'utf8');
  } catch (thrown) {
    throw new RsError('E_SYSTEM', `Cannot read the key from ${file} (${errnoName(thrown) ?? 'unknown'}): check the file`, { file }, thrown);
  }
}
