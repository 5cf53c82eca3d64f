// The commands of rsadm and rsconfig about moves and jobs. rssrv decides whether a volume can move, and moves the volume. Invariants: each
// command that changes something sends an id with its request. A job continues after the command that waits for the job is interrupted.

import { sleep } from '@rsio/base/lib/waiting';
import { type Command, JSON_OPTION, makeCommand, printJson, usageError, WAIT_OPTION } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { JOB, type JobView, type Progress } from '../../views/views.ts';
import { object } from '@rsio/base/lib/shape';
import { RsError } from '@rsio/base/lib/errors';
import { ProgressShower } from '../progress-shower.ts';
import { progressOfJob, progressText } from '../../views/progress.ts';
import type { VolumeDoor, VolumeProgram, VolumeTarget } from './door.ts';
import { JOB_LOOK_MS } from './limits.ts';
import { poolNameOf, sizeOf } from '../../views/values.ts';

type JobCommand = Command<VolumeDoor>;

export function moveCommand(given: VolumeProgram): JobCommand {
  const { program, jobs: words } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume move' },
    synopsis: 'volume move NAME [--from Q] --pool P [--limit RATE]\n[--wait[=T] | --background]',
    summary: 'moves a volume to another pool, even while clients use it',
    details: `A job on the server copies the volume, and then, in rounds, the data that
clients have written since the last round, until little is left. The clients
then wait for a moment, and continue in the new pool. Until that moment, the
volume is in the old pool, and a cancelled job leaves nothing in the new pool.
The job continues after a restart of the server. The command waits for the end
of the job, and shows its progress; Ctrl-C ends only the command. With
--background, the command does not wait. The old pool needs a file system with
reflink. If the volume has snapshots, they move too, and the new pool also needs
reflink. For a volume over several pools, the job moves the files in pool Q, one
after the other. The first file never moves, because it is in the home of the
volume.`,
    options: {
      from: { kind: 'text', value: 'Q', help: 'for a volume over several pools: move its files in pool Q' },
      pool: { kind: 'text', value: 'P', help: 'pool to which the volume moves' },
      limit: { kind: 'text', value: 'RATE', help: 'copy at most RATE bytes per second, such as 100m' },
      wait: WAIT_OPTION,
      background: { kind: 'flag', help: 'do not wait for the end of the job' },
      json: JSON_OPTION,
    },
    json: object({ ...given.place, job: JOB }),
    operands: { min: 1, max: 1 },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { from, pool, limit, wait, background, json }, [name = '']) => {
      if (pool === null) throw usageError('No pool: give --pool P', program);
      checkWaiting({ wait, background }, program);
      const [to, limitBytes] = [poolNameOf('--pool', pool, program), limit === null ? null : sizeOf('--limit', limit, program)];
      const leaves = from === null ? null : poolNameOf('--from', from, program);
      const target = await door.find(name, 'change');
      const { job } = await target.call('volume-move', { ...target.volume, from: leaves, pool: to, limitBytes, request: door.newId() });
      const label = target.label(target.volume);
      await followJob(
        door,
        target,
        job,
        { wait, background, json, shows: `${program} ${words}` },
        {
          begins:
            leaves === null
              ? `${label} moves from pool ${job.from} to pool ${job.to}`
              : `${label}: its files in pool ${job.from} move to pool ${job.to}`,
          done: leaves === null ? `${label} is now in pool ${job.to}` : `${label}: its files of pool ${job.from} are now in pool ${job.to}`,
          undone: 'the volume is where it was',
        },
      );
      return undefined;
    },
  });
}

/** Throws E_USAGE if the options contradict each other. */
export function checkWaiting({ wait, background }: { readonly wait: number | null; readonly background: boolean }, program: string): void {
  if (wait !== null && background) throw usageError('Both --wait and --background are given: give one of them', program);
}

export interface FollowOptions {
  readonly wait: number | null;
  readonly background: boolean;
  readonly json: boolean;
  /** The command that lists jobs. */
  readonly shows: string;
}

/** Messages for three occasions: the job has begun, the job is done, and the job has ended without success and without a reason. */
export interface JobTexts {
  readonly begins: string;
  readonly done: string;
  readonly undone: string;
}

/**
 * Waits for the end of a job, unless `background` is set. Throws E_BUSY if the job has ended without success, and E_TIMEOUT if the job
 * still runs after the wait.
 */
export async function followJob(
  door: VolumeDoor,
  target: VolumeTarget,
  job: JobView,
  { wait, background, json, shows }: FollowOptions,
  { begins, done, undone }: JobTexts,
): Promise<void> {
  if (job.overcommit !== undefined) door.note(job.overcommit);
  if (background) {
    if (json) printJson(door, { ...target.place, job });
    else door.out(toText([`Job ${job.id}: ${begins}; ${shows} ${job.id} shows its progress`]));
    return;
  }
  const last = await ended(door, target, job.id, { wait, shows });
  if (json) printJson(door, { ...target.place, job: last });
  checkDone(last, undone);
  if (!json) door.out(toText([done]));
}

/** Throws E_BUSY if the job has ended without success. */
export function checkDone({ id, state, reason, endedMs }: JobView, undone: string): void {
  if (endedMs === null || state === 'done') return;
  throw new RsError('E_BUSY', `Job ${id} ${state === 'failed' ? 'has failed' : `is ${state}`}: ${reason ?? undone}`, { job: id });
}

/** Returns the job in its final state, or unchanged if the command does not wait. */
export async function followed(
  door: VolumeDoor,
  target: VolumeTarget,
  job: JobView,
  { wait, background, shows }: Pick<FollowOptions, 'wait' | 'background' | 'shows'>,
): Promise<JobView> {
  return background ? job : await ended(door, target, job.id, { wait, shows });
}

/** Waits until a job ends, and shows its progress. Throws E_TIMEOUT if the wait ends first, or is interrupted. */
async function ended(
  door: VolumeDoor,
  target: VolumeTarget,
  id: string,
  { wait, shows }: Pick<FollowOptions, 'wait' | 'shows'>,
): Promise<JobView> {
  const untilMs = wait === null ? Number.POSITIVE_INFINITY : door.clock.monotonicMs() + wait;
  const shower = new ProgressShower(door);
  let off = (): void => undefined;
  const stopped = new Promise<undefined>((resolve) => {
    off = door.waiting.onStop(() => resolve(undefined));
  });
  try {
    for (;;) {
      const asked = target.call('job-list', { id });
      const answer = await Promise.race([asked, stopped]);
      if (answer === undefined) {
        asked.catch(() => undefined);
        throw goesOn(target, id, shows, 'Interrupted', null);
      }
      const [job] = answer.jobs;
      if (job === undefined) throw new RsError('E_UNKNOWN_JOB', `Job ${id} is no longer in the list of the server`, { job: id });
      const progress = progressOfJob(job);
      if (progress === null) return job;
      shower.show(`Job ${id}`, progress);
      if (door.clock.monotonicMs() >= untilMs) throw goesOn(target, id, shows, null, progress);
      await Promise.race([sleep(door.clock, JOB_LOOK_MS), stopped]);
    }
  } finally {
    off();
    shower.end();
  }
}

/** The error of a command that no longer waits for a job. */
function goesOn({ server }: VolumeTarget, id: string, shows: string, how: string | null, progress: Progress | null): RsError {
  const standing = progress === null ? '' : ` (${progressText(progress)})`;
  const at = server === null ? '' : ` --server ${server}`;
  const ways = `${shows} ${id}${at} shows it, and ${shows} cancel ${id}${at} ends it`;
  return new RsError('E_TIMEOUT', `${how === null ? '' : `${how}: `}Job ${id} goes on${standing}: ${ways}`, { job: id });
}
