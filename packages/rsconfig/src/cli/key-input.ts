// Reads a key from the command line, a file or stdin. A key on the command line is for tests only, because `ps` shows it to every user.
// Invariants: a refused key is never printed, and at most INPUT_MAX_BYTES of input are kept in memory.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { stdin } from 'node:process';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import type { OptionSpec } from '@rsio/common/cli/command';
import { type CommandContext, usageError } from './context.ts';
import { INPUT_MAX_BYTES } from '../limits.ts';

const WORLD_READABLE = 0o004;
const STDIN = '-';

/** Makes an option that takes a key on the command line. `whose` is the text that describes the key in the help. */
export function keyOption(whose: string): OptionSpec & { readonly kind: 'text' } {
  return { kind: 'text', value: 'K', help: `${whose};\nps shows it to every user, so a key file is safer` };
}

export function keyFileOption(whose: string): OptionSpec & { readonly kind: 'text' } {
  return { kind: 'text', value: 'F', help: `${whose};\nF is a file that contains only the key, or - for stdin` };
}

/**
 * Returns the key given with `--NAME` or `--NAME-file`; null if neither option is given. Throws E_USAGE if both options are given or the
 * input is not exactly one line, and E_RIGHTS or E_SYSTEM if the file cannot be read.
 */
export async function givenKey(context: CommandContext, name: string, key: string | null, file: string | null): Promise<string | null> {
  if (key !== null && file !== null) throw usageError(`--${name} and --${name}-file exclude each other: give one`);
  if (file === null) return key;
  const text = file === STDIN ? await context.input() : readKeyFile(context, file);
  const lines = text.replace(/\r?\n$/, '').split('\n');
  const [line = ''] = lines;
  const place = file === STDIN ? 'stdin' : `file ${file}`;
  if (lines.length !== 1 || line.trim() === '') throw usageError(`No key in ${place}: it must hold one line, the ${name}`);
  return line.trim();
}

function readKeyFile(context: CommandContext, file: string): string {
  try {
    // Without O_NONBLOCK, opening a FIFO that has no writer would block.
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if ((fstatSync(descriptor).mode & WORLD_READABLE) !== 0) context.note(`Everybody can read the key in ${file}: run chmod 600 ${file}`);
      const buffer = Buffer.alloc(INPUT_MAX_BYTES);
      return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, null));
    } finally {
      closeSync(descriptor);
    }
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (errno === undefined) throw thrown;
    const isRights = errno === 'EACCES' || errno === 'EPERM';
    throw new RsError(
      isRights ? 'E_RIGHTS' : 'E_SYSTEM',
      `Cannot read key file ${file} (${errno}): name a file that holds the key`,
      {},
      thrown,
    );
  }
}

/** Reads all of stdin. Throws E_USAGE if stdin contains more than `maxBytes` bytes. */
export async function readStdin(maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length;
    if (lengthBytes > maxBytes) throw new RsError('E_USAGE', `Input is longer than ${maxBytes} bytes: shorten it`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
