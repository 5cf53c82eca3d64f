// Executes the methods about moves, copies, imports and jobs, and makes the objects that execute the jobs. Other files in this folder begin
// copies and images. Invariants: a client sees and cancels only its own jobs, and an administrator sees and cancels all jobs; a job begins
// in the queue of changes, after its checks.

import { randomUUID } from 'node:crypto';
import type { HandlersOf } from '@rsio/common/control/control-server';
import type { JOB_METHODS } from '@rsio/api/rssrv/job-methods';
import type { JobView } from '@rsio/api/views/views';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { checkNotCopied } from '../copies/copy-rules.ts';
import { CopySources, type Exclusive } from '../copies/copy-source.ts';
import { type GuardedPlaces } from '../copies/file-place.ts';
import { type CheckImage, type Convert, Programs, type ProgramUser } from '../copies/program.ts';
import { ToFile } from '../copies/to-file.ts';
import { ToNbd } from '../copies/to-nbd.ts';
import { ToVolume } from '../copies/to-volume.ts';
import { checkNotRead, VolumeCopies } from '../copies/volume-copies.ts';
import { FromImage } from '../images/from-image.ts';
import { ToImage } from '../images/to-image.ts';
import { isOpen, volumeIdsOf } from '../job-plan.ts';
import type { ImportState, JobRecord } from '../job-record.ts';
import { Jobs, type JobsPorts } from '../jobs.ts';
import { type ChangedData, changedData } from '../moves/changed-data.ts';
import { decideMove } from '../moves/move-rules.ts';
import { punchHole } from '../moves/punch-hole.ts';
import { VolumeMoves } from '../moves/volume-moves.ts';
import type { VolumeSwitch } from '../moves/volume-switch.ts';
import type { Asker } from '../../pools/asker.ts';
import { findVolume, type VolumeName, volumeText } from '../../pools/catalogue.ts';
import type { RangeCalls } from '../../pools/disk/data-file.ts';
import type { PoolVerbs } from '../../pools/pool-verbs.ts';
import { systemReflink } from '../../pools/snapshots/reflink.ts';
import type { Changes } from '../../pools/requests/requests.ts';
import type { SnapshotVerbs } from '../../snapshots/snapshot-verbs.ts';
import { decidePartMove } from '../moves/part-rules.ts';
import { CopyHandlers, exportTarget, type JobLimits } from './copy-handlers.ts';
import { importedFrom } from '../copies/import-source.ts';
import { VolumeImports, type WantedImport } from '../copies/volume-imports.ts';
import { ImageJobs } from './image-jobs.ts';
import { type BegunJob, inPool, isInPool, NewJobs } from './new-jobs.ts';
import type { Triggers } from '@rsio/common/triggers/triggers';

export interface JobServicePorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** Path of the file with the jobs. */
  readonly file: string;
  readonly verbs: PoolVerbs;
  readonly snapshots: SnapshotVerbs;
  readonly triggers: Pick<Triggers, 'around'>;
  readonly volumeSwitch: Pick<VolumeSwitch, 'disputedMs' | 'run' | 'settle'>;
  readonly exclusive: Exclusive;
  /** Returns the user of programs that jobs start; null if the programs run as the user of this process. */
  readonly programUser: () => ProgramUser | null;
  /** Returns the names of the volumes that are in no pool, and the paths of their files. */
  volumeFiles(): GuardedPlaces['volumes'];
  /** Called after each step of a copy to a file. */
  readonly reached: (step: string) => void;
  /** Runs the conversion program; if missing, jobs run qemu-img. */
  readonly convert?: Convert;
  /** Checks qcow2 files; if missing, jobs run qemu-img. */
  readonly check?: CheckImage;
  /** Calls with which an import clones files. If missing, imports use the calls of this machine. */
  readonly importRanges?: RangeCalls;
  /** Calls that compare files and make holes. If missing, jobs use the calls of this machine. */
  readonly data?: CopyMeans;
  /** Returns an asker with its current rights: the client `node`, or an administrator on the server if `node` is null. */
  readonly askerOf: (node: string | null) => Asker;
}

/** Calls that compare files and make holes. */
export interface CopyMeans {
  readonly changedData: ChangedData;
  readonly punch: (descriptor: number, offsetBytes: number, lengthBytes: number) => Promise<boolean>;
}

export class JobService {
  readonly jobs: Jobs;
  private readonly moves: VolumeMoves;
  private readonly copies: VolumeCopies;
  private readonly newJobs: NewJobs;
  private readonly copyHandlers: CopyHandlers;
  private readonly imports: VolumeImports;
  private readonly ports: JobServicePorts;
  readonly images: ImageJobs;

  constructor(ports: JobServicePorts) {
    const { clock, log, verbs, snapshots, triggers, exclusive, askerOf, reached, programUser: user } = ports;
    const { pools } = verbs;
    this.ports = ports;
    const data = ports.data ?? systemMeans();
    this.moves = new VolumeMoves({
      clock,
      log,
      verbs,
      ...data,
      exclusive,
      volumeSwitch: ports.volumeSwitch,
      moving: () => new Set(this.jobs.list.filter(isOpen).flatMap(volumeIdsOf)),
    });
    const programs = new Programs(clock);
    const { convert = programs.convert, check = programs.check } = ports;
    const guarded = (): GuardedPlaces => ({ pools: pools.states, volumes: ports.volumeFiles() });
    const copying = { clock, verbs, ...data, exclusive, askerOf };
    const toFile = new ToFile({ clock, log, convert, check, user, guarded, reached });
    this.copies = new VolumeCopies(log, new CopySources(pools, snapshots, triggers, exclusive, log), {
      volume: new ToVolume(copying),
      image: new ToImage(copying, snapshots, log),
      restore: new FromImage(copying, snapshots),
      file: toFile,
      nbd: new ToNbd(clock, convert, user),
    });
    this.imports = new VolumeImports({ ...copying, convert, check, user, guarded, ranges: ports.importRanges ?? systemReflink().ranges });
    const runs = { move: this.moves, copy: this.copies, import: this.imports };
    const run: JobsPorts['run'] = (job) => runs[job.record.kind].run(job);
    this.jobs = new Jobs({ clock, log, file: ports.file, run });
    this.newJobs = new NewJobs(this.jobs, verbs.pools, clock, log);
    this.copyHandlers = new CopyHandlers(verbs, this.newJobs, toFile);
    this.images = new ImageJobs(this.newJobs, verbs, snapshots, triggers, log);
  }

  get views(): readonly JobView[] {
    return this.jobs.list.map((job) => this.newJobs.view(job));
  }

  /** Starts the jobs. The pools must be open. */
  async start(): Promise<void> {
    // The sweep is not awaited, because the folder of a target file may hang. Each job also deletes its own temporary file.
    void this.copies.sweep(this.jobs.list);
    await this.moves.sweep();
    this.jobs.start();
  }

  /** Throws E_HELD if a job copies this snapshot. `name` is the text for the error, such as `oracle@monday`. */
  checkNotRead(snapshotId: string, name: string): void {
    checkNotRead(this.jobs.list, snapshotId, name);
  }

  /** Throws E_HELD if a job copies this volume. */
  checkNotCopied(volumeId: string | null): void {
    const job = this.jobs.list.find((one) => isOpen(one) && one.kind === 'copy' && one.volumeId === volumeId);
    if (job !== undefined)
      throw new RsError('E_HELD', `Volume ${job.name} is being copied by job ${job.id}: wait for it, or cancel it`, { job: job.id });
  }

  /** Returns the ids of the jobs of a client that have not ended. */
  openIdsOf(node: string): readonly string[] {
    return this.jobs.list.filter((job) => isOpen(job) && job.by === node).map(({ id }) => id);
  }

  /** Returns the ids of the jobs that have not ended and use one of the volumes, or write to the pool. `id` is null for a closed pool. */
  idsIn({ name, id }: { readonly name: string; readonly id: string | null }, volumeIds: ReadonlySet<string>): readonly string[] {
    return this.jobs.list
      .filter(
        (job) => isOpen(job) && ((id === null ? job.to === name : job.toId === id) || volumeIdsOf(job).some((id) => volumeIds.has(id))),
      )
      .map((job) => job.id);
  }

  /** Returns the methods about jobs for one asker. `changes` is the queue of changes, with the limits of the asker. */
  handlers(asker: Asker, changes: Changes): HandlersOf<typeof JOB_METHODS> {
    const mine = (job: JobRecord): boolean => asker.seesAll || job.by === asker.node;
    const find = (id: string): JobRecord => {
      if (asker.node === null) return this.jobs.find(id);
      const job = this.jobs.list.find((one) => one.id === id);
      if (job !== undefined && mine(job)) return job;
      throw new RsError('E_UNKNOWN_JOB', `No job ${id}: a client sees the jobs that it asked for`, { job: id });
    };
    // A job that reads or writes files of the server is changed by those who may begin one.
    const changed = (id: string): JobRecord => {
      const job = find(id);
      if (job.kind === 'import' || job.toId === '') asker.needs('admin', 'change jobs that read or write files of the server');
      return job;
    };
    // A repeated request gets the job that the first request began, before any checks.
    const begin = async (
      volume: VolumeName,
      verb: string,
      request: string | null,
      work: () => Promise<BegunJob>,
    ): Promise<{ job: JobView }> => {
      const begun = await changes.run(
        async () => {
          const job = this.newJobs.begunBy(request);
          return job === null ? work() : { job, moreBytes: 0 };
        },
        `volume ${volumeText(volume)}, which begins to be ${verb}`,
      );
      return { job: this.newJobs.begunView(begun) };
    };
    return {
      'job-list': ({ id }) => ({ jobs: (id === null ? this.jobs.list.filter(mine) : [find(id)]).map((job) => this.newJobs.view(job)) }),
      'job-cancel': async ({ id }) => ({ job: this.newJobs.view(await this.jobs.cancel(changed(id).id)) }),
      'job-limit': async ({ id, limitBytes }) => {
        checkLimitable(changed(id));
        return { job: this.newJobs.view(await this.jobs.limit(id, limitBytes)) };
      },
      'volume-move': ({ name, universe, from, pool, limitBytes, request }) =>
        begin({ name, universe }, 'moved', request, () =>
          this.beginMove({ name, universe }, { from, pool }, { limitBytes, request }, asker),
        ),
      'volume-copy': ({ name, universe, snapshot, newName, newUniverse, pool, limitBytes, request }) => {
        const to = { name: newName, universe: newUniverse };
        const limits = { limitBytes, request };
        return begin({ name, universe }, 'copied', request, () =>
          this.copyHandlers.copy({ name, universe, snapshot }, to, pool, limits, asker),
        );
      },
      'volume-export': async ({ name, universe, snapshot, target, format, force, limitBytes, request }) => {
        const to = exportTarget(target, format, force);
        if (this.newJobs.begunBy(request) === null) await this.copyHandlers.checkExport({ name, universe, snapshot }, to, asker);
        const limits = { limitBytes, request };
        return begin({ name, universe }, 'copied', request, () =>
          this.copyHandlers.export({ name, universe, snapshot }, to, limits, asker),
        );
      },
      'volume-import': async ({ source, format, name, universe, pool, blockSizeBytes, limitBytes, request }) => {
        asker.needs('admin', 'import files');
        if (blockSizeBytes !== 512 && blockSizeBytes !== 4096)
          throw new RsError('E_USAGE', `Wrong block size ${blockSizeBytes}: allowed is 512 or 4096`);
        const wanted = { source: importedFrom(source, format), name, universe, pool, blockSizeBytes } as const;
        // The source file may hang, so it is inspected outside of the queue of changes. The job inspects the file again.
        const seen = this.newJobs.begunBy(request) === null ? await this.imports.look(wanted) : null;
        return begin({ name, universe }, 'imported', request, () => this.beginImport(wanted, seen, { limitBytes, request }, asker));
      },
    };
  }

  private async beginImport(
    wanted: WantedImport,
    seen: Awaited<ReturnType<VolumeImports['look']>>,
    { limitBytes, request }: JobLimits,
    asker: Asker,
  ): Promise<BegunJob> {
    await this.ports.verbs.pools.measure();
    const id = randomUUID();
    const pool = await this.imports.poolFor(wanted, seen, id, asker);
    const isSame = ({ import: other }: JobRecord): boolean => other?.name === wanted.name && other.universe === wanted.universe;
    checkNotCopied(this.jobs.list, isSame, `volume ${volumeText(wanted)}`);
    const { source, name, universe, blockSizeBytes } = wanted;
    const job = await this.newJobs.import(id, { source, name, universe, blockSizeBytes }, inPool(pool, limitBytes, request), asker);
    return { job, moreBytes: seen?.sizeBytes ?? 0 };
  }

  /** Begins a move. If `from` is not null, the files that the volume has in the pool `from` move; otherwise the whole volume moves. */
  private async beginMove(
    volume: VolumeName,
    { from, pool: to }: { readonly from: string | null; readonly pool: string },
    { limitBytes, request }: JobLimits,
    asker: Asker,
  ): Promise<BegunJob> {
    asker.needs('manage', 'move volumes');
    await this.ports.verbs.pools.measure();
    const { catalogue } = this.ports.verbs;
    const found = findVolume(catalogue, volume, asker);
    if (from !== null && found.manifest.layout.kind !== 'simple') {
      const { source, target, part } = decidePartMove(catalogue, found, from, to, asker);
      const homeId = found.pool.identity?.id ?? '';
      const what = { ...inPool(target, limitBytes, request), kind: 'move', homeId } as const;
      return { job: await this.newJobs.begin({ ...found, pool: source }, what, asker), moreBytes: part.sizeBytes };
    }
    const target = decideMove(catalogue, found, to, asker);
    if (from !== null && from !== found.pool.name)
      throw new RsError(
        'E_USAGE',
        `Volume ${volumeText(volume)} is in pool ${found.pool.name}, and not in pool ${from}: leave --from away`,
      );
    const job = await this.newJobs.begin(found, { ...inPool(target, limitBytes, request), kind: 'move' }, asker);
    return { job, moreBytes: found.manifest.sizeBytes };
  }
}

function systemMeans(): CopyMeans {
  const { ranges } = systemReflink();
  return { changedData: changedData(ranges), punch: punchHole };
}

/** Throws E_USAGE if a program does the work of the job, because the limit of a program cannot change after its start. */
function checkLimitable({ id, state, copy, import: imported }: JobRecord): void {
  const isOfProgram = imported === undefined ? copy !== undefined && !isInPool(copy.target) : !isRaw(imported);
  if (!isOfProgram || state !== 'running') return;
  throw new RsError(
    'E_USAGE',
    `Job ${id} copies with qemu-img, whose limit is set when it begins: cancel the job, and begin it again with --limit`,
    {
      job: id,
    },
  );
}

function isRaw({ source }: ImportState): boolean {
  return source.kind === 'file' && source.format === 'raw';
}
