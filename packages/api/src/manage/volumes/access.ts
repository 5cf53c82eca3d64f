// The commands of rsadm and rsconfig that take a volume away from a client, and that let a client attach a volume. rssrv executes the orders.
// Invariant: `volume revoke` succeeds only if the client's requests on the volume can no longer run; every other outcome is an error.

import { type Command, JSON_OPTION, makeCommand, printJson } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { ALLOWED, REVOKED } from '../../rssrv/volume-methods.ts';
import { escapeControls } from '@rsio/common/lib/printable';
import { object } from '@rsio/common/lib/shape';
import { noteUnknownClients } from './create.ts';
import type { VolumeDoor, VolumeProgram } from './door.ts';

export interface AccessCommands {
  readonly revoke: Command<VolumeDoor>;
  readonly allow: Command<VolumeDoor>;
}

export function accessCommands(given: VolumeProgram): AccessCommands {
  const common = {
    options: { json: JSON_OPTION },
    operands: { min: 2, max: 2 },
    completes: given.completesVolumes,
  } as const;
  const revoke = makeCommand(given.program, {
    ...common,
    call: { by: 'words', words: 'volume revoke' },
    synopsis: 'volume revoke NAME CLIENT',
    summary: 'takes a volume away from a client, with proof',
    details: `The client leaves the list of clients that may attach the volume. After success,
no request of the client on the volume can run any more, even if the client is
cut off or stands still, and all its writes are on disk. If the client comes
back, its I/O on the volume fails. Its other volumes are not affected. If the
storage may have lost writes that only the client still has, the command fails
and says so. If requests of the client still run after 30 s, the command fails;
repeat it to wait again. The list must name clients; for a list of all clients,
volume set clients=NAMES comes first.`,
    json: object({ ...given.place, ...REVOKED }),
    run: async (door: VolumeDoor, { json }, [name = '', client = '']) => {
      const { call, volume, label, place } = await door.find(name, 'change');
      const answer = await call('volume-revoke', { ...volume, client, request: door.newId() });
      if (json) return printJson(door, { ...place, ...answer });
      const what = answer.wasHeld ? 'was taken away from' : 'was not held by';
      door.out(toText([`${label(answer.volume)} ${what} ${escapeControls(client)}, which may not attach it any more`]));
      return undefined;
    },
  });
  const allow = makeCommand(given.program, {
    ...common,
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
  return { revoke, allow };
}
