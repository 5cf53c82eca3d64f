// Implements `volume import`. rssrv decides whether the volume can be created, and does the work. Invariants: the request has an id;
// interrupting the command, even with --wait, never ends the job.

import { resolve } from 'node:path';
import { type Command, JSON_OPTION, makeCommand, usageError, WAIT_OPTION } from '@rsio/common/cli/command';
import { JOB } from '@rsio/api/views/views';
import { object } from '@rsio/base/lib/shape';
import { parseWhole, quoteText } from '@rsio/base/lib/units';
import type { VolumeDoor, VolumeProgram } from '@rsio/api/manage/volumes/door';
import { checkWaiting, followJob } from '@rsio/api/manage/volumes/jobs';
import { poolNameOf, sizeOf } from '@rsio/api/views/values';

export function importCommand(given: VolumeProgram): Command<VolumeDoor> {
  const { program, jobs: words } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume import' },
    synopsis: 'volume import SOURCE NAME [--pool P] [--format FORMAT]\n[--block-size N] [--limit RATE] [--wait[=T] | --background]',
    summary: 'makes a volume from a file, a device or an NBD export',
    details: `A job makes a volume with the content of SOURCE, which is the path of a file or
block device on the server, or nbd://HOST[:PORT]/EXPORT or
nbd+unix:///EXPORT?socket=PATH. The job never changes SOURCE. The format of a
file is raw, or qcow2 if its name ends in .qcow2. A raw file on the file system
of pool P is cloned, which takes no time and no space; everything else is
copied. Without --pool, the job prefers a pool that can clone the file. qcow2
and NBD need qemu-img on the server. A source that was cut is refused: a raw one
whose length is no number of sectors of 512 bytes, or is less than its table of
partitions needs, and a qcow2 file that qemu-img check does not pass.
The volume does not exist until it is complete: a job that fails or is cancelled
leaves nothing. After a restart of the server, the job starts over. No program
may write to SOURCE during the job. A file that a section [volume] serves is
refused: detach the volume, remove its section, run rsadm reload, import the
file, and delete it later. The command waits until the job ends, and shows its
progress; Ctrl-C ends only the command, and --background does not wait.`,
    options: {
      pool: { kind: 'text', value: 'P', help: 'pool of the volume' },
      format: { kind: 'text', value: 'FORMAT', help: 'format of the file: raw or qcow2' },
      'block-size': { kind: 'text', value: 'N', help: 'block size that clients see: 512 (default) or 4096' },
      limit: { kind: 'text', value: 'RATE', help: 'copy at most RATE bytes per second, such as 100m' },
      wait: WAIT_OPTION,
      background: { kind: 'flag', help: 'do not wait for the end of the job' },
      json: JSON_OPTION,
    },
    json: object({ ...given.place, job: JOB }),
    operands: { min: 2, max: 2 },
    completes: 'files',
    run: async (door: VolumeDoor, { pool, format, limit, wait, background, json, ...others }, [from = '', name = '']) => {
      checkWaiting({ wait, background }, program);
      if (format !== null && format !== 'raw' && format !== 'qcow2')
        throw usageError(`Wrong --format ${quoteText(format)}: allowed is raw or qcow2`, program);
      const blockSizeBytes = parseWhole(others['block-size'] ?? '512');
      if (blockSizeBytes !== 512 && blockSizeBytes !== 4096)
        throw usageError(`Wrong --block-size ${quoteText(others['block-size'] ?? '')}: allowed is 512 or 4096`, program);
      const source = from.includes('://') ? from : resolve(from);
      const target = await door.find(name, 'change');
      const { job } = await target.call('volume-import', {
        ...target.volume,
        source,
        format,
        blockSizeBytes,
        pool: pool === null ? null : poolNameOf('--pool', pool, program),
        limitBytes: limit === null ? null : sizeOf('--limit', limit, program),
        request: door.newId(),
      });
      const label = target.label(target.volume);
      await followJob(
        door,
        target,
        job,
        { wait, background, json, shows: `${program} ${words}` },
        {
          begins: `${source} is imported as ${label} in pool ${job.to}`,
          done: `${label} in pool ${job.to} has what ${source} contains`,
          undone: 'nothing was imported',
        },
      );
      return undefined;
    },
  });
}
