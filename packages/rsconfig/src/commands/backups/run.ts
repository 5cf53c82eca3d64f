// Implements `backup-run`: makes the next backup of a volume, full or incremental, and removes old chains and the snapshots that no later
// run needs. generations.ts decides, and run-folder.ts changes the files. Invariants: nothing is removed before the new backup is complete,
// except leftovers of interrupted runs, and no backup before the files of those that stay were compared with their checksums. A snapshot is
// removed only by the id that a description names. Each failure and each damaged chain is reported, and ends the command with an error.

import path from 'node:path';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { parseAge } from '@rsio/common/cli/since';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { list, object, type Of, orNull, text } from '@rsio/base/lib/shape';
import { parseWhole, shownSize } from '@rsio/base/lib/units';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { VolumeTarget } from '@rsio/api/manage/volumes/door';
import { backupFile } from '../../backup/backup-files.ts';
import { readChain } from '../../backup/backup-chain.ts';
import { type Backup, BACKUP_MADE } from '../../backup/backup.ts';
import { type BackupRecord, type RunMark, writeRecord } from '../../backup/backup-record.ts';
import {
  decideCompared,
  decideKind,
  freeName,
  isLeftover,
  isSnapshotOf,
  type Kind,
  nextNumber,
  type Removals,
  type RunBackup,
  type SeenSnapshot,
} from '../../backup/generations.ts';
import { LinkCheck, uncomparedIn } from '../../backup/link-check.ts';
import { checkDirectory, readRunFolder, removeBackup, withBackups } from '../../backup/run-folder.ts';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { CHAINS_KEPT_MAX, FULL_EVERY_MAX_MS, FULL_EVERY_MIN_MS } from '../../limits.ts';
import { timeName } from '@rsio/base/lib/time-name';
import { PROGRAM } from '../server-volumes/door.ts';
import { findAnywhere } from '../server-volumes/find.ts';
import { backUpSnapshot, makeSnapshot, volumeInFiles } from './attached-snapshot.ts';

const DONE = object({
  snapshot: text(),
  full: orNull(text(), 'Why it is a full backup; null: it is an increment'),
  ...BACKUP_MADE,
  removedBackups: list(text(), 'Names of the files'),
  removedSnapshots: list(text(), 'Names of the snapshots'),
  problems: list(text(), 'What could not be removed, so that the next run tries again, and which chains are damaged'),
});
export type Done = Of<typeof DONE>;

export const BACKUP_RUN = defineCommand({
  call: { by: 'words', words: 'backup-run' },
  synopsis: 'backup-run NAME DIRECTORY --full-every T --keep N\n[--begin] [--verify]',
  summary: 'makes the next scheduled backup and removes old ones',
  details: `The command makes a snapshot backup-DATE-TIME of the volume, and backs it up as
rsconfig backup does. The backup is incremental, based on the newest backup that
a run has made. It is full if the newest full backup is as old as --full-every,
or if no increment is possible, for example because the snapshot of the newest
backup is gone from the server. The output has the reason.

Before an increment, the command compares the files of the chain with their
descriptions: their lengths, and the checksums of those that the file system
shows as written to. With --verify, it compares the checksums of all, so that it
finds damage by the disk, too. If a file differs, the backup is full.

A chain is a full backup and the increments on it. After a successful backup,
the command keeps the newest N chains that can be restored. Before it removes
any, it compares all files that stay with their checksums. It removes older
chains as a whole, newest increment first, and all snapshots of earlier runs,
because only the snapshot of the newest backup is needed. It never removes a
backup, file or snapshot that no run has made, nor a chain on which such a file
stands. It removes what an interrupted run has left. The directory needs space
for N + 1 chains.

The first run in a directory needs --begin. Without it, a directory that has no
backup of the volume is refused, because its disk may not be mounted.

If another command uses the backups of the volume, the command fails. Only one
machine may back up a volume to a directory. If the backup is made, but
something old cannot be removed, or a chain is damaged, the command says so and
ends with status 1.`,
  options: {
    'full-every': { kind: 'text', value: 'T', help: 'make a full backup when the newest one is this old,\nsuch as 7d or 12h' },
    keep: { kind: 'text', value: 'N', help: 'number of chains to keep, including the new one' },
    begin: { kind: 'flag', help: 'begin in a directory without backups of the volume' },
    verify: { kind: 'flag', help: 'compare the files of the chain with their\nchecksums, and the new backup with the snapshot' },
    json: JSON_OPTION,
  },
  json: DONE,
  operands: { min: 2, max: 2 },
  completes: PROGRAM.completesVolumes,
  run: async (context, { 'full-every': fullEvery, keep, begin, verify, json }, [name = '', directory = '']) => {
    const rules = { fullEveryMs: fullEveryOf(fullEvery), keep: keepOf(keep), begins: begin, verifies: verify };
    const named = volumeInFiles(name, 'NAME, such as oracle or osl:oracle@1');
    await checkDirectory(directory);
    const done = await withBackups(directory, named, true, () => new Run({ context, name, directory, named, ...rules }).run());
    for (const problem of done.problems) context.report('E_SYSTEM', problem);
    if (json) printJson(context, done);
    else context.out(textOf(done));
    return done.problems.length === 0 ? undefined : 1;
  },
});

interface Given {
  readonly context: CommandContext;
  /** The volume as the person wrote it, and as in file names. */
  readonly name: string;
  readonly named: string;
  readonly directory: string;
  readonly fullEveryMs: number;
  readonly keep: number;
  readonly begins: boolean;
  readonly verifies: boolean;
}

/** What a run makes. */
interface Planned {
  readonly snapshot: string;
  readonly kind: Kind;
  readonly mark: RunMark;
  readonly sizeBytes: number;
}

const NO_FILE = { fileBytes: null, sha256: null, stamp: null };
/** Errors with which a server refuses a request that it has not executed before. */
const NOT_MADE: readonly string[] = ['E_EXISTS', 'E_USAGE', 'E_RIGHTS', 'E_SPACE', 'E_NO_REFLINK', 'E_UNKNOWN_VOLUME'];

class Run {
  private readonly given: Given;
  private readonly removedBackups: string[] = [];
  private readonly removedSnapshots: string[] = [];
  private readonly problems: string[] = [];
  /** What this run has found out about the chains of backups, by the name of the file, beyond what the folder shows. */
  private readonly damaged = new Map<string, string>();
  private readonly links = new LinkCheck(false);

  constructor(given: Given) {
    this.given = given;
  }

  async run(): Promise<Done> {
    const { context, directory, named, fullEveryMs } = this.given;
    const target = await this.find();
    const { volume, snapshots } = await target.call('volume-show', target.volume);
    const label = target.label(target.volume);
    const { backups, others } = await readRunFolder(directory, label, named, (problem) => this.problems.push(problem));
    this.checkBegin(label, backups);
    for (const left of backups.filter(isLeftover)) {
      context.note(`An interrupted run has left ${left.name}: it is removed`);
      await this.remove(target, left, snapshots);
    }
    const volumeId = volume.mirror ?? volume.id ?? '';
    const nowMs = Math.floor(context.clock.wallMs());
    const kind = await this.decide(backups, { volumeId, nowMs, fullEveryMs, snapshots });
    const mark: RunMark = { volumeId, number: nextNumber(backups), madeMs: nowMs, request: context.newId(), state: 'asking' };
    const taken = [...snapshots.map((one) => one.snapshot), ...backups.map((one) => one.snapshot)];
    const files = others.map((other) => other.name);
    const isTaken = (one: string): boolean => taken.includes(one) || files.includes(path.basename(backupFile('', named, one)));
    const snapshot = freeName(`backup-${timeName(nowMs)}`, isTaken);
    const { done, full } = await this.backUp(target, { snapshot, kind, mark, sizeBytes: volume.sizeBytes ?? 0 });
    await this.removeOld(path.basename(done.file));
    const { removedBackups, removedSnapshots, problems } = this;
    return { snapshot: `${label}@${snapshot}`, ...done, full, removedBackups, removedSnapshots, problems };
  }

  /** Finds the volume. The target of a mirror knows only the snapshots that existed when it was found. */
  private async find(): Promise<VolumeTarget> {
    return await findAnywhere(this.given.context, this.given.name, 'change');
  }

  private checkBegin(label: string, backups: readonly RunBackup[]): void {
    const { directory, begins } = this.given;
    const isEmpty = !backups.some(({ state }) => state === 'made');
    if (isEmpty && !begins)
      throw usageError(
        `${directory} has no backup of ${label} by backup-run: mount the disk for backups, or give --begin if this is the first run`,
      );
    if (!isEmpty && begins)
      throw usageError(`${directory} has backups of ${label}: leave out --begin, which would accept an empty directory, too`);
  }

  /** Decides on a full backup if a file on which the increment would stand has changed. */
  private async decide(backups: readonly RunBackup[], given: Parameters<typeof decideKind>[1]): Promise<Kind> {
    const kind = decideKind(backups, given);
    // Without --verify, an increment that reads all files below it would take as long as a full backup.
    const links = this.given.verifies ? this.links : new LinkCheck(true);
    if (kind.base === null || (await this.baseProblem(kind.base, links)) === null) return kind;
    return decideKind(backups.map(this.withDamage), given);
  }

  private readonly withDamage = (backup: RunBackup): RunBackup => ({
    ...backup,
    problem: backup.problem ?? this.damaged.get(backup.name) ?? null,
  });

  /** Returns what is wrong with the chain of a backup, and remembers it; null if its files are as they were made. */
  private async baseProblem({ name }: RunBackup, links: LinkCheck): Promise<string | null> {
    const problem = await this.chainProblem(name, links).catch((thrown: unknown) => toRsError(thrown).message);
    if (problem !== null) this.damaged.set(name, problem);
    return problem;
  }

  private async chainProblem(name: string, links: LinkCheck): Promise<string | null> {
    const chain = await readChain(path.join(this.given.directory, name), false);
    const [missing] = uncomparedIn(chain);
    return missing === undefined ? await links.problemOf(chain) : `the description of ${missing} has no checksum`;
  }

  /** Makes the snapshot and backs it up. If an increment turns out to be impossible, makes a full backup. After an error, nothing is left. */
  private async backUp(target: VolumeTarget, { snapshot, kind, mark, sizeBytes }: Planned): Promise<{ done: Backup; full: string | null }> {
    const { context, directory, named, verifies } = this.given;
    const label = `${target.label(target.volume)}@${snapshot}`;
    const file = backupFile(directory, named, snapshot);
    const record: BackupRecord = { snapshot: label, snapshotId: '', sizeBytes, base: null, baseId: null, ...NO_FILE, run: mark };
    let left: RunBackup | null = null;
    try {
      // Both records are written before the next step, so that an interrupted run leaves nothing unknown.
      await writeRecord(file, record);
      left = { name: path.basename(file), snapshot, snapshotId: '', base: null, ...mark, isThere: false, hasPart: true, problem: null };
      const { id: snapshotId } = await makeSnapshot(context, target, snapshot, mark.request);
      await writeRecord(file, { ...record, snapshotId, run: { ...mark, state: 'making' } });
      left = { ...left, snapshotId, state: 'making' };
      const request = { directory, verifies, run: { ...mark, state: 'made' as const } };
      const make = (since: string | null): Promise<Backup> => backUpSnapshot(context, label, snapshotId, { ...request, since });
      if (kind.base === null) return { done: await make(null), full: kind.why };
      try {
        return { done: await make(kind.base.snapshot), full: null };
      } catch (thrown) {
        const { code, message } = toRsError(thrown);
        if (code !== 'E_UNKNOWN_SNAPSHOT') throw thrown;
        return { done: await make(null), full: message };
      }
    } catch (thrown) {
      const undone = left;
      if (undone !== null)
        await this.tried(`Snapshot ${label} may be left`, async () => {
          await this.remove(await this.find(), undone, [{ snapshot, id: undone.snapshotId }]);
        });
      const { code, message } = toRsError(thrown);
      throw new RsError(code, [message, ...this.problems].join('; '), {}, thrown);
    }
  }

  /** Removes what is not needed after the backup `name`. */
  private async removeOld(name: string): Promise<void> {
    const { directory, named, keep } = this.given;
    await this.tried(`${name} is made, and nothing old could be removed`, async () => {
      const target = await this.find();
      const { snapshots } = await target.call('volume-show', target.volume);
      const { backups, others } = await readRunFolder(directory, target.label(target.volume), named, () => undefined);
      const newest = backups.find((one) => one.name === name);
      if (newest === undefined) throw new RsError('E_SYSTEM', `${directory} does not have it any more: look at the disk for backups`);
      const known = backups.map(this.withDamage);
      const removals = await decideCompared(known, others, { newest, keep, snapshots }, (one) => this.baseProblem(one, this.links));
      this.problems.push(...removals.damage);
      await this.removeAll(target, snapshots, removals);
    });
  }

  private async removeAll(target: VolumeTarget, snapshots: readonly SeenSnapshot[], removals: Removals): Promise<void> {
    for (const sentence of removals.notes) this.given.context.note(sentence);
    for (const one of removals.backups) if (!(await this.remove(target, one, snapshots))) break;
    for (const seen of removals.snapshots) {
      if (this.removedSnapshots.includes(seen.snapshot)) continue;
      await this.tried(`Snapshot ${seen.snapshot} is no longer needed, and could not be removed`, () =>
        this.removeSnapshot(target, seen.snapshot, seen.id),
      );
    }
  }

  /** Removes a backup and its snapshot. Returns false if this failed. */
  private async remove(target: VolumeTarget, backup: RunBackup, snapshots: readonly SeenSnapshot[]): Promise<boolean> {
    const { name, snapshot, snapshotId, state } = backup;
    const isSeen = snapshots.some((seen) => isSnapshotOf(backup, seen)) && !this.removedSnapshots.includes(snapshot);
    return await this.tried(`${name} could not be removed`, async () => {
      await removeBackup(this.given.directory, backup, async () => {
        if (state === 'asking') return await this.removeAsked(target, backup);
        if (isSeen) await this.removeSnapshot(target, snapshot, snapshotId);
      });
      this.removedBackups.push(name);
    });
  }

  /**
   * Removes a snapshot whose id is not known. The request is repeated: the server answers with the snapshot that it has made then, or makes
   * it now. If the server refuses the request, that snapshot does not exist.
   */
  private async removeAsked({ call, volume }: VolumeTarget, { snapshot, request }: RunBackup): Promise<void> {
    const answer = await call('volume-snapshot', { snapshots: [{ ...volume, snapshot }], request }).catch((thrown: unknown) => {
      if (NOT_MADE.includes(toRsError(thrown).code)) return null;
      throw thrown;
    });
    for (const { id } of answer?.snapshots ?? []) await this.removeSnapshot(await this.find(), snapshot, id);
  }

  private async removeSnapshot({ call, volume }: VolumeTarget, snapshot: string, onlyId: string): Promise<void> {
    const { context } = this.given;
    // A run that was killed after its backup, but before the detach, has left the snapshot attached.
    const attached = (await context.call('local', {})).attachments.find(({ id }) => id === onlyId);
    if (attached !== undefined) await context.call('detach', { names: [volumeLabel(attached)], force: false, owner: 'backup-run' });
    await call('volume-snapshot-remove', { ...volume, snapshot, onlyId, request: context.newId() });
    this.removedSnapshots.push(snapshot);
  }

  private async tried(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      this.problems.push(`${what}: ${toRsError(thrown).message}`);
      return false;
    }
  }
}

function fullEveryOf(given: string | null): number {
  if (given === null) throw usageError('--full-every is missing: give it a time such as 7d');
  const ms = parseAge(given);
  if (ms < FULL_EVERY_MIN_MS || ms > FULL_EVERY_MAX_MS) throw usageError(`Wrong --full-every ${given}: allowed is 1s to 3650d`);
  return ms;
}

function keepOf(given: string | null): number {
  const keep = parseWhole(given ?? '');
  if (keep === undefined || keep < 1 || keep > CHAINS_KEPT_MAX)
    throw usageError(`--keep is ${given === null ? 'missing' : 'wrong'}: give it a number of chains from 1 to ${CHAINS_KEPT_MAX}`);
  return keep;
}

function textOf({ snapshot, file, full, sizeBytes, readBytes, base, removedBackups, removedSnapshots }: Done): string {
  const what =
    full === null ? `${shownSize(readBytes ?? 0)} changed since ${base ?? ''}` : `${shownSize(sizeBytes)}, a full backup: ${full}`;
  const removed = [...removedBackups, ...removedSnapshots.map((one) => `snapshot ${one}`)];
  return [`${snapshot} is backed up as ${file}: ${what}`, ...removed.map((one) => `Removed: ${one}`), ''].join('\n');
}
