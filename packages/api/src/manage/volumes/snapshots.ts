// The snapshot commands of rsadm and rsconfig. rssrv decides whether a change is permitted, and executes the change. Invariant: each
// command that changes something sends an id with its request, so that the request is never executed twice.

import { type Command, JSON_OPTION, makeCommand, printJson } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { SNAPSHOT } from '../../views/views.ts';
import { list, object } from '@rsio/base/lib/shape';
import { shownSize } from '@rsio/base/lib/units';
import { snapshotText } from '../../views/server-tables.ts';
import { sameServer, type VolumeDoor, type VolumeProgram, type VolumeTarget } from './door.ts';
import { snapshotIn } from './derived.ts';

type SnapshotCommand = Command<VolumeDoor>;

/** A snapshot that a person named, and the server of its volume. */
interface SnapshotTarget {
  readonly target: VolumeTarget;
  readonly snapshot: string;
}

export function snapshotCommand(given: VolumeProgram): SnapshotCommand {
  return makeCommand(given.program, {
    call: { by: 'words', words: 'volume snapshot' },
    synopsis: 'volume snapshot NAME@SNAPSHOT...',
    summary: 'makes snapshots, all of the same moment',
    details: `A snapshot keeps the content of the volume at one moment, and never changes.
Clients may write during the command; their writes wait for milliseconds. All
snapshots of one command share one moment: if one snapshot lacks an answered
write, no snapshot has a write that began after this answer. The name of a
snapshot cannot be a number, because oracle@1 is the volume oracle in universe
1. The pool needs a file system with reflink, such as XFS or btrfs.`,
    options: { json: JSON_OPTION },
    json: object({ ...given.place, snapshots: list(SNAPSHOT) }),
    operands: { min: 1, max: Number.POSITIVE_INFINITY },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { json }, names) => {
      const found: SnapshotTarget[] = [];
      for (const name of names) {
        const { volume, snapshot } = snapshotIn(name, given.program);
        found.push({ target: await door.find(volume, 'change'), snapshot });
      }
      const target = sameServer(
        found.map((one) => one.target),
        'snapshots of one moment',
        given.program,
      );
      const wanted = found.map((one) => ({ ...one.target.volume, snapshot: one.snapshot }));
      const answer = await target.call('volume-snapshot', { snapshots: wanted, request: door.newId() });
      if (json) return printJson(door, { ...target.place, ...answer });
      door.out(toText(answer.snapshots.map((one) => `${snapshotText(one, target.label)} made, ${shownSize(one.sizeBytes)}`)));
      return undefined;
    },
  });
}
