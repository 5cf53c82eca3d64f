// The command `volume diff` of rsadm and rsconfig. The server answers in parts. Invariant: all parts compare the same snapshots. If the
// later state is the current content of the volume, this content may change between two parts, because clients write.

import { type Command, JSON_OPTION, makeCommand, printJson, usageError } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { count, list, object } from '@rsio/base/lib/shape';
import type { ServerMethods } from '../../rssrv/server-methods.ts';
import { RsError } from '@rsio/base/lib/errors';
import { plural, quoteText, shownSize } from '@rsio/base/lib/units';
import type { VolumeDoor, VolumeProgram, VolumeTarget } from './door.ts';
import { DIFF_RANGES_SHOWN_MAX } from './limits.ts';
import { splitSnapshot } from '../../views/values.ts';

type Part = ServerMethods['volume-diff']['result'];
type Range = Part['ranges'][number];

const RANGE = object({ offsetBytes: count(), lengthBytes: count() });

export function diffCommand(given: VolumeProgram): Command<VolumeDoor> {
  return makeCommand(given.program, {
    call: { by: 'words', words: 'volume diff' },
    synopsis: 'volume diff NAME@SNAPSHOT [NAME@LATER]',
    summary: 'lists what has changed since a snapshot',
    details: `Lists the ranges of the volume that have changed between the snapshot and now,
or between the snapshot and a later snapshot. The file system of the pool knows
these ranges, so no data is read. The list contains every range that differs. It
may also contain ranges whose content is the same. Writes after the command has
begun may be missing.`,
    options: { json: JSON_OPTION },
    json: object({ ...given.place, sizeBytes: count(), changedBytes: count(), ranges: list(RANGE) }),
    operands: { min: 1, max: 2 },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { json }, [name = '', later = '']) => {
      const { volume, snapshot } = splitSnapshot(name, given.program);
      if (snapshot === null)
        throw usageError(`No snapshot in ${quoteText(name)}: give NAME@SNAPSHOT, such as oracle@monday or oracle@1@monday`, given.program);
      const target = await door.find(volume, 'show');
      const until = later === '' ? null : laterOf(later, target, given);
      const { sizeBytes, ranges } = await difference(target, snapshot, until);
      const changedBytes = ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
      if (json) return printJson(door, { ...target.place, sizeBytes, changedBytes, ranges });
      const what = `${shownSize(changedBytes)} of ${shownSize(sizeBytes)} in ${plural(ranges.length, 'range')}`;
      const rows = ranges.map(({ offsetBytes, lengthBytes }) => `${offsetBytes} ${lengthBytes}`);
      door.out(toText([`${target.label(target.volume)} from ${snapshot} to ${until ?? 'now'}: ${what}`, ...rows]));
      return undefined;
    },
  });
}

/** Returns the name of the later snapshot. Throws E_USAGE if `text` names no snapshot of the same volume. */
function laterOf(text: string, { volume, parse }: VolumeTarget, { program }: VolumeProgram): string {
  const { volume: name, snapshot } = splitSnapshot(text, program);
  const other = snapshot === null ? null : parse(name);
  if (snapshot !== null && other?.name === volume.name && other.universe === volume.universe) return snapshot;
  throw usageError(`${quoteText(text)} is not a snapshot of the same volume: give two snapshots of one volume, or only one`, program);
}

/** Requests all parts. Throws E_LIMIT if there are too many ranges, and E_BUSY if a snapshot was replaced between two parts. */
async function difference(
  { volume, call }: VolumeTarget,
  snapshot: string,
  until: string | null,
): Promise<{ readonly sizeBytes: number; readonly ranges: readonly Range[] }> {
  const ranges: Range[] = [];
  let first: Part | null = null;
  for (let offsetBytes = 0; first === null || offsetBytes < first.sizeBytes; ) {
    const part: Part = await call('volume-diff', { ...volume, snapshot, until, offsetBytes });
    first ??= part;
    if (
      part.snapshotId !== first.snapshotId ||
      part.untilId !== first.untilId ||
      (part.endBytes <= offsetBytes && part.sizeBytes > offsetBytes)
    )
      throw new RsError('E_BUSY', `The snapshots of volume ${volume.name} have changed meanwhile: try again`);
    for (const range of part.ranges) addRange(ranges, range);
    if (ranges.length > DIFF_RANGES_SHOWN_MAX)
      throw new RsError('E_LIMIT', `More than ${DIFF_RANGES_SHOWN_MAX} ranges have changed: read the map of an NBD export instead`);
    offsetBytes = part.endBytes;
  }
  return { sizeBytes: first.sizeBytes, ranges };
}

/** Adds a range, or extends the last range if `next` continues it. */
function addRange(ranges: Range[], next: Range): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.offsetBytes + last.lengthBytes === next.offsetBytes)
    ranges[ranges.length - 1] = { offsetBytes: last.offsetBytes, lengthBytes: last.lengthBytes + next.lengthBytes };
  else ranges.push(next);
}
