// Writes the archive for support: a list of what is in it, and one file for each part. A part that fails, is late or is too long is in the
// archive with the reason. Invariants: each text is cleaned of the secrets before it is written anywhere. A file under the final name is
// whole, readable by its owner only, and replaces no other file. Nothing else is left, also after a signal.

import { rmSync } from 'node:fs';
import { chmod, link, lstat, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { programRunner } from '@rsio/common/triggers/run-program';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { withFile } from '@rsio/base/files/with-file';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { timeName } from '@rsio/base/lib/time-name';
import { printDuration } from '@rsio/base/lib/units';
import { programVersion } from '@rsio/base/lib/version';
import { within } from '@rsio/base/lib/waiting';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import {
  SUPPORT_PART_MAX_BYTES,
  SUPPORT_PART_MS,
  SUPPORT_PARTS_AT_ONCE,
  SUPPORT_SLOW_PART_MS,
  SUPPORT_TAR_MS,
  SUPPORT_TOTAL_MAX_BYTES,
} from './limits.ts';
import { CONTENTS_FILE } from './support-command.ts';

export interface SupportPart {
  /** File in the archive, such as `state/volume-list.json`. */
  readonly file: string;
  /** What it is, for people. */
  readonly about: string;
  /** It asks all servers, or measures. */
  readonly isSlow?: true;
  /** What it throws is the reason why the part is missing. The signal ends it when it is late. */
  readonly collect: (signal: AbortSignal) => string | Promise<string>;
}

export interface PartOutcome {
  readonly file: string;
  readonly about: string;
  readonly sizeBytes: number;
  /** Why the part is missing or not whole; null: it is whole. */
  readonly trouble: string | null;
}

export interface Archive {
  readonly path: string;
  readonly sizeBytes: number;
  readonly parts: readonly PartOutcome[];
}

interface ArchiveRequest {
  readonly clock: Clock;
  /** Absolute path of the folder for the archive. */
  readonly folder: string;
  readonly host: string;
  readonly parts: readonly SupportPart[];
  /** Replaces the secrets in a text. */
  readonly clean: (text: string) => string;
}

const PROMISE =
  'Keys, passwords and tokens of RSIO that are in use were left out; a log can quote one that was mistyped and is not in use any more. ' +
  'Names of volumes, machines and users, and addresses, are in these files.';

/** Throws E_EXISTS, and E_SYSTEM if the folder or tar cannot be used. */
export async function makeArchive(request: ArchiveRequest): Promise<Archive> {
  const { clock, folder, host, parts, clean } = request;
  const name = `rsio-support-${host.replaceAll(/[^A-Za-z0-9.-]/g, '-')}-${timeName(clock.wallMs())}`;
  const path = join(folder, `${name}.tar.gz`);
  if (await lstat(path).catch(() => null)) throw existing(path);
  return inWorkFolder(folder, async (work) => {
    await mkdir(join(work, name));
    let leftBytes = SUPPORT_TOTAL_MAX_BYTES;
    const outcomes = await severalAtOnce(parts, SUPPORT_PARTS_AT_ONCE, async (part): Promise<PartOutcome> => {
      const { bytes, trouble } = await collected(clock, part, clean, (sizeBytes) => {
        const grantedBytes = Math.min(sizeBytes, SUPPORT_PART_MAX_BYTES, leftBytes);
        leftBytes -= grantedBytes;
        return grantedBytes;
      });
      const file = join(work, name, part.file);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, bytes);
      return { file: part.file, about: part.about, sizeBytes: bytes.length, trouble };
    });
    await writeFile(join(work, name, CONTENTS_FILE), contentsOf(clock, name, outcomes));
    const made = join(work, 'archive');
    await pack(
      clock,
      work,
      made,
      [CONTENTS_FILE, ...parts.map(({ file }) => file)].map((file) => `${name}/${file}`),
    );
    await chmod(made, 0o600);
    await withFile(made, 'r', (file) => file.sync());
    await nameOnce(made, path);
    await syncDirectory(folder);
    return { path, sizeBytes: (await stat(path)).size, parts: outcomes };
  });
}

/** Calls `work` with a new folder beside the archive, which only its owner can read. Removes it, also when a signal ends the program. */
async function inWorkFolder<T>(folder: string, work: (work: string) => Promise<T>): Promise<T> {
  let made: string | null = null;
  const ended = (signal: NodeJS.Signals): void => {
    if (made !== null) rmSync(made, { recursive: true, force: true });
    off();
    process.kill(process.pid, signal);
  };
  const off = (): void => void process.off('SIGINT', ended).off('SIGTERM', ended).off('SIGHUP', ended);
  process.on('SIGINT', ended).on('SIGTERM', ended).on('SIGHUP', ended);
  try {
    made = await mkdtemp(join(folder, '.rsio-support-'));
    return await work(made);
  } catch (thrown) {
    const errno = errnoName(thrown);
    if (thrown instanceof RsError || errno === undefined) throw thrown;
    throw new RsError(
      'E_SYSTEM',
      `Cannot write the archive in ${folder} (${errno}): give another folder with --to`,
      { folder, errno },
      thrown,
    );
  } finally {
    if (made !== null) await rm(made, { recursive: true, force: true, maxRetries: 3 });
    off();
  }
}

interface Collected {
  readonly bytes: Buffer;
  readonly trouble: string | null;
}

/** `grant`: returns how many bytes of a part may be in the archive. */
async function collected(
  clock: Clock,
  part: SupportPart,
  clean: (text: string) => string,
  grant: (sizeBytes: number) => number,
): Promise<Collected> {
  const limitMs = part.isSlow === true ? SUPPORT_SLOW_PART_MS : SUPPORT_PART_MS;
  const ended = new AbortController();
  const late = (): never => {
    throw new RsError('E_TIMEOUT', `Not there within ${printDuration(limitMs)}`);
  };
  try {
    const work = Promise.resolve().then(() => part.collect(ended.signal));
    const bytes = Buffer.from(clean(await within(clock, limitMs, work, late)));
    const boundBytes = grant(bytes.length);
    if (bytes.length === boundBytes) return { bytes, trouble: null };
    const trouble = `Cut off: ${bytes.length} bytes in all, the first ${boundBytes} are here`;
    return { bytes: Buffer.concat([bytes.subarray(0, boundBytes), Buffer.from(`\n${trouble}\n`)]), trouble };
  } catch (thrown) {
    const trouble = clean(toRsError(thrown).message);
    return { bytes: Buffer.from(`Not here: ${trouble}\n`), trouble };
  } finally {
    ended.abort();
  }
}

function contentsOf(clock: Clock, name: string, parts: readonly PartOutcome[]): string {
  const rows = parts.map(({ file, about, sizeBytes, trouble }) => [file, String(sizeBytes), about, trouble ?? '']);
  return toText([
    `${name}, made by release ${programVersion()} at ${new Date(clock.wallMs()).toISOString()}`,
    PROMISE,
    '',
    ...alignColumns(['FILE', '>BYTES', 'WHAT IT IS', 'WHAT IS MISSING'], rows),
  ]);
}

async function pack(clock: Clock, work: string, made: string, files: readonly string[]): Promise<void> {
  const owner = ['--owner=0', '--group=0', '--numeric-owner'];
  const args = ['--create', '--gzip', '--file', made, ...owner, '--directory', work, '--', ...files];
  const { failure, output } = await programRunner(clock)('tar', '', SUPPORT_TAR_MS, args);
  if (failure !== null) throw new RsError('E_SYSTEM', `tar cannot make the archive (${failure}, ${output.trim()}): install tar and gzip`);
}

/** Gives the file its name unless the name is taken. */
async function nameOnce(made: string, path: string): Promise<void> {
  try {
    await link(made, path);
  } catch (thrown) {
    if (errnoName(thrown) === 'EEXIST') throw existing(path);
    // File systems such as FAT have no hard links.
    if (await lstat(path).catch(() => null)) throw existing(path);
    await rename(made, path);
  }
}

function existing(path: string): RsError {
  return new RsError('E_EXISTS', `${path} exists: give another folder with --to`, { path });
}
