// The commands of rsadm and rsconfig about images. rssrv decides whether a change is permitted, and executes the change. Invariant: each
// command that changes something sends an id with its request, so that the request is never executed twice.

import { shownSize } from '@rsio/base/lib/units';
import { type Command, JSON_OPTION, makeCommand, printJson, usageError, WAIT_OPTION } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { JOB, type JobView, VOLUME } from '../../views/views.ts';
import { list, object, orNull } from '@rsio/base/lib/shape';
import { poolsText, snapshotText, volumeText } from '../../views/server-tables.ts';
import { sameServer, type VolumeDoor, type VolumeProgram, type VolumeTarget } from './door.ts';
import { checkDone, followed, followJob, type FollowOptions } from './jobs.ts';
import { poolNameOf, sizeOf, universeOf } from '../../views/values.ts';

type ImageCommand = Command<VolumeDoor>;

export const JOB_OPTIONS = {
  limit: { kind: 'text', value: 'RATE', help: 'copy at most RATE bytes per second, such as 100m' },
  wait: WAIT_OPTION,
  background: { kind: 'flag', help: 'do not wait for the end of the job' },
  json: JSON_OPTION,
} as const;

/** The options of a command that starts jobs: the limit on the rate, and how the command waits for the jobs. */
interface JobFlags {
  readonly limit: string | null;
  readonly wait: number | null;
  readonly background: boolean;
}

function jobOptions({ limit, wait, background }: JobFlags, program: string) {
  if (wait !== null && background) throw usageError('Both --wait and --background are given: give one of them', program);
  return { limitBytes: limit === null ? null : sizeOf('--limit', limit, program), follow: { wait, background, json: false } };
}

export function imageCommand(given: VolumeProgram): ImageCommand {
  return makeCommand(given.program, {
    call: { by: 'words', words: 'volume image' },
    synopsis: 'volume image NAME --universe N [--pool P] [--limit RATE]\n[--wait[=T] | --background]',
    summary: 'makes a copy of a volume in another universe',
    details: `The image NAME@N gets the content of the volume at one moment, even while
clients write. The image is a separate volume, which the same clients can attach
and write. ${given.program} volume refresh NAME@N brings the image up to date, and
${given.program} volume restore NAME --from N gives the volume the content of its image.
An image grows when it is refreshed; volume grow refuses to grow an image. If
the volume is renamed or moved, the image still belongs to it. The pool of the
volume needs a file system with reflink, such as XFS or btrfs. In the same pool,
an image takes space only for blocks that differ from the volume. In another
pool, a job makes the image from a snapshot, which is kept; a refresh copies
only what differs from this snapshot. The command waits for the end of the job,
and shows its progress; with --background, it does not.`,
    options: {
      universe: { kind: 'text', value: 'N', help: 'universe of the image' },
      pool: { kind: 'text', value: 'P', help: 'pool of the image; default: that of the volume' },
      ...JOB_OPTIONS,
    },
    json: object({ ...given.place, volume: orNull(VOLUME, 'null: a job makes it'), job: orNull(JOB, 'null: the image is made') }),
    operands: { min: 1, max: 1 },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { universe, pool: into, json, ...options }, [name = '']) => {
      if (universe === null) throw usageError('No universe: give --universe N', given.program);
      const newUniverse = universeOf('--universe', universe, given.program);
      const { limitBytes, follow } = jobOptions(options, given.program);
      const pool = into === null ? null : poolNameOf('--pool', into, given.program);
      const target = await door.find(name, 'change');
      const answer = await target.call('volume-image', { ...target.volume, newUniverse, pool, limitBytes, request: door.newId() });
      if (json) return printFollowed(door, target, answer, { ...follow, shows: `${given.program} ${given.jobs}` }, 'there is no image');
      const { volume, job } = answer;
      if (job !== null) {
        const label = target.label({ ...target.volume, universe: newUniverse });
        const texts = {
          begins: `${label} is being made in pool ${job.to}`,
          done: `${label} is made in pool ${job.to}`,
          undone: 'there is no image',
        };
        await followJob(door, target, job, { ...follow, shows: `${given.program} ${given.jobs}` }, texts);
      }
      if (volume === null) return undefined;
      const made = `${target.label(volume)} created in pool ${poolsText(volume)}${target.ofServer}, ${shownSize(volume.sizeBytes)}`;
      door.out(toText([`${made}, as an image of ${target.label(target.volume)}`]));
      if (volume.overcommit !== undefined) door.note(volume.overcommit);
      if (volume.state === 'unavailable') door.note(`${target.label(volume)} is not served: ${volume.reason ?? '-'}`);
      return undefined;
    },
  });
}

export function refreshCommand(given: VolumeProgram): ImageCommand {
  return makeCommand(given.program, {
    call: { by: 'words', words: 'volume refresh' },
    synopsis: 'volume refresh NAME@N... [--limit RATE]\n[--wait[=T] | --background]',
    summary: 'brings images up to date, all to the same moment',
    details: `Each image gets the content of its volume at one moment, which is the same for
all images of the command. Clients may write to the volumes during the command.
Data that was written to the images is lost. No client may hold the images. If
the command or the server is stopped, either all images have the old content, or
all have the new content. If an image and its volume are in different pools, a
job copies the changes, and the image has its old content until the job ends.
Images in the pools of their volumes and images in other pools need separate
commands. The command waits for the end of the jobs; with --background, it does
not.`,
    options: JOB_OPTIONS,
    json: object({
      ...given.place,
      volumes: list(VOLUME, 'The images that are refreshed, in the order of the command'),
      jobs: list(JOB, 'Jobs that refresh them from other pools'),
    }),
    operands: { min: 1, max: Number.POSITIVE_INFINITY },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { json, ...options }, names) => {
      const { limitBytes, follow } = jobOptions(options, given.program);
      const found: VolumeTarget[] = [];
      for (const name of names) found.push(await door.find(name, 'remove'));
      const target = sameServer(found, 'images of one moment', given.program);
      const answer = await target.call('volume-refresh', { images: found.map(({ volume }) => volume), limitBytes, request: door.newId() });
      if (json) {
        const jobs: JobView[] = [];
        for (const job of answer.jobs) jobs.push(await followed(door, target, job, { ...follow, shows: `${given.program} ${given.jobs}` }));
        printJson(door, { ...target.place, ...answer, jobs });
        for (const job of jobs) checkDone(job, 'the image is as before');
        return undefined;
      }
      for (const [index, job] of answer.jobs.entries()) {
        const label = target.label(found[index]?.volume ?? target.volume);
        const texts = { begins: `${label} is being refreshed`, done: `${label} refreshed`, undone: 'the image is as before' };
        await followJob(door, target, job, { ...follow, shows: `${given.program} ${given.jobs}` }, texts);
      }
      if (answer.volumes.length > 0)
        door.out(toText(answer.volumes.map((volume) => `${target.label(volume)} refreshed from ${ofText(target, volume.image)}`)));
      return undefined;
    },
  });
}

function ofText({ label }: VolumeTarget, image: { readonly name: string | null; readonly universe: number | null } | null): string {
  const { name = null, universe = null } = image ?? {};
  return name === null || universe === null ? 'its volume' : label({ name, universe });
}

/** Waits for the job and prints the answer as JSON, with the job in its final state. Throws E_BUSY if the job ended without success. */
async function printFollowed(
  door: VolumeDoor,
  target: VolumeTarget,
  answer: { readonly job: JobView | null },
  follow: Pick<FollowOptions, 'wait' | 'background' | 'shows'>,
  undone: string,
): Promise<undefined> {
  const job = answer.job === null ? null : await followed(door, target, answer.job, follow);
  printJson(door, { ...target.place, ...answer, job });
  if (job !== null) checkDone(job, undone);
  return undefined;
}

export async function restoreFrom(
  door: VolumeDoor,
  name: string,
  from: string,
  { json, ...options }: JobFlags & { readonly json: boolean },
  { program, jobs: words }: VolumeProgram,
): Promise<undefined> {
  const fromUniverse = universeOf('--from', from, program);
  const { limitBytes, follow } = jobOptions(options, program);
  const target = await door.find(name, 'remove');
  const answer = await target.call('volume-image-restore', { ...target.volume, fromUniverse, limitBytes, request: door.newId() });
  if (json) return printFollowed(door, target, answer, { ...follow, shows: `${program} ${words}` }, 'the volume is as before');
  const { volume, kept, job } = answer;
  const image = volumeText({ name: target.volume.name, universe: fromUniverse });
  if (job !== null) {
    const label = target.label(target.volume);
    const texts = {
      begins: `${label} gets the content of its image ${image}`,
      done: `${label} has the content of its image ${image}; its content before is a snapshot before-restore`,
      undone: 'the volume is as before',
    };
    await followJob(door, target, job, { ...follow, shows: `${program} ${words}` }, texts);
  }
  if (volume === null) return undefined;
  const before = kept === null ? '' : `; its content before is ${snapshotText(kept, target.label)}`;
  door.out(toText([`${target.label(volume)} has the content of its image ${image}${before}`]));
  return undefined;
}
