// Executes jobs that import a file, a device or an export of an NBD server as a new volume. A raw file on the file system of the pool is
// cloned; any other source is copied, by this process or by qemu-img. An incomplete copy is in the pool's folder `moving`. One rename makes
// the complete copy a volume. Invariants: only a complete copy gets the name of the volume. However a job ends, it leaves nothing behind
// except the volume. An interrupted job starts over.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { answered } from './copied-file.ts';
import { CopyInPool } from './copy-in-pool.ts';
import type { ConvertOrder } from './program.ts';
import type { ToFilePorts } from './to-file.ts';
import { connectedNbd, nbdPlace } from './to-nbd.ts';
import { commitCopy, type ToVolumePorts } from './to-volume.ts';
import { isPassing } from './volume-copies.ts';
import { type ImportState, type ImportedFrom, importOf, type JobRecord } from '../job-record.ts';
import { JobEnds, type RunningJob } from '../jobs.ts';
import type { CopyPorts } from '../moves/copy-ranges.ts';
import { IMPORT_PIECE_BYTES, IMPORT_SYNC_BYTES } from '../limits.ts';
import type { Asker } from '../../pools/asker.ts';
import { type CreateRequest, decideCreate, type PoolState, usableBytes, type VolumeName } from '../../pools/catalogue.ts';
import type { VolumeId } from '../../pools/disk/ids.ts';
import type { Manifest } from '../../pools/disk/manifest.ts';
import type { RangeCalls } from '../../pools/disk/data-file.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import { MoveFiles } from '../../pools/moves/move-files.ts';
import { isWithoutReflink } from '../../pools/snapshots/reflink.ts';
import { checkUnchanged, openSource, type OpenSource, volumeBytes } from './import-source.ts';

export interface VolumeImportsPorts
  extends Omit<ToVolumePorts, keyof CopyPorts>,
    Pick<ToFilePorts, 'check' | 'convert' | 'guarded' | 'user'> {
  /** Calls that clone ranges of files. */
  readonly ranges: RangeCalls;
}

/** A request for an import. */
export interface WantedImport extends VolumeName {
  readonly source: ImportedFrom;
  /**
   * Name of the pool for the volume. If null, the server takes a pool on the file system of the source, or, if no pool is there, the pool
   * with the most room.
   */
  readonly pool: string | null;
  readonly blockSizeBytes: 512 | 4096;
}

export class VolumeImports {
  private readonly ports: VolumeImportsPorts;
  private readonly copies: CopyInPool;

  constructor(ports: VolumeImportsPorts) {
    this.ports = ports;
    this.copies = new CopyInPool(ports.verbs.pools);
  }

  /**
   * Inspects the source file, which may hang. Returns the size of the file's content, and the device of its file system; null if the source
   * is an NBD server. Throws the same errors as `openSource`.
   */
  async look({ source }: WantedImport): Promise<{ readonly sizeBytes: number; readonly device: number } | null> {
    if (source.kind === 'nbd') return null;
    const { handle, stats, sizeBytes } = await this.opened(source);
    await handle.close();
    return { sizeBytes, device: Number(stats.dev) };
  }

  /** Returns the pool of the new volume. Throws if the volume cannot be made. */
  async poolFor(wanted: WantedImport, seen: Awaited<ReturnType<VolumeImports['look']>>, id: VolumeId, asker: Asker): Promise<PoolState> {
    asker.needs('admin', 'import files');
    const sizeBytes = seen === null ? wanted.blockSizeBytes : volumeBytes(seen.sizeBytes, wanted.blockSizeBytes);
    const near = wanted.pool ?? (seen === null ? null : await this.poolOn(seen.device));
    return this.decide({ ...wanted, pool: near }, sizeBytes, id, asker, 0).pool;
  }

  /** Executes a job until the volume exists. Throws JobEnds, or the error with which the job has failed. */
  async run(job: RunningJob): Promise<void> {
    const { record } = job;
    const wanted = importOf(record);
    const pool = this.copies.poolOf(record);
    if (pool.volumes.has(record.volumeId)) return;
    try {
      job.check();
      const made = await this.made(job, pool, wanted);
      job.check();
      await this.ports.exclusive(() => this.commit(record, wanted, made), `the import of volume ${record.name}`);
    } catch (thrown) {
      await this.copies.discard(record, record.volumeId);
      if (isPassing(thrown)) throw new JobEnds({ kind: 'waits', reason: toRsError(thrown).message });
      throw thrown;
    }
  }

  /** Makes the file of the volume. The content of the file is durable when this method resolves. */
  private async made(
    job: RunningJob,
    pool: PoolState,
    { source, blockSizeBytes }: ImportState,
  ): Promise<Pick<Manifest, 'sizeBytes' | 'stamps'>> {
    const id = job.record.volumeId;
    await this.copies.onDisk(pool, (files) => new MoveFiles(files).discard(id));
    const stamp = await this.copies.onDisk(pool, (files) => new MoveFiles(files).begin(id, 0, false));
    const copy = await open(poolPaths.data(poolPaths.movingVolume(pool.path, id)), 'r+');
    try {
      if (source.kind === 'nbd') await this.fromNbd(job, source.uri, copy);
      else await this.fromFile(job, pool, source, copy);
      const { size } = await copy.stat();
      const sizeBytes = volumeBytes(size, blockSizeBytes);
      await copy.truncate(sizeBytes);
      await copy.sync();
      return { sizeBytes, stamps: [stamp] };
    } finally {
      await copy.close();
    }
  }

  private async fromFile(
    job: RunningJob,
    pool: PoolState,
    source: Extract<ImportedFrom, { kind: 'file' }>,
    copy: FileHandle,
  ): Promise<void> {
    const from = await this.opened(source);
    try {
      job.note({ totalBytes: from.sizeBytes, doneBytes: 0 });
      if (source.format === 'raw' && (await this.cloned(from, copy))) job.note({ doneBytes: from.sizeBytes });
      else {
        const usedBytes = Number(from.stats.isFile() ? from.stats.blocks * 512n : 0n);
        if (usedBytes > usableBytes(pool)) throw noRoom(job.record);
        if (source.format === 'raw') await this.copied(job, source.path, from, copy);
        else await this.converted(job, source.path, from, copy);
      }
      await checkUnchanged(source.path, from);
      const { size } = await copy.stat();
      if (size !== from.sizeBytes)
        throw new RsError('E_SYSTEM', `The copy of ${source.path} has ${size} bytes instead of ${from.sizeBytes}: import it again`);
    } finally {
      await from.handle.close();
    }
  }

  /** Clones the source. Returns false if source and copy are on different file systems, or if the file system cannot clone. */
  private async cloned({ handle, stats, sizeBytes }: OpenSource, copy: FileHandle): Promise<boolean> {
    const { ranges } = this.ports;
    if (!stats.isFile() || sizeBytes === 0) return false;
    try {
      await ranges.cloneRange(handle.fd, copy.fd, 0, 0);
      return true;
    } catch (thrown) {
      const errno = errnoName(thrown);
      if (errno === 'EXDEV' || isWithoutReflink(errno)) return false;
      throw thrown;
    }
  }

  /** Copies the source. Leaves holes for zeros, so that they take no space. */
  private async copied(job: RunningJob, file: string, { handle, sizeBytes }: OpenSource, copy: FileHandle): Promise<void> {
    const piece = Buffer.allocUnsafe(IMPORT_PIECE_BYTES);
    const zeros = Buffer.alloc(IMPORT_PIECE_BYTES);
    await copy.truncate(sizeBytes);
    for (let at = 0; at < sizeBytes; ) {
      const wanted = Math.min(IMPORT_PIECE_BYTES, sizeBytes - at);
      await job.beforePiece(wanted);
      const { bytesRead } = await answered(this.ports.clock, file, handle.read(piece, 0, wanted, at));
      if (bytesRead === 0) throw new RsError('E_BUSY', `${file} became shorter while it was imported: import it again`, { file });
      const read = piece.subarray(0, bytesRead);
      if (!read.equals(zeros.subarray(0, bytesRead))) await writeAll(copy, read, at);
      const isDue = Math.floor(at / IMPORT_SYNC_BYTES) < Math.floor((at + bytesRead) / IMPORT_SYNC_BYTES);
      at += bytesRead;
      job.note({ doneBytes: at });
      if (!isDue) continue;
      await copy.datasync();
      if (usableBytes(this.copies.poolOf(job.record)) < Math.min(IMPORT_SYNC_BYTES, sizeBytes - at)) throw noRoom(job.record);
    }
  }

  /**
   * Converts a qcow2 file. The program runs as the owner of the file and without capabilities, because a crafted file may attack the
   * program.
   */
  private async converted(job: RunningJob, file: string, { handle, stats, sizeBytes }: OpenSource, copy: FileHandle): Promise<void> {
    const isRoot = process.geteuid?.() === 0;
    const user = isRoot ? { uid: Number(stats.uid), gid: Number(stats.gid) } : null;
    // The program copies zeros in place of what a damaged file lacks.
    const remedy = 'give a whole file, or make one of what it has with qemu-img convert -O qcow2';
    await this.ports.check({ job, user, file: handle, text: file, remedy });
    const from = ['-f', 'qcow2'];
    await this.program(job, copy, { from, args: ['/dev/fd/3'], source: handle.fd, sourceText: file, user, bytes: sizeBytes });
  }

  private async fromNbd(job: RunningJob, uri: string, copy: FileHandle): Promise<void> {
    const place = nbdPlace(uri);
    const source = await connectedNbd(this.ports.clock, place, uri, 'import it again');
    try {
      const image = `driver=raw,file.driver=nbd,file.server.type=fd,file.server.str=3,file.export=${place.exportName.replaceAll(',', ',,')}`;
      await this.program(job, copy, { from: ['--image-opts'], args: [image], source, sourceText: uri, user: this.ports.user(), bytes: 0 });
    } finally {
      source.destroy();
    }
  }

  /** Runs the program. Ends the program before it fills the pool, because writes of clients to a full pool would wait. */
  private async program(
    job: RunningJob,
    copy: FileHandle,
    { args, user, bytes: knownBytes, ...order }: Pick<ConvertOrder, 'args' | 'from' | 'source' | 'sourceText' | 'user' | 'bytes'>,
  ): Promise<void> {
    if (user !== null) await copy.chown(user.uid, user.gid);
    const target = `volume ${job.record.name}`;
    let bytes = knownBytes;
    // The program sets the size of the copy before it writes. The server needs this size to judge the progress of the program.
    const sized = ({ size }: { readonly size: number }): void => {
      if (size <= bytes) return;
      bytes = size;
      job.note({ totalBytes: bytes });
    };
    const watched: RunningJob = {
      ...job,
      get record() {
        return job.record;
      },
      check: () => {
        job.check();
        if (usableBytes(this.copies.poolOf(job.record)) === 0) throw noRoom(job.record);
        copy.stat().then(sized, () => undefined);
      },
    };
    const sizes = {
      get bytes() {
        return bytes;
      },
    };
    const places = { user, args: ['-O', 'raw', ...args, '/dev/fd/4'], target: copy.fd, targetText: target };
    await this.ports.convert(Object.assign(sizes, order, places, { job: watched }));
    if (user !== null) await copy.chown(process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
  }

  /** Repeats the checks of the request, and gives the volume its name. The caller must make no other change during this call. */
  private async commit(
    record: JobRecord,
    wanted: ImportState,
    { sizeBytes, stamps }: Pick<Manifest, 'sizeBytes' | 'stamps'>,
  ): Promise<void> {
    const { verbs, clock } = this.ports;
    const asker = this.ports.askerOf(record.by);
    const pool = this.copies.poolOf(record);
    const { manifest } = this.decide({ ...wanted, pool: pool.name }, sizeBytes, record.volumeId, asker, clock.wallMs());
    await commitCopy(verbs, record, pool, { ...manifest, stamps });
  }

  private decide(
    { name, universe, blockSizeBytes, pool }: Omit<WantedImport, 'source'>,
    sizeBytes: number,
    id: VolumeId,
    asker: Asker,
    nowMs: number,
  ): ReturnType<typeof decideCreate> {
    const flags = { thick: false, readonly: false, shared: false, clients: null, takeOver: null, takeOverForce: false };
    const request: CreateRequest = { name, universe, sizeBytes, blockSizeBytes, pool, ...flags };
    return decideCreate(this.ports.verbs.catalogue, request, asker, { id, newId: () => id, request: null, nowMs });
  }

  private async opened(source: Extract<ImportedFrom, { kind: 'file' }>): Promise<OpenSource> {
    return answered(this.ports.clock, source.path, openSource(source, this.ports.guarded()));
  }

  /** Returns the name of a pool that can clone files of this file system; null if no pool can. */
  private async poolOn(device: number): Promise<string | null> {
    for (const { name, path, trouble, hasReflink } of this.ports.verbs.pools.states) {
      if (trouble !== null || hasReflink !== true) continue;
      const its = await answered(this.ports.clock, path, stat(path)).catch(() => null);
      if (its?.dev === device) return name;
    }
    return null;
  }
}

function noRoom({ name, to }: JobRecord): RsError {
  return new RsError('E_SPACE', `The import of volume ${name} was ended before it fills pool ${to}: make room there, and import it again`);
}

async function writeAll(copy: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await copy.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}
