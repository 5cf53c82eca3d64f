// The command that deletes removed volumes at once. Without this command, the server deletes a removed volume a day after its removal.
// rssrv decides what the asker may delete. Invariant: nothing is deleted for good without the person's consent.

import { JSON_OPTION, makeCommand, printJson, usageError, type Command } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { duration } from '@rsio/common/config/schema/value-types';
import { OLDER_MAX_MS } from '@rsio/common/control/limits';
import { REMOVED, type RemovedVolumeView } from '../../views/views.ts';
import { list, object } from '@rsio/base/lib/shape';
import { escapeControls } from '@rsio/base/lib/printable';
import { plural, shownSize } from '@rsio/base/lib/units';
import type { VolumeDoor, VolumeProgram, VolumeTarget } from './door.ts';
import { valueOf } from '../../views/values.ts';

const OLDER = duration(0, OLDER_MAX_MS);

export function purgeCommand(given: VolumeProgram): Command<VolumeDoor> {
  const { program } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume purge' },
    synopsis: 'volume purge [NAME] [--older T] [--yes]',
    summary: 'deletes removed volumes for good',
    details: `A removed volume still takes space, and counts towards the limits of its pool
and of the client that created it. The server deletes it a day after its
removal, and this command deletes it at once. A deleted volume cannot be
restored. With NAME, the command deletes all removed volumes of this name.
Without NAME, which rsconfig does not permit, the command deletes all removed
volumes of the server. With --older, it deletes only volumes that were removed
at least T ago. A client can delete only volumes that it has created. The
command asks for confirmation; without a terminal, it needs --yes.`,
    options: {
      older: { kind: 'text', value: 'T', help: 'only volumes that were removed at least T ago, such as 2h' },
      yes: { kind: 'flag', help: 'do not ask' },
      json: JSON_OPTION,
    },
    json: object({ ...given.place, purged: list(REMOVED, 'What was deleted') }),
    operands: { min: 0, max: 1 },
    completes: given.completesRemoved,
    run: async (door: VolumeDoor, { older, yes, json }, [name]) => {
      if (!yes && door.ask === null) throw usageError('Deleting for good needs consent: give --yes', program);
      const olderMs = older === null ? 0 : valueOf('--older', older, OLDER, program);
      const { call, volume, label, place } = await targetOf(door, name, program);
      if (!yes && !(await consents(door, { call, volume, label }, olderMs))) {
        door.note('Nothing was deleted');
        return 1;
      }
      const purged: RemovedVolumeView[] = [];
      for (let left = 1; left > 0; ) {
        // rsadm sends no id, so that the command works even if the journal of requests is full. A repeated deletion does no harm.
        const request = door.local === null ? door.newId() : null;
        const answer = await call('volume-purge', { ...(volume ?? { name: null, universe: 0 }), id: null, olderMs, request });
        purged.push(...answer.purged);
        // If nothing was deleted this time, the remaining volumes cannot be deleted now.
        left = answer.purged.length === 0 ? 0 : answer.left;
      }
      if (json) return printJson(door, { ...place, purged });
      if (purged.length === 0) door.note('No removed volume can be deleted');
      else door.out(toText(purged.map((one) => `${label(one)}, ${shownSize(one.sizeBytes)}, deleted for good from pool ${one.pool}`)));
      return undefined;
    },
  });
}

type Whole = Pick<VolumeTarget, 'call' | 'label' | 'place'> & { readonly volume: VolumeTarget['volume'] | null };

async function targetOf(door: VolumeDoor, name: string | undefined, program: string): Promise<Whole> {
  if (name !== undefined) return door.findRemoved(name);
  if (door.local === null) throw usageError('Which removed volume: give NAME', program);
  return { ...door.local, volume: null };
}

async function consents(
  { ask }: VolumeDoor,
  { call, volume, label }: Pick<Whole, 'call' | 'volume' | 'label'>,
  olderMs: number,
): Promise<boolean> {
  const { removed } = await call('volume-list', { pool: null });
  // A server of an earlier release does not say the ages by which it decides; the question then names all that may be deleted.
  const isOld = ({ ageMs }: RemovedVolumeView): boolean => olderMs === 0 || ageMs === undefined || ageMs >= olderMs;
  const meant = removed.filter((one) => (volume === null || (one.name === volume.name && one.universe === volume.universe)) && isOld(one));
  const bytes = meant.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const what = `Delete ${plural(meant.length, 'removed volume')}${volume === null ? '' : ` ${label(volume)}`}, ${shownSize(bytes)}, for good`;
  const answer = await ask?.(escapeControls(`${what}? [y/N] `));
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}
