// The commands about volumes that rsadm shares with rsconfig (manage/volumes). rsadm sends the requests to rssrv on this machine.
// Invariant: each command that changes something sends an id with its request, so that the request is never executed twice.

import { type Command, JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { object } from '@rsio/common/lib/shape';
import { NO_VOLUME, removedTable, volumesTable, volumeText } from '@rsio/api/manage/server-tables';
import { copyAnywhereCommand } from '@rsio/api/manage/volumes/copy';
import { CREATE, CREATED_FIELDS, createVolume, reportCreated } from '@rsio/api/manage/volumes/create';
import type { VolumeDoor, VolumeProgram, VolumeTarget } from '@rsio/api/manage/volumes/door';
import { poolNameOf, volumeName } from '@rsio/api/manage/volumes/values';
import { accessCommands } from '@rsio/api/manage/volumes/access';
import { haltCommands } from '@rsio/api/manage/volumes/halts';
import { imageCommands } from '@rsio/api/manage/volumes/images';
import { purgeCommand } from '@rsio/api/manage/volumes/purge';
import { jobCommands } from '@rsio/api/manage/volumes/jobs';
import { promoteCommand } from '@rsio/api/manage/volumes/promotion';
import { replicationCommands } from '@rsio/api/manage/volumes/replication';
import { demoteCommand, reverseCommand } from '@rsio/api/manage/volumes/roles';
import { snapshotCommands } from '@rsio/api/manage/volumes/snapshots';
import { volumeCommands } from '@rsio/api/manage/volumes/commands';
import { type AdmCommand, type AdmContext, defineCommand } from '../cli/context.ts';
import { importCommand } from './import.ts';

const PROGRAM: VolumeProgram = {
  program: 'rsadm',
  place: {},
  completesVolumes: `"\${ask[@]}" volume list | tail -n +2 | cut -d' ' -f1`,
  completesRemoved: `"\${ask[@]}" volume list --removed | tail -n +2 | cut -d' ' -f1`,
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

const VERBS = volumeCommands(PROGRAM, 'jobs');
export const VOLUME_SHOW = onThisServer(VERBS.show);
export const VOLUME_GROW = onThisServer(VERBS.grow);
export const VOLUME_RENAME = onThisServer(VERBS.rename);
export const VOLUME_SET = onThisServer(VERBS.set);
export const VOLUME_REMOVE = onThisServer(VERBS.remove);
export const VOLUME_RESTORE = onThisServer(VERBS.restore);
export const VOLUME_PURGE = onThisServer(purgeCommand(PROGRAM));

const SNAPSHOTS = snapshotCommands(PROGRAM);
export const VOLUME_SNAPSHOT = onThisServer(SNAPSHOTS.snapshot);
export const VOLUME_CLONE = onThisServer(SNAPSHOTS.clone);
export const VOLUME_ROLLBACK = onThisServer(SNAPSHOTS.rollback);
export const VOLUME_DIFF = onThisServer(SNAPSHOTS.diff);

const IMAGES = imageCommands(PROGRAM, 'jobs');
export const VOLUME_IMAGE = onThisServer(IMAGES.image);
export const VOLUME_REFRESH = onThisServer(IMAGES.refresh);
export const VOLUME_SPLIT = onThisServer(IMAGES.split);

const REPLICATIONS = replicationCommands(PROGRAM);
export const VOLUME_REPLICATE = onThisServer(REPLICATIONS.replicate);
export const VOLUME_REPLICATIONS = onThisServer(REPLICATIONS.replications);
export const VOLUME_SEED = onThisServer(REPLICATIONS.seed);
export const VOLUME_PROMOTE = onThisServer(promoteCommand(PROGRAM));
export const VOLUME_REVERSE = onThisServer(reverseCommand(PROGRAM));
export const VOLUME_DEMOTE = onThisServer(demoteCommand(PROGRAM));

const ACCESS = accessCommands(PROGRAM);
export const VOLUME_REVOKE = onThisServer(ACCESS.revoke);
export const VOLUME_ALLOW = onThisServer(ACCESS.allow);

const HALTS = haltCommands(PROGRAM);
export const VOLUME_PAUSE = onThisServer(HALTS.pause);
export const VOLUME_RESUME = onThisServer(HALTS.resume);
export const VOLUME_STOP = onThisServer(HALTS.stop);
export const VOLUME_START = onThisServer(HALTS.start);

const JOB_VERBS = jobCommands(PROGRAM, 'jobs');
export const VOLUME_MOVE = onThisServer(JOB_VERBS.move);
export const VOLUME_COPY = onThisServer(copyAnywhereCommand(PROGRAM, 'jobs'));
export const VOLUME_IMPORT = onThisServer(importCommand(PROGRAM, 'jobs'));
export const JOBS = onThisServer(JOB_VERBS.list);
export const JOBS_CANCEL = onThisServer(JOB_VERBS.cancel);
export const JOBS_LIMIT = onThisServer(JOB_VERBS.limit);

export const VOLUME_LIST = defineCommand({
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

export const VOLUME_CREATE = defineCommand({
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
