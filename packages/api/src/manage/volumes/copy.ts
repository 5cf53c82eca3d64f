// The command `volume copy` of rsadm and rsconfig. rssrv decides whether a volume can be copied, and makes the copy. Invariants: the
// command sends an id with its request. The job continues after the command is interrupted. Only rsadm, on the server, copies to a file or
// an NBD server.

import { resolve } from 'node:path';
import {
  type Command,
  JSON_OPTION,
  makeCommand,
  type OptionSpec,
  type OptionValues,
  usageError,
  WAIT_OPTION,
} from '@rsio/common/cli/command';
import { JOB } from '../../views/views.ts';
import { object } from '@rsio/base/lib/shape';
import { quoteText } from '@rsio/base/lib/units';
import type { VolumeDoor, VolumeProgram, VolumeTarget } from './door.ts';
import { checkWaiting, followJob, type FollowOptions } from './jobs.ts';
import { poolNameOf, sizeOf, splitSnapshot } from '../../views/values.ts';

const SOURCE = `A job on the server copies the content of the volume at one moment, even while
clients write. For this, the job makes a snapshot, which it removes when it
ends. With NAME@SNAPSHOT, the job copies that snapshot. The file system of the
pool needs reflink. The copy of a volume over several pools has one file.`;

const NEW = `The job makes the volume in pool
P; by default, in the pool with the most room other than the pool of the source.
The same clients may attach the copy, which shares no blocks with the source.
The copy does not exist until it is complete: a job that fails or is cancelled
leaves nothing. The job continues after a restart of the server.`;

const OTHERS = `If TARGET is a path that begins with / or ./, the copy is a file on the server:
raw if the name ends in .raw or .img, qcow2 if it ends in .qcow2. The file gets
its name when it is complete and on disk, and has the length of the volume or
passes qemu-img check. Zeros take no space.
If TARGET is a URI, the copy goes to an NBD server: nbd://HOST[:PORT]/EXPORT, or
nbd+unix:///EXPORT?socket=PATH. The export must be at least as large as the
volume. If the copy fails, the export contains a part of the content.
Copies to files and NBD servers need qemu-img on the server, and start over
after a restart of the server.`;

const WAITING = `The command waits until the job ends, and shows its progress; Ctrl-C ends only
the command. With --background, the command does not wait.`;

const OPTIONS = {
  pool: { kind: 'text', value: 'P', help: 'pool of the new volume' },
  limit: { kind: 'text', value: 'RATE', help: 'copy at most RATE bytes per second, such as 100m' },
  wait: WAIT_OPTION,
  background: { kind: 'flag', help: 'do not wait for the end of the job' },
  json: JSON_OPTION,
} as const satisfies Readonly<Record<string, OptionSpec>>;

const FILE_OPTIONS = {
  format: { kind: 'text', value: 'FORMAT', help: 'format of the file: raw or qcow2' },
  force: { kind: 'flag', help: 'replace the file if it exists' },
} as const satisfies Readonly<Record<string, OptionSpec>>;

const OPERANDS = { min: 2, max: 2 } as const;

/** Parameters of a copy in both programs. */
interface Order {
  readonly target: VolumeTarget;
  readonly name: string;
  readonly snapshot: string | null;
  readonly limitBytes: number | null;
  readonly follow: FollowOptions;
}

type CommonValues = OptionValues & {
  readonly limit: string | null;
  readonly wait: number | null;
  readonly background: boolean;
  readonly json: boolean;
};

/** The command of rsconfig, which copies only to new volumes. */
export function copyCommand(given: VolumeProgram): Command<VolumeDoor> {
  const { program } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume copy' },
    synopsis: 'volume copy NAME[@SNAPSHOT] NEW [--pool P] [--limit RATE]\n[--wait[=T] | --background]',
    summary: 'copies a volume or a snapshot, even while clients use it',
    details: `${SOURCE}\nNEW is the name of a new volume. ${NEW}\n${WAITING}`,
    options: OPTIONS,
    json: object({ ...given.place, job: JOB }),
    operands: OPERANDS,
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, values, [name = '', to = '']) => {
      if (isFile(to) || to.includes('://'))
        throw usageError(
          `Wrong name ${quoteText(to)}: from a client, a copy is a new volume; rsadm volume copy on the server copies to files and NBD servers, and rsconfig backup to files here`,
          program,
        );
      await copyToVolume(door, await orderOf(door, given, values, name), values.pool, to, program);
      return undefined;
    },
  });
}

/** The command of rsadm, which copies to any target. */
export function copyAnywhereCommand(given: VolumeProgram): Command<VolumeDoor> {
  const { program } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume copy' },
    synopsis: 'volume copy NAME[@SNAPSHOT] TARGET [--pool P] [--limit RATE]\n[--format FORMAT] [--force] [--wait[=T] | --background]',
    summary: 'copies a volume or a snapshot, even while clients use it',
    details: `${SOURCE}\nTARGET is the name of a new volume. ${NEW}\n${OTHERS}\n${WAITING}`,
    options: { ...OPTIONS, ...FILE_OPTIONS },
    json: object({ ...given.place, job: JOB }),
    operands: OPERANDS,
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, values, [name = '', to = '']) => {
      const { pool, format, force } = values;
      const order = await orderOf(door, given, values, name);
      if (!isFile(to) && !to.includes('://')) {
        if (format !== null || force) throw usageError('Only a file has --format and --force: a path begins with / or ./', program);
        await copyToVolume(door, order, pool, to, program);
        return undefined;
      }
      if (pool !== null) throw usageError('Only a new volume has --pool: TARGET is its name then', program);
      if (format !== null && format !== 'raw' && format !== 'qcow2')
        throw usageError(`Wrong --format ${quoteText(format)}: allowed is raw or qcow2`, program);
      const path = isFile(to) ? resolve(to) : to;
      const { target, snapshot, limitBytes, follow } = order;
      const { job } = await target.call('volume-export', {
        ...target.volume,
        snapshot,
        target: path,
        format,
        force,
        limitBytes,
        request: door.newId(),
      });
      await followJob(door, target, job, follow, {
        begins: `${name} is copied to ${path}`,
        done: `${path} is a copy of ${name}`,
        undone: 'nothing was copied',
      });
      return undefined;
    },
  });
}

function isFile(target: string): boolean {
  return /^\.{0,2}\//.test(target);
}

async function orderOf(door: VolumeDoor, { program, jobs: words }: VolumeProgram, values: CommonValues, name: string): Promise<Order> {
  const { limit, wait, background, json } = values;
  checkWaiting({ wait, background }, program);
  const { volume, snapshot } = splitSnapshot(name, program);
  const limitBytes = limit === null ? null : sizeOf('--limit', limit, program);
  const target = await door.find(volume, 'change');
  return { target, name, snapshot, limitBytes, follow: { wait, background, json, shows: `${program} ${words}` } };
}

async function copyToVolume(door: VolumeDoor, order: Order, pool: string | null, to: string, program: string): Promise<void> {
  const { target, name, snapshot, limitBytes, follow } = order;
  const toPool = pool === null ? null : poolNameOf('--pool', pool, program);
  const next = target.parse(to);
  const { job } = await target.call('volume-copy', {
    ...target.volume,
    snapshot,
    newName: next.name,
    newUniverse: next.universe,
    pool: toPool,
    limitBytes,
    request: door.newId(),
  });
  await followJob(door, target, job, follow, {
    begins: `${name} is copied to ${target.label(next)} in pool ${job.to}`,
    done: `${target.label(next)} in pool ${job.to} is a copy of ${name}`,
    undone: 'nothing was copied',
  });
}
