// The commands about volumes that rsadm shares with rsconfig (manage/volumes). rsadm sends the requests to rssrv on this machine.
// Invariant: each command that changes something sends an id with its request, so that the request is never executed twice.

import { firstColumnOf } from '@rsio/api/manage/derived';
import { type Command, JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { assert } from '@rsio/base/lib/assert';
import { object } from '@rsio/base/lib/shape';
import { NO_VOLUME, removedTable, volumesTable, volumeText } from '@rsio/api/views/server-tables';
import { copyAnywhereCommand } from '@rsio/api/manage/volumes/copy';
import { CREATE, CREATED_FIELDS, createVolume, reportCreated } from '@rsio/api/manage/volumes/create';
import { derivedCommand } from '@rsio/api/manage/volumes/derived';
import type { VolumeDoor, VolumeProgram, VolumeTarget } from '@rsio/api/manage/volumes/door';
import { poolNameOf, volumeName } from '@rsio/api/views/values';
import { volumeCommands } from '@rsio/api/manage/volumes/shared';
import { type AdmCommand, type AdmContext, defineCommand } from '../cli/context.ts';
import { importCommand } from './import.ts';

const PROGRAM: VolumeProgram = {
  program: 'rsadm',
  place: {},
  completesVolumes: firstColumnOf('volume list'),
  completesRemoved: `"\${ask[@]}" volume list --removed | tail -n +2 | cut -d' ' -f1`,
  jobs: 'jobs',
};

/** Gives the shared commands access to their only server, the rssrv on this machine. */
function doorOf(context: AdmContext): VolumeDoor {
  const parse: VolumeTarget['parse'] = (text) => volumeName(text, PROGRAM.program);
  const target = (name: string): Promise<VolumeTarget> =>
    Promise.resolve({ volume: parse(name), call: context.call, ofServer: '', server: null, place: {}, label: volumeText, parse });
  const local = { call: context.call, label: volumeText, place: {} };
  return { ...context, local, find: target, findRemoved: target, choose: async (name) => [await target(name)] };
}

function onThisServer(command: Command<VolumeDoor>): AdmCommand {
  return { ...command, run: (context, values, words) => command.run(doorOf(context), values, words) };
}

const VOLUME_LIST = defineCommand({
  call: { by: 'words', words: 'volume list' },
  synopsis: 'volume list [--pool P] [--removed]',
  summary: 'lists volumes and the clients that hold them',
  options: {
    pool: { kind: 'text', value: 'P', help: 'only the volumes of this pool' },
    removed: { kind: 'flag', help: 'the removed volumes that can be restored' },
    json: JSON_OPTION,
  },
  json: SERVER_METHODS['volume-list'].result,
  run: async (context, { pool, removed, json }) => {
    const answer = await context.call('volume-list', { pool: pool === null ? null : poolNameOf('--pool', pool, PROGRAM.program) });
    if (json) return printJson(context, answer);
    const list = removed ? answer.removed : answer.volumes;
    if (list.length === 0)
      context.note(removed ? 'No removed volume can be restored' : pool === null ? NO_VOLUME : `No volume in pool ${pool}`);
    else context.out(removed ? removedTable(answer.removed, context.clock.wallMs()) : volumesTable(answer.volumes, context.clock.wallMs()));
    return undefined;
  },
});

const VOLUME_CREATE = defineCommand({
  call: { by: 'words', words: 'volume create' },
  ...CREATE,
  options: { ...CREATE.options, json: JSON_OPTION },
  json: object(CREATED_FIELDS),
  operands: { min: 1, max: 1 },
  run: async (context, { json, ...options }, [name = '']) => {
    const created = await createVolume(doorOf(context), options, name, PROGRAM.program);
    if (json) return printJson(context, { volume: created.volume, existed: created.existed });
    reportCreated(context, created);
    return undefined;
  },
});

/** The command that follows from the entry of a method. */
export function commandOf(method: ServerMethodName): AdmCommand {
  const command = derivedCommand(PROGRAM, method);
  assert(command !== null, `The entry of ${method} has no command`);
  return onThisServer(command);
}

/** All commands about volumes and jobs. */
export const VOLUME_COMMANDS: readonly AdmCommand[] = volumeCommands(PROGRAM, onThisServer, {
  'volume-list': VOLUME_LIST,
  'volume-create': VOLUME_CREATE,
  'volume-copy': onThisServer(copyAnywhereCommand(PROGRAM)),
  'volume-import': onThisServer(importCommand(PROGRAM)),
});
