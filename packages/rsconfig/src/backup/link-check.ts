// Compares the files of chains with the lengths and checksums in their descriptions. backup-chain.ts has compared the lengths. Invariants: a
// file counts as whole only if this process has read all of it, or, where a stamp is trusted, if the file system shows that no program has
// written to it since; a file without a checksum is named, and never counts as compared.

import { lstat } from 'node:fs/promises';
import path from 'node:path';
import { sha256Of } from '@rsio/base/files/sha256';
import { RsError } from '@rsio/base/lib/errors';
import type { CommandWork } from '../cli/command-work.ts';
import type { BackupChain } from './backup-chain.ts';
import type { BackupRecord } from './backup-record.ts';

/** What the record of a backup says about its file. */
export type FileFacts = Pick<BackupRecord, 'fileBytes' | 'sha256' | 'stamp'>;

/** Reads the whole file. Throws E_BUSY if the file changes meanwhile. */
export async function factsOf(file: string, onRead?: (bytes: number) => void): Promise<FileFacts> {
  const stamp = await stampOf(file);
  const sha256 = await sha256Of(file, Number.POSITIVE_INFINITY, onRead);
  const { size } = await lstat(file);
  if ((await stampOf(file)) !== stamp) throw changed(file);
  return { fileBytes: size, sha256, stamp };
}

/**
 * Returns a text that changes when a program writes to the file or replaces it, but not when the file is renamed. A disk that loses bits
 * does not change it.
 */
async function stampOf(file: string): Promise<string> {
  const { ino, size, mtimeNs } = await lstat(file, { bigint: true });
  return `${ino}:${size}:${mtimeNs}`;
}

/** Compares each file at most once. */
export class LinkCheck {
  private readonly trustsStamps: boolean;
  private readonly work: CommandWork | null;
  private readonly compared = new Map<string, Promise<string | null>>();

  /** `trustsStamps`: a file whose stamp is that of its record is not read again. `work`: counts what is read. */
  constructor(trustsStamps: boolean, work: CommandWork | null = null) {
    [this.trustsStamps, this.work] = [trustsStamps, work];
  }

  /** Returns what is wrong with the first damaged file of the chain; null if no file differs from its checksum. */
  async problemOf({ folder, names, records }: BackupChain): Promise<string | null> {
    for (const [at, name] of names.entries()) {
      const file = path.join(folder, name);
      const comparing = this.compared.get(file) ?? this.compare(file, records[at] ?? null);
      this.compared.set(file, comparing);
      const problem = await comparing;
      if (problem !== null) return problem;
    }
    return null;
  }

  /** Throws E_SYSTEM if a file of the chain is damaged. */
  async check(chain: BackupChain): Promise<void> {
    const problem = await this.problemOf(chain);
    if (problem !== null) throw new RsError('E_SYSTEM', problem);
  }

  private async compare(file: string, record: BackupRecord | null): Promise<string | null> {
    if (record === null || record.sha256 === null) return null;
    if (this.trustsStamps && record.stamp === (await stampOf(file))) return null;
    const { work } = this;
    return (await factsOf(file, (bytes) => work?.add(bytes))).sha256 === record.sha256
      ? null
      : `${file} has another content than when it was made, so that the backups on it are lost: bring the former file back, or make a full backup`;
  }
}

/** Returns the names of the files that have no checksum, because an older rsconfig made them or their description is missing. */
export function uncomparedIn({ names, records }: BackupChain): readonly string[] {
  return names.filter((_, at) => (records[at]?.sha256 ?? null) === null);
}

/** Does `work`. Throws E_BUSY if a file of the chain was changed or replaced meanwhile. */
export async function whileUnchanged<T>({ folder, names }: BackupChain, work: () => Promise<T>): Promise<T> {
  const files = names.map((name) => path.join(folder, name));
  const stamps = await Promise.all(files.map(stampOf));
  const done = await work();
  for (const [at, file] of files.entries()) if ((await stampOf(file)) !== stamps[at]) throw changed(file);
  return done;
}

function changed(file: string): RsError {
  return new RsError('E_BUSY', `${file} was changed while it was read: stop what writes to it, and try again`);
}
