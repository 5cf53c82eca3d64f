// Executes the methods about moves, copies and jobs, and puts together what they need. Invariants: a client sees and ends the jobs that it asked
// for, and an administrator all of them; a job begins only after the change queue has checked that it can; only programs on the server make
// it write files or connect to other servers.

import { randomBytes, randomUUID } from 'node:crypto';
import type { HandlersOf } from '@rsio/common/control/control-server';
import type { JOB_METHODS } from '@rsio/common/control/server/job-methods';
import type { JobView } from '@rsio/common/control/server/views';
import type { Clock } from '@rsio/common/lib/clock';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import type { Log } from '@rsio/common/log/log';
import { checkNotCopied, checkSource, decideCopy } from '../copies/copy-rules.ts';
import { CopySources } from '../copies/copy-source.ts';
import { type GuardedPlaces, formatOf } from '../copies/file-place.ts';
import { type Convert, Programs, type ProgramUser } from '../copies/program.ts';
import { ToFile } from '../copies/to-file.ts';
import { nbdPlace, ToNbd } from '../copies/to-nbd.ts';
import { ToVolume } from '../copies/to-volume.ts';
import { checkNotRead, VolumeCopies } from '../copies/volume-copies.ts';
import { decideCopiedRefresh, decideImage, findPairs, isInOtherPool } from '../images/image-rules.ts';
import { ToImage } from '../images/to-image.ts';
import { isOpen, jobText, volumeIdsOf } from '../jobs/job-plan.ts';
import type { CopyState, CopyTarget, ImageFormat, JobRecord } from '../jobs/job-record.ts';
import { Jobs, type JobsPorts } from '../jobs/jobs.ts';
import { type ChangedData, changedData } from '../moves/changed-data.ts';
import { decideMove } from '../moves/move-rules.ts';
import { punchHole } from '../moves/punch-hole.ts';
import { VolumeMoves } from '../moves/volume-moves.ts';
import { VolumeSwitch, type VolumeSwitchPorts } from '../moves/volume-switch.ts';
import { type Asker, checkRole, LOCAL_ASKER } from '../pools/asker.ts';
import { findVolume, type Found, type NamedVolume, type PoolState, type VolumeName, volumeText } from '../pools/catalogue.ts';
import type { PoolVerbs } from '../pools/pool-verbs.ts';
import type { Pools } from '../pools/pools.ts';
import { systemReflink } from '../pools/snapshots/reflink.ts';
import type { Changes } from '../requests/requests.ts';
import { findSnapshot, type FoundSnapshot, snapshotsOf } from '../snapshots/snapshot-rules.ts';
import type { SnapshotVerbs } from '../snapshots/snapshot-verbs.ts';
import type { Triggers } from '../triggers/triggers.ts';

export interface JobServicePorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** The file with the jobs. */
  readonly file: string;
  readonly pools: Pools;
  readonly verbs: PoolVerbs;
  readonly snapshots: SnapshotVerbs;
  readonly triggers: Pick<Triggers, 'around'>;
  readonly volumeSwitch: VolumeSwitchPorts;
  /** Volumes of sections [volume]. */
  configured(): readonly NamedVolume[];
  /** Executes a change of the server itself when no other one is in progress. */
  exclusive<T>(change: () => Promise<T>, what: string): Promise<T>;
  /** As whom programs run. Null: as the user of this process. */
  programUser(): ProgramUser | null;
  /** Files of volumes that are in no pool. */
  volumeFiles(): GuardedPlaces['volumes'];
  /** Called after each step of a copy to a file. */
  readonly reached: (step: string) => void;
  /** Default: qemu-img. */
  readonly convert?: Convert;
  /** How files are compared and copied. Default: as this machine can. */
  readonly data?: CopyMeans;
  /** A client with its present rights. Null: an administrator on the server. */
  askerOf(node: string | null): Asker;
}

/** Null: this machine cannot tell what differs between files. */
export interface CopyMeans {
  readonly changedData: ChangedData | null;
  readonly punch: (descriptor: number, offsetBytes: number, lengthBytes: number) => Promise<boolean>;
}

/** What a person wants to copy: a volume, or a snapshot of it. */
interface Wanted extends VolumeName {
  readonly snapshot: string | null;
}

/** An image to make. `pool`: null for that of the volume. */
export interface NewImage extends VolumeName {
  readonly newUniverse: number;
  readonly pool: string | null;
  readonly limitBytes: number | null;
}

type ImageTarget = Extract<CopyTarget, { kind: 'image' }>;

interface ImageOrder {
  readonly source: Found;
  readonly pool: PoolState;
  readonly target: ImageTarget;
}

export class JobService {
  readonly jobs: Jobs;
  private readonly moves: VolumeMoves;
  private readonly copies: VolumeCopies;
  private readonly ports: JobServicePorts;

  constructor(ports: JobServicePorts) {
    const { clock, log, pools, verbs, snapshots, triggers } = ports;
    this.ports = ports;
    const data = ports.data ?? systemMeans();
    const exclusive: JobServicePorts['exclusive'] = (change, what) => ports.exclusive(change, what);
    this.moves = new VolumeMoves({
      ...{ clock, log, pools, verbs, ...data, exclusive },
      volumeSwitch: new VolumeSwitch(ports.volumeSwitch),
      configured: () => ports.configured(),
      moving: () => new Set(this.jobs.list.filter(isOpen).flatMap(volumeIdsOf)),
    });
    const convert = ports.convert ?? new Programs(clock).convert;
    const user = (): ProgramUser | null => ports.programUser();
    const guarded = (): GuardedPlaces => ({ pools: pools.states, volumes: ports.volumeFiles() });
    const copying = {
      ...{ clock, pools, verbs, ...data, exclusive },
      catalogue: () => this.moves.catalogue,
      askerOf: (node: string | null) => ports.askerOf(node),
    };
    this.copies = new VolumeCopies({
      log,
      sources: new CopySources({ log, snapshots, triggers, exclusive, pools: () => pools.states }),
      toVolume: new ToVolume(copying),
      toImage: new ToImage({ ...copying, log, snapshots }),
      toFile: new ToFile({ ...{ clock, log, convert, user, guarded }, reached: (step) => ports.reached(step) }),
      toNbd: new ToNbd({ clock, convert, user }),
    });
    const run: JobsPorts['run'] = (job) => (job.record.kind === 'move' ? this.moves.run(job) : this.copies.run(job));
    this.jobs = new Jobs({ clock, log, file: ports.file, run });
  }

  /** Lets the jobs run, when the pools are open. */
  async start(): Promise<void> {
    // The folder of a file may hang, and each job also deletes its own rest.
    void this.copies.sweep(this.jobs.list);
    await this.moves.sweep();
    this.jobs.start();
  }

  /** Throws E_HELD if a job copies this snapshot. `name`: such as `oracle@monday`. */
  checkNotRead(snapshotId: string, name: string): void {
    checkNotRead(this.jobs.list, snapshotId, name);
  }

  /** Throws E_HELD if a job copies this volume. */
  checkNotCopied(volumeId: string | null): void {
    const job = this.jobs.list.find((one) => isOpen(one) && one.kind === 'copy' && one.volumeId === volumeId);
    if (job !== undefined)
      throw new RsError('E_HELD', `Volume ${job.name} is being copied by job ${job.id}: wait for it, or cancel it`, { job: job.id });
  }

  /** `changes`: the queue of changes, with the limits of the asker. */
  orders(asker: Asker, changes: Changes): HandlersOf<typeof JOB_METHODS> {
    const mine = (job: JobRecord): boolean => asker.role === 'admin' || (asker.node !== null && job.by === asker.node);
    const find = (id: string): JobRecord => {
      const job = this.jobs.find(id);
      if (mine(job)) return job;
      throw new RsError('E_UNKNOWN_JOB', `No job ${id}: a client sees the jobs that it asked for`, { job: id });
    };
    const begin = async (volume: VolumeName, verb: string, work: () => Promise<JobRecord>): Promise<{ job: JobView }> => {
      const job = await changes.run(work, `volume ${volumeText(volume)}, which begins to be ${verb}`);
      return { job: this.view(job) };
    };
    return {
      'job-list': ({ id }) => ({ jobs: (id === null ? this.jobs.list.filter(mine) : [find(id)]).map((job) => this.view(job)) }),
      'job-cancel': async ({ id }) => ({ job: this.view(await this.jobs.cancel(find(id).id)) }),
      'job-limit': async ({ id, limitBytes }) => {
        checkLimitable(find(id));
        return { job: this.view(await this.jobs.limit(id, limitBytes)) };
      },
      'volume-move': ({ name, universe, pool, limitBytes }) =>
        begin({ name, universe }, 'moved', () => this.beginMove({ name, universe }, pool, limitBytes, asker)),
      'volume-copy': ({ name, universe, snapshot, newName, newUniverse, pool, limitBytes }) => {
        const to = { name: newName, universe: newUniverse };
        return begin({ name, universe }, 'copied', () => this.beginCopy({ name, universe, snapshot }, to, pool, limitBytes, asker));
      },
      'volume-export': ({ name, universe, snapshot, target, format, force, limitBytes }) => {
        const to = exportTarget(target, format, force);
        return begin({ name, universe }, 'copied', () => this.beginExport({ name, universe, snapshot }, to, limitBytes, asker));
      },
    };
  }

  private async beginMove(volume: VolumeName, to: string, limitBytes: number | null, asker: Asker): Promise<JobRecord> {
    checkRole(asker, 'manage', 'move volumes');
    await this.ports.pools.measure();
    const { catalogue } = this.moves;
    const found = findVolume(catalogue, volume);
    const target = decideMove(catalogue, found, to, asker);
    const place = { to: target.name, toId: target.identity?.id ?? '', limitBytes };
    return this.begin({ ...this.newRecord(found, asker), ...place, kind: 'move' });
  }

  private async beginCopy(
    wanted: Wanted,
    to: VolumeName,
    toPool: string | null,
    limitBytes: number | null,
    asker: Asker,
  ): Promise<JobRecord> {
    checkRole(asker, 'manage', 'copy volumes');
    await this.ports.pools.measure();
    const { catalogue } = this.moves;
    const found = this.sourceOf(wanted, asker);
    const id = randomUUID();
    const { pool } = decideCopy(catalogue, found, found.record ?? found.manifest, { ...to, id, pool: toPool }, asker, 0);
    const isSame = ({ copy }: JobRecord): boolean =>
      copy !== undefined && isInPool(copy.target) && copy.target.name === to.name && copy.target.universe === to.universe;
    checkNotCopied(this.jobs.list, isSame, `volume ${volumeText(to)}`);
    const place = { to: pool.name, toId: pool.identity?.id ?? '', limitBytes };
    const copy = this.newCopy(found, { kind: 'volume', id, ...to });
    return this.begin({ ...this.newRecord(found, asker), ...place, kind: 'copy', copy });
  }

  private async beginExport(
    wanted: Wanted,
    target: Exclude<CopyTarget, InPool>,
    limitBytes: number | null,
    asker: Asker,
  ): Promise<JobRecord> {
    checkRole(asker, 'admin', 'copy volumes to files and NBD servers');
    const found = this.sourceOf(wanted, asker);
    const to = target.kind === 'file' ? target.path : target.uri;
    if (target.kind === 'file') await this.copies.checkFile(target);
    checkNotCopied(this.jobs.list, (job) => job.kind === 'copy' && job.to === to, to);
    return this.begin({ ...this.newRecord(found, asker), to, toId: '', limitBytes, kind: 'copy', copy: this.newCopy(found, target) });
  }

  /** Begins a job that makes an image in another pool. Returns null if the pool is that of the volume. */
  async image(wanted: NewImage, asker: Asker, changes: Changes): Promise<JobView | null> {
    checkRole(asker, 'manage', 'make images');
    await this.ports.pools.measure();
    const { clock } = this.ports;
    const { name, universe, newUniverse, pool: into, limitBytes } = wanted;
    const stamp = { id: randomUUID(), newId: randomUUID, request: null, nowMs: clock.wallMs() };
    const { source, pool, manifest } = decideImage(this.moves.catalogue, { name, universe }, newUniverse, into, asker, stamp);
    if (pool.name === source.pool.name) return null;
    const target = { kind: 'image' as const, id: manifest.id, name, universe: newUniverse, refresh: manifest.image.refresh, isNew: true };
    const [job = null] = await this.beginImages([{ source, pool, target }], limitBytes, asker, changes);
    return job;
  }

  /** Begins jobs that refresh images from other pools, all to one moment. Returns null if all are in the pool of their volume. */
  async refresh(
    wanted: readonly VolumeName[],
    limitBytes: number | null,
    asker: Asker,
    changes: Changes,
  ): Promise<readonly JobView[] | null> {
    checkRole(asker, 'manage', 'refresh images');
    await this.ports.pools.measure();
    const { catalogue } = this.moves;
    const pairs = findPairs(catalogue, wanted, asker);
    const others = pairs.filter(isInOtherPool);
    if (others.length === 0) return null;
    if (others.length < pairs.length)
      throw new RsError(
        'E_USAGE',
        `Of these images, ${others.map(({ image }) => volumeText(image.manifest)).join(', ')} are in other pools than their volumes, and the others not: ` +
          'refresh them with two commands',
      );
    const ofOne = others.find(({ source }, index) => others.findIndex((other) => other.source.manifest.id === source.manifest.id) < index);
    if (ofOne !== undefined)
      throw new RsError(
        'E_USAGE',
        `Two of these images, in other pools, are of volume ${volumeText(ofOne.source.manifest)}: refresh them one after the other`,
      );
    const all = others.map(({ image: { pool, manifest }, source }) => {
      decideCopiedRefresh(catalogue, manifest, source, asker);
      this.ports.verbs.checkUnheld({ pool, manifest });
      const { id, name, universe } = manifest;
      return { source, pool, target: { kind: 'image' as const, id, name, universe, refresh: randomUUID(), isNew: false } };
    });
    return this.beginImages(all, limitBytes, asker, changes);
  }

  /** Makes snapshots of the volumes at one moment, and jobs that copy them. */
  private async beginImages(all: readonly ImageOrder[], limitBytes: number | null, asker: Asker, changes: Changes): Promise<JobView[]> {
    const { snapshots, triggers } = this.ports;
    for (const { target } of all) this.checkFree(target);
    const snapshot = `image-${randomBytes(6).toString('hex')}`;
    const wanted = all.map(({ source: { manifest } }) => ({ name: manifest.name, universe: manifest.universe, snapshot }));
    const what = `snapshots ${snapshot}, which are being made for images`;
    const make = (): Promise<readonly FoundSnapshot[]> => changes.run(() => snapshots.snapshot(wanted, LOCAL_ASKER, null), what);
    const made = await triggers.around({ snapshots: wanted, by: asker.node, isScheduled: false }, make);
    const begun: JobRecord[] = [];
    try {
      await changes.run(async () => {
        for (const [index, { pool, target }] of all.entries()) {
          this.checkFree(target);
          const found = made[index]!;
          const copy: CopyState = { ...this.newCopy(found, target), isOwn: true };
          const place = { to: pool.name, toId: pool.identity?.id ?? '', limitBytes };
          begun.push(await this.begin({ ...this.newRecord(found, asker), ...place, kind: 'copy', copy }));
        }
      }, `images, whose copies begin`);
    } catch (thrown) {
      // All of them are brought to the moment, or none.
      for (const { id } of begun) await this.jobs.cancel(id).catch(() => undefined);
      for (const name of wanted.slice(begun.length))
        await changes
          .run(() => snapshots.remove(name, LOCAL_ASKER, null), what)
          .catch((failure: unknown) =>
            this.ports.log.warn(`Snapshot ${name.snapshot} of volume ${name.name} stays: ${toRsError(failure).message}`),
          );
      throw thrown;
    }
    return begun.map((job) => this.view(job));
  }

  /** Throws E_BUSY if another job makes this image. */
  private checkFree(target: ImageTarget): void {
    const isSame = ({ copy }: JobRecord): boolean =>
      copy !== undefined &&
      isInPool(copy.target) &&
      (copy.target.id === target.id || (copy.target.name === target.name && copy.target.universe === target.universe));
    checkNotCopied(this.jobs.list, isSame, `volume ${volumeText(target)}`);
  }

  /** Finds what is to be copied. Throws unless the asker may copy it. */
  private sourceOf({ name, universe, snapshot }: Wanted, asker: Asker): Found & Partial<Pick<FoundSnapshot, 'record'>> {
    const { catalogue } = this.moves;
    const found =
      snapshot === null
        ? findVolume(catalogue, { name, universe })
        : findSnapshot(catalogue, { name, universe, snapshot }, asker, 'copy snapshots');
    checkSource(catalogue, found, asker);
    return found;
  }

  private newCopy(found: Found & Partial<Pick<FoundSnapshot, 'record'>>, target: CopyTarget): CopyState {
    const taken = new Set(snapshotsOf(found).list.map(({ name }) => name));
    let own = '';
    do own = `copy-${this.jobs.nextId}-${randomBytes(4).toString('hex')}`;
    while (taken.has(own));
    const { record } = found;
    const source = record === undefined ? { snapshot: own, snapshotId: null } : { snapshot: record.name, snapshotId: record.id };
    return { target, ...source, isOwn: record === undefined, copyStamp: null, positionBytes: 0, part: null, end: null };
  }

  private newRecord({ pool, manifest }: Found, asker: Asker): Omit<JobRecord, 'kind' | 'to' | 'toId' | 'limitBytes'> {
    return {
      ...{ id: this.jobs.nextId, volumeId: manifest.id, name: volumeText(manifest), universe: manifest.universe },
      ...{ from: pool.name, fromId: pool.identity?.id ?? '' },
      ...{ by: asker.node, createdMs: this.ports.clock.wallMs(), endedMs: null, state: 'waiting', reason: null },
      ...{ rounds: 0, doneBytes: 0, totalBytes: 0, move: null },
    };
  }

  private async begin(wanted: JobRecord): Promise<JobRecord> {
    const job = await this.jobs.add(wanted);
    const who = job.by === null ? 'an administrator on the server' : `client ${job.by}`;
    this.ports.log.info(`Job ${job.id}, ${jobText(job)}, begins, by ${who}`, { volume: job.name, audit: true });
    return job;
  }

  private view({ copy, ...job }: JobRecord): JobView {
    const { volumeId: _volume, fromId: _from, toId: _to, move: _move, ...shown } = job;
    const target = copy?.target;
    return {
      ...shown,
      snapshot: copy === undefined || copy.isOwn ? null : copy.snapshot,
      newName: target !== undefined && isInPool(target) ? volumeText(target) : null,
      target: target === undefined || isInPool(target) ? 'pool' : target.kind,
      afterRestart: target === undefined || isInPool(target) ? 'goes on' : 'starts over',
      bytesPerSecond: this.jobs.bytesPerSecond(job.id),
    };
  }
}

function systemMeans(): CopyMeans {
  const { ranges } = systemReflink();
  return { changedData: ranges === null ? null : changedData(ranges), punch: punchHole };
}

type InPool = Extract<CopyTarget, { kind: 'volume' | 'image' }>;

function isInPool(target: CopyTarget): target is InPool {
  return target.kind === 'volume' || target.kind === 'image';
}

/** A program keeps the limit with which it was started. */
function checkLimitable({ id, state, copy }: JobRecord): void {
  if (copy === undefined || isInPool(copy.target) || state !== 'running') return;
  throw new RsError('E_USAGE', `Job ${id} copies with qemu-img, whose limit is set when it begins: cancel the job, and copy with --limit`, {
    job: id,
  });
}

/** Throws E_USAGE. `target`: an absolute path, or an NBD URI. */
function exportTarget(target: string, format: ImageFormat | null, isForced: boolean): Exclude<CopyTarget, InPool> {
  if (target.startsWith('/')) return { kind: 'file', path: target, format: formatOf(target, format), isForced };
  nbdPlace(target);
  if (format !== null) throw new RsError('E_USAGE', 'A copy to an NBD server has no format: leave --format away');
  return { kind: 'nbd', uri: target };
}
