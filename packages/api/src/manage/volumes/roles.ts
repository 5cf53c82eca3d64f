// The commands of rsadm and rsconfig that exchange the roles of two servers: without loss while both are there, and after a promotion. rssrv
// decides whether this is permitted. Invariant: the command tells what a demotion leaves behind, before the administrator consents.

import { type Command, JSON_OPTION, makeCommand, printJson, usageError } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { VOLUME } from '../../views/views.ts';
import { escapeControls } from '@rsio/base/lib/printable';
import { count, list, number, object, orNull, text } from '@rsio/base/lib/shape';
import { printRoundedSize } from '@rsio/base/lib/units';
import { pastTime } from '../../views/server-tables.ts';
import { sameServer, type VolumeDoor, type VolumeProgram, type VolumeTarget } from './door.ts';

async function targetOf(
  door: VolumeDoor,
  names: readonly string[],
  program: string,
): Promise<VolumeTarget & { volumes: VolumeTarget['volume'][] }> {
  const found: VolumeTarget[] = [];
  for (const name of names) found.push(await door.find(name, 'change'));
  return { ...sameServer(found, 'volumes of one replication', program), volumes: found.map(({ volume }) => volume) };
}

export function reverseCommand(given: VolumeProgram): Command<VolumeDoor> {
  const { program } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume reverse' },
    synopsis: 'volume reverse NAME... [--client CLIENT] [--reversible PEER]\nvolume reverse NAME... --cancel',
    summary: 'makes followers the source, without loss',
    details: `Give the command at the server with the followers while the source is
connected; no client may have its volumes attached. The source closes them,
makes a last moment, and follows when the followers have become ordinary
volumes. volume replications shows the progress. Only differences are copied,
then and later. Both servers need a section [peer] of the other one, and the
source must allow it (volume replicate --reversible PEER there). Here, the old
source may attach the volumes as CLIENT, by default the client with the name of
its section [peer], or peer-NAME (rsconfig peer add). With --reversible PEER, it
may take them back later; PEER is the name of its section [peer] here.

As long as these volumes are followers, --cancel gives the hand-over up, and the
source opens again. If the source is lost, use volume promote.`,
    options: {
      client: { kind: 'text', value: 'CLIENT', help: 'the old source, by its name as a client of this server' },
      reversible: { kind: 'text', value: 'PEER', help: 'let the old source, PEER, take the volumes back' },
      cancel: { kind: 'flag', help: 'give the hand-over up' },
      json: JSON_OPTION,
    },
    json: object({ ...given.place, replication: text('Id of the replication that is being reversed') }),
    operands: { min: 1, max: Number.POSITIVE_INFINITY },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { client, reversible, cancel, json }, names) => {
      if (cancel && (client !== null || reversible !== null)) throw usageError('--cancel is given with another option', program);
      const target = await targetOf(door, names, program);
      const answer = await target.call('volume-reverse', { volumes: target.volumes, client, reversible, cancel, request: door.newId() });
      if (json) return printJson(door, { ...target.place, ...answer });
      const labels = target.volumes.map((volume) => target.label(volume)).join(', ');
      const done = cancel
        ? 'the hand-over is given up, and the source opens again'
        : 'the source is closed, and hands over; volume replications shows when that is done';
      door.out(toText([`${labels}: ${done}`]));
      return undefined;
    },
  });
}

export function demoteCommand(given: VolumeProgram): Command<VolumeDoor> {
  const { program } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume demote' },
    synopsis: 'volume demote NAME... --for PEER [--yes]',
    summary: 'makes an old source follow what was promoted',
    details: `Give the command at the server that was the source, when it is back after its
followers were promoted at PEER. First give volume replicate at PEER, with this
server as the client. The volumes then follow those of PEER, and only what
differs is copied back. What was written here after the last moment that both
servers have is in no other place: the command says how much that is, keeps the
present content as a snapshot, and asks. Without a terminal, it needs --yes. No
client may have the volumes attached. Volumes without a moment in common follow
the volumes with their names, and everything is compared.`,
    options: {
      for: { kind: 'text', value: 'PEER', help: 'server whose volumes they follow, by its section [peer]' },
      yes: { kind: 'flag', help: 'do not ask' },
      json: JSON_OPTION,
    },
    json: object({
      ...given.place,
      volumes: list(VOLUME),
      kept: orNull(text('Name of the snapshots with the content before')),
      lostBytes: count('Bytes that only those snapshots have'),
      momentMs: orNull(number('The last moment that both servers have'), 'null: none'),
    }),
    operands: { min: 1, max: Number.POSITIVE_INFINITY },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { for: follow, yes, json }, names) => {
      if (follow === null) throw usageError('No server: give --for PEER', program);
      if (!yes && door.ask === null) throw usageError('A demotion needs consent: give --yes', program);
      const target = await targetOf(door, names, program);
      const labels = target.volumes.map((volume) => target.label(volume)).join(', ');
      const order = { volumes: target.volumes, peer: follow };
      const plan = await target.call('volume-demote', { ...order, checkOnly: true, request: null });
      const moment = plan.momentMs === null ? 'the beginning' : pastTime(plan.momentMs, door.clock.wallMs());
      const left =
        plan.lostBytes === 0 ? `content, unchanged since ${moment}` : `${printRoundedSize(plan.lostBytes)} that changed after ${moment}`;
      if (!yes) {
        const answer = await door.ask?.(
          `${labels} will follow server ${escapeControls(follow)}. Only a snapshot will have the ${left}. Go on? [y/N] `,
        );
        if (answer === undefined || !/^y(es)?$/i.test(answer.trim())) {
          door.note('Nothing was changed');
          return 1;
        }
      }
      const answer = await target.call('volume-demote', { ...order, checkOnly: false, request: door.newId() });
      if (json) return printJson(door, { ...target.place, ...answer });
      const verb = target.volumes.length === 1 ? 'follows' : 'follow';
      door.out(toText([`${labels} ${verb} server ${escapeControls(follow)}; snapshot ${answer.kept ?? '-'} has the ${left}`]));
      return undefined;
    },
  });
}
