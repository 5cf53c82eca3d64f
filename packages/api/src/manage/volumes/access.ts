// The command of rsadm and rsconfig that lets a client attach a volume. It is no derived one, because it also asks for the clients that the
// server knows. Invariant: a client that the server does not know is named.

import { type Command, JSON_OPTION, makeCommand, printJson } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { ALLOWED } from '../../rssrv/volume-methods.ts';
import { escapeControls } from '@rsio/base/lib/printable';
import { object } from '@rsio/base/lib/shape';
import { noteUnknownClients } from './create.ts';
import type { VolumeDoor, VolumeProgram } from './door.ts';

export function allowCommand(given: VolumeProgram): Command<VolumeDoor> {
  return makeCommand(given.program, {
    options: { json: JSON_OPTION },
    operands: { min: 2, max: 2 },
    completes: given.completesVolumes,
    call: { by: 'words', words: 'volume allow' },
    synopsis: 'volume allow NAME CLIENT',
    summary: 'lets a client attach a volume',
    json: object({ ...given.place, ...ALLOWED }),
    run: async (door: VolumeDoor, { json }, [name = '', client = '']) => {
      const target = await door.find(name, 'change');
      const answer = await target.call('volume-allow', { ...target.volume, client, request: door.newId() });
      await noteUnknownClients(door, target, answer.volume);
      if (json) return printJson(door, { ...target.place, ...answer });
      door.out(toText([`${escapeControls(client)} may attach ${target.label(answer.volume)}`]));
      return undefined;
    },
  });
}
