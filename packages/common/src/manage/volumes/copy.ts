// The command volume copy of rsadm and rsconfig. rssrv decides whether a volume can be copied, and does the work. Invariant: the command sends
// an id with its request; ending it, also while it waits, never ends the job.

import { type Command, JSON_OPTION, makeCommand, WAIT_OPTION } from '../../cli/command.ts';
import { JOB } from '../../control/server/views.ts';
import { object } from '../../control/shape.ts';
import type { VolumeDoor, VolumeProgram } from './door.ts';
import { checkWaiting, followJob } from './jobs.ts';
import { poolNameOf, sizeOf, splitSnapshot } from './values.ts';

const DETAILS = `A job on the server copies the content that the volume has at one moment, also
while clients write: it makes a snapshot for itself, and removes it afterwards.
NAME@SNAPSHOT copies that snapshot. The file system of the pool needs reflink,
and the volume must be in one pool.
NEW is the name of a volume, which the job makes in pool P; by default, in the
pool with the most room apart from that of the volume. The new volume is for the
same clients, and shares no blocks with the first one. It does not exist until
it is complete: a job that fails or is cancelled leaves nothing. The job goes on
after a restart of the server.`;

const WAITING = `On a terminal, the command shows the progress until the job ends; Ctrl-C ends
only the command.`;

/** `words`: how the program names jobs, such as `jobs`. */
export function copyVerb(given: VolumeProgram, words: string): Command<VolumeDoor> {
  const { program } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume copy' },
    synopsis: 'volume copy NAME[@SNAPSHOT] NEW [--pool P] [--limit RATE]\n[--wait[=T] | --background]',
    summary: 'copies a volume or a snapshot, also while clients use it',
    details: `${DETAILS}\n${WAITING}`,
    options: {
      pool: { kind: 'text', value: 'P', help: 'pool of the new volume' },
      limit: { kind: 'text', value: 'RATE', help: 'copy at most RATE in a second, such as 100m' },
      wait: WAIT_OPTION,
      background: { kind: 'flag', help: 'do not wait' },
      json: JSON_OPTION,
    },
    json: object({ ...given.place, job: JOB }),
    operands: { min: 2, max: 2 },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { pool, limit, wait, background, json }, [name = '', to = '']) => {
      checkWaiting({ wait, background }, program);
      const { volume, snapshot } = splitSnapshot(name, program);
      const limitBytes = limit === null ? null : sizeOf('--limit', limit, program);
      const toPool = pool === null ? null : poolNameOf('--pool', pool, program);
      const target = await door.find(volume, 'change');
      const next = target.parse(to);
      const { job } = await target.call('volume-copy', {
        ...{ ...target.volume, snapshot, newName: next.name, newUniverse: next.universe, pool: toPool, limitBytes },
        request: door.newId(),
      });
      await followJob(
        door,
        target,
        job,
        { wait, background, json, shows: `${program} ${words} ${job.id}` },
        {
          begins: `${name} is copied to ${target.label(next)} in pool ${job.to}`,
          done: `${target.label(next)} in pool ${job.to} is a copy of ${name}`,
          undone: 'nothing was copied',
        },
      );
      return undefined;
    },
  });
}
