// The snapshot commands of rsadm and rsconfig. rssrv decides whether a change is permitted, and executes the change. Invariant: each
// command that changes something sends an id with its request, so that the request is never executed twice.

import { type Command, JSON_OPTION, makeCommand, printJson, usageError } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { SNAPSHOT, VOLUME } from '../../rssrv/views.ts';
import { list, object, orNull } from '@rsio/common/lib/shape';
import { quoteText, shownSize } from '@rsio/common/lib/units';
import { poolsText, snapshotText } from '../server-tables.ts';
import { type Purpose, sameServer, type VolumeDoor, type VolumeProgram, type VolumeTarget } from './door.ts';
import { diffCommand } from './diff.ts';
import { splitSnapshot } from './values.ts';

type SnapshotCommand = Command<VolumeDoor>;

export interface SnapshotCommands {
  readonly snapshot: SnapshotCommand;
  readonly clone: SnapshotCommand;
  readonly rollback: SnapshotCommand;
  readonly diff: SnapshotCommand;
}

/** A snapshot that a person named, and the server of its volume. */
interface SnapshotTarget {
  readonly target: VolumeTarget;
  readonly snapshot: string;
}

export function snapshotCommands(program: VolumeProgram): SnapshotCommands {
  return {
    snapshot: snapshotCommand(program),
    clone: cloneCommand(program),
    rollback: rollbackCommand(program),
    diff: diffCommand(program),
  };
}

/** Throws E_USAGE if the text names no snapshot. Also throws the errors of the door. */
async function findSnapshot(door: VolumeDoor, text: string, purpose: Purpose, { program }: VolumeProgram): Promise<SnapshotTarget> {
  const { volume, snapshot } = splitSnapshot(text, program);
  if (snapshot === null)
    throw usageError(`No snapshot in ${quoteText(text)}: give NAME@SNAPSHOT, such as oracle@monday or oracle@1@monday`, program);
  return { target: await door.find(volume, purpose), snapshot };
}

function snapshotCommand(given: VolumeProgram): SnapshotCommand {
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
      for (const name of names) found.push(await findSnapshot(door, name, 'change', given));
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

function cloneCommand(given: VolumeProgram): SnapshotCommand {
  return makeCommand(given.program, {
    call: { by: 'words', words: 'volume clone' },
    synopsis: 'volume clone NAME@SNAPSHOT NEW',
    summary: 'creates a volume with the content of a snapshot',
    details: `The new volume is in the pool of the snapshot, and the same clients may attach
it. The new volume takes space only for blocks that are written later, in either
volume. The new volume does not depend on the snapshot, which can be removed.`,
    options: { json: JSON_OPTION },
    json: object({ ...given.place, volume: VOLUME }),
    operands: { min: 2, max: 2 },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { json }, [name = '', to = '']) => {
      const { target, snapshot } = await findSnapshot(door, name, 'change', given);
      const next = target.parse(to);
      const answer = await target.call('volume-clone', {
        ...target.volume,
        snapshot,
        newName: next.name,
        newUniverse: next.universe,
        request: door.newId(),
      });
      if (json) return printJson(door, { ...target.place, ...answer });
      const { volume } = answer;
      door.out(
        toText([
          `${target.label(volume)} created in pool ${poolsText(volume)}${target.ofServer}, ${shownSize(volume.sizeBytes)}, as ${name}`,
        ]),
      );
      if (volume.state === 'unavailable') door.note(`${target.label(volume)} is not served: ${volume.reason ?? '-'}`);
      return undefined;
    },
  });
}

function rollbackCommand(given: VolumeProgram): SnapshotCommand {
  return makeCommand(given.program, {
    call: { by: 'words', words: 'volume rollback' },
    synopsis: 'volume rollback NAME@SNAPSHOT',
    summary: 'gives a volume the content of a snapshot',
    details: `No client may hold the volume. The current content becomes a snapshot whose name
begins with before-rollback, so that nothing is lost. The volume keeps its size:
if it has grown since the snapshot, the added part becomes zeros.`,
    options: { json: JSON_OPTION },
    json: object({ ...given.place, volume: VOLUME, kept: orNull(SNAPSHOT, 'The content before; null: it was removed since') }),
    operands: { min: 1, max: 1 },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { json }, [name = '']) => {
      const { target, snapshot } = await findSnapshot(door, name, 'remove', given);
      const answer = await target.call('volume-rollback', { ...target.volume, snapshot, request: door.newId() });
      if (json) return printJson(door, { ...target.place, ...answer });
      const { volume, kept } = answer;
      const before = kept === null ? '' : `; its content before is ${snapshotText(kept, target.label)}`;
      door.out(toText([`${target.label(volume)} has the content of snapshot ${snapshot}${before}`]));
      return undefined;
    },
  });
}
