// A key that a person gives: on the command line, in a file, or on stdin. The command line is for tests, since `ps` shows it to everybody.
// Invariant: a refused key is never shown.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import { INPUT_MAX_BYTES } from './limits.ts';
import { type OptionSpec, usageError } from './command.ts';
import type { CommandContext } from './command-context.ts';

const WORLD_READABLE = 0o004;
const STDIN = '-';

/** For `NAME` and `NAME-file`; `whose` names the key in the help. */
export function keyOption(whose: string): OptionSpec & { readonly kind: 'text' } {
  return { kind: 'text', value: 'K', help: `${whose};\nvisible to every user in ps; a key file is safer` };
}

export function keyFileOption(whose: string): OptionSpec & { readonly kind: 'text' } {
  return { kind: 'text', value: 'F', help: `${whose}:\nthe only line of file F, or of stdin if F is -` };
}

/**
 * The key that was given as `--NAME` or `--NAME-file`, null when neither was. Throws E_USAGE (both, or not one line), E_RIGHTS, E_SYSTEM.
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
    // Non-blocking only matters for a FIFO without a writer, which reads as empty.
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
