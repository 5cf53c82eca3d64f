// Copies a snapshot to a file on the server. qemu-img writes the file under a temporary name, through a descriptor of this process.
// Invariants: the file gets its name only when it is complete and durable. No other file is replaced without force. The temporary name is
// saved before the file exists, so that the next start can delete an incomplete file. Files on storage that hangs occupy at most
// FILE_STEPS_MAX threads of this process.

import { randomBytes } from 'node:crypto';
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { mountTable } from '@rsio/base/daemon/mount-table';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { CopyTarget, JobRecord } from '../job-record.ts';
import type { RunningJob } from '../jobs.ts';
import { stampOf } from '../../pools/moves/move-files.ts';
import { withSnapshotFile, answered } from './copied-file.ts';
import { type CopySource, stateOf } from './copy-source.ts';
import { checkFilePlace, checkFileSpace, type GuardedPlaces, PART_PREFIX } from './file-place.ts';
import { FILE_STEPS_MAX, FILE_STEPS_MOUNT_MAX, FILE_SYNC_MS } from '../limits.ts';
import type { CheckImage, Convert, ProgramUser } from './program.ts';

export interface ToFilePorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  readonly convert: Convert;
  readonly check: CheckImage;
  /** Returns the user of the program; null if the program runs as the user of this process. */
  user(): ProgramUser | null;
  guarded(): GuardedPlaces;
  /** Called with the name of each step after the step. */
  readonly reached: (step: string) => void;
  /** Returns the mount point of a file without accessing the file. If missing, the kernel's list of mounts is used. */
  readonly mountOf?: (file: string) => Promise<string>;
}

type FileCopyTarget = Extract<CopyTarget, { kind: 'file' }>;

/** Error codes with which link(2) reports that the file system has no hard links. */
const NO_LINKS = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK']);

export class ToFile {
  private readonly ports: ToFilePorts;
  /**
   * Mount points of the files on which a step has not ended, one entry for each step. Steps that have timed out but still occupy a thread
   * are included.
   */
  private readonly steps: string[] = [];
  /** Files whose close has not ended. If no reference to such a file remained, Node.js would close the file in its main thread. */
  private readonly unclosed = new Set<FileHandle>();

  constructor(ports: ToFilePorts) {
    this.ports = ports;
  }

  async run(job: RunningJob, source: CopySource, target: FileCopyTarget): Promise<void> {
    const { copyStamp } = stateOf(job.record);
    // An earlier rssrv may have given the file its name, and then exited before it recorded the end of the job.
    if (copyStamp !== null && (await this.step(target, () => stampOf(target.path))) === copyStamp) return;
    await this.discard(job.record, target);
    await this.check(target);
    const part = path.join(path.dirname(target.path), `${PART_PREFIX}${job.record.id}-${randomBytes(4).toString('hex')}`);
    job.note({ copy: { ...stateOf(job.record), part, copyStamp: null }, doneBytes: 0 });
    await job.save();
    await this.write(job, source, target, part);
    job.note({ copy: { ...stateOf(job.record), copyStamp: await this.step(target, () => stampOf(part)) } });
    await job.save();
    job.check();
    // A file that must not be replaced may have been created during the copy.
    await this.check(target);
    await this.step(target, () => this.name(part, target));
  }

  /** Throws if a file cannot get this name. */
  check(target: FileCopyTarget): Promise<void> {
    return this.step(target, () => checkFilePlace(target.path, target.isForced, this.ports.guarded()));
  }

  /** Deletes the incomplete file, which has the temporary name. */
  async discard(record: JobRecord, target: FileCopyTarget): Promise<void> {
    const { part } = stateOf(record);
    if (part === null) return;
    try {
      await this.step(target, () => rm(part, { force: true }));
    } catch (thrown) {
      this.ports.log.warn(`What job ${record.id} has left, ${part}, cannot be deleted: ${toRsError(thrown).message}`);
    }
  }

  private async write(job: RunningJob, source: CopySource, target: FileCopyTarget, part: string): Promise<void> {
    const user = this.ports.user();
    const file = await this.step(target, () => open(part, 'wx+', 0o600));
    try {
      this.ports.reached('copy: part');
      if (user !== null) await file.chown(user.uid, user.gid);
      const { sizeBytes } = source.record;
      await withSnapshotFile(source, user, async (from, bytes) => {
        await this.step(target, () => checkFileSpace(target.path, bytes));
        job.note({ totalBytes: bytes });
        const args = ['-O', target.format, '/dev/fd/3', '/dev/fd/4'];
        await this.ports.convert({
          job,
          args,
          from: ['-f', 'raw'],
          sourceText: 'the snapshot',
          source: from.fd,
          target: file.fd,
          targetText: target.path,
          user,
          bytes,
        });
      });
      await this.compare(job, file, target, sizeBytes, user);
      this.ports.reached('copy: written');
      if (user !== null) await file.chown(process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
      await this.step(target, () => file.sync(), FILE_SYNC_MS);
      this.ports.reached('copy: durable');
    } finally {
      this.unclosed.add(file);
      await this.step(target, () => file.close().finally(() => this.unclosed.delete(file)));
    }
  }

  /** Throws E_SYSTEM if the new file does not have the form and the length of the snapshot. */
  private async compare(
    job: RunningJob,
    file: FileHandle,
    target: FileCopyTarget,
    sizeBytes: number,
    user: ProgramUser | null,
  ): Promise<void> {
    if (target.format === 'qcow2')
      return this.ports.check({ job, user, file, text: target.path, remedy: 'check the disk, and copy it again' });
    const { size } = await this.step(target, () => file.stat());
    if (size >= sizeBytes) return;
    const { path: place } = target;
    throw new RsError('E_SYSTEM', `${place} has ${size} bytes, and the snapshot has ${sizeBytes}: check the disk, and copy it again`, {
      file: place,
    });
  }

  private async name(part: string, { path: file, isForced }: FileCopyTarget): Promise<void> {
    if (isForced) await rename(part, file);
    else await this.link(part, file);
    this.ports.reached('copy: named');
    await syncDirectory(path.dirname(file));
  }

  /** Gives the complete file its name with a hard link, because a link never replaces another file, unlike a rename. */
  private async link(part: string, file: string): Promise<void> {
    try {
      await link(part, file);
    } catch (thrown) {
      const errno = errnoName(thrown) ?? '';
      const isThere = errno === 'EEXIST' || (await lstat(file).catch(() => null)) !== null;
      if (isThere) throw new RsError('E_EXISTS', `${file} exists: give another name, or --force to replace it`, { file });
      if (!NO_LINKS.has(errno)) throw thrown;
      await rename(part, file);
      return;
    }
    this.ports.reached('copy: linked');
    await rm(part, { force: true });
  }

  /**
   * Executes one step. If too many earlier steps have not ended, throws E_SYSTEM and does not begin the step, because each step occupies a
   * thread of this process.
   */
  private async step<T>({ path: file }: FileCopyTarget, work: () => Promise<T>, limitMs?: number): Promise<T> {
    const mount = await (this.ports.mountOf ?? mountOf)(file);
    if (this.steps.filter((one) => one === mount).length >= FILE_STEPS_MOUNT_MAX)
      throw new RsError('E_SYSTEM', `${FILE_STEPS_MOUNT_MAX} steps of copies to ${mount} have not ended: check its file system`, { file });
    if (this.steps.length >= FILE_STEPS_MAX)
      throw new RsError('E_SYSTEM', `${FILE_STEPS_MAX} steps of copies to files have not ended: check the file systems of these files`, {
        file,
      });
    this.steps.push(mount);
    const done = work().finally(() => this.steps.splice(this.steps.indexOf(mount), 1));
    return answered(this.ports.clock, file, done, limitMs);
  }
}

/** Returns the deepest mount point above the file. Does not follow links, because that would access a file system that may hang. */
async function mountOf(file: string): Promise<string> {
  const points = (await mountTable().catch(() => [])).map(({ mountPoint }) => mountPoint);
  const above = points.filter((point) => point === '/' || file.startsWith(`${point}/`));
  return above.reduce((longest, point) => (point.length >= longest.length ? point : longest), '/');
}
