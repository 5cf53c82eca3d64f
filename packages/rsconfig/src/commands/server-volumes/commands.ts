// The commands about the volumes of servers. rsconfig shares most of them with rsadm (manage/volumes), and sends their requests to a server
// through rsiod. This file also implements `volume list`, which shows the inventory of all servers. Invariant: a volume that is attached
// here is not removed.

import { type Command, JSON_OPTION, type OptionSpec, type OptionValues, parseWait, printJson, WAIT_OPTION } from '@rsio/common/cli/command';
import { accessCommands } from '@rsio/api/manage/volumes/access';
import { text } from '@rsio/common/lib/shape';
import { RsError } from '@rsio/common/lib/errors';
import { copyCommand } from '@rsio/api/manage/volumes/copy';
import type { Purpose, VolumeDoor, VolumeProgram, VolumeTarget } from '@rsio/api/manage/volumes/door';
import { poolNameOf } from '@rsio/api/manage/volumes/values';
import { haltCommands } from '@rsio/api/manage/volumes/halts';
import { imageCommands } from '@rsio/api/manage/volumes/images';
import { purgeCommand } from '@rsio/api/manage/volumes/purge';
import { jobCommands } from '@rsio/api/manage/volumes/jobs';
import { promoteCommand } from '@rsio/api/manage/volumes/promotion';
import { replicationCommands } from '@rsio/api/manage/volumes/replication';
import { demoteCommand, reverseCommand } from '@rsio/api/manage/volumes/roles';
import { snapshotCommands } from '@rsio/api/manage/volumes/snapshots';
import { volumeCommands } from '@rsio/api/manage/volumes/commands';
import { type CommandContext, type ConfigCommand, defineCommand, usageError } from '../../cli/context.ts';
import { ordered } from '../../cli/order-waiting.ts';
import { withTriggers } from '../../freeze/client-triggers.ts';
import { freezing } from '../../freeze/freeze.ts';
import { findRemoved, findVolume, serversFor } from './find.ts';
import { gaps, INVENTORY_SHAPE, inventoryTable, isComplete, removedInventory, takeInventory } from './inventory.ts';
import { type PlaceFilter, placesOf } from './servers.ts';

/** Names without the namespace, because bash splits words at a colon. */
const NAMES = `tail -n +2 | cut -d' ' -f1 | sed 's/^[^:]*://'`;

export const PROGRAM: VolumeProgram = {
  program: 'rsconfig',
  place: { namespace: text(), server: text() },
  completesVolumes: `"\${ask[@]}" volume list | ${NAMES}`,
  completesRemoved: `"\${ask[@]}" volume list --removed | ${NAMES}`,
};

export const PLACE_OPTIONS = {
  server: { kind: 'text', value: 'S', help: 'use only server S' },
  namespace: { kind: 'text', value: 'N', help: 'use only servers of namespace N' },
} as const satisfies Readonly<Record<string, OptionSpec>>;

export const PLACE_SYNOPSIS = '[--server S] [--namespace N]';

export function doorOf(context: CommandContext, filter: PlaceFilter): VolumeDoor {
  const { server, namespace } = filter;
  if (server === '') throw usageError('--server is empty: give the name of a server');
  if (namespace === '') throw usageError('--namespace is empty: give the name of a namespace');
  return {
    ...context,
    local: null,
    find: async (name, purpose) => notAttached(context, await findVolume(context, name, filter, purpose), purpose),
    findRemoved: (name) => findRemoved(context, name, filter),
    choose: (name, wanted) => serversFor(context, name, filter, wanted),
  };
}

/** Returns `target` if the command may continue. Throws E_IN_USE if `purpose` is `remove` and the volume is attached on this machine. */
async function notAttached(context: CommandContext, target: VolumeTarget, purpose: Purpose): Promise<VolumeTarget> {
  if (purpose !== 'remove') return target;
  const { name, universe } = target.volume;
  const namespace = target.place['namespace'] ?? null;
  const { attachments, awaited } = await context.call('local', {});
  const ids = [...attachments, ...awaited]
    .filter((one) => one.namespace === namespace && one.name === name && one.universe === universe)
    .map(({ id }) => id);
  if (ids.length === 0) return target;
  const places = await placesOf(context, { namespace, server: null });
  const [listed] = places
    .filter(({ server, isConnected }) => server === target.server && isConnected)
    .flatMap((place) => place.listed.filter((one) => one.name === name && one.universe === universe));
  // The volume may be removed if the server's list shows that the volume only has the same name: it is neither the attached volume nor a
  // replica of the attached mirror. A volume that the server does not list may be the attached volume.
  if (listed !== undefined && !ids.includes(listed.id) && (listed.mirror === null || !ids.includes(listed.mirror))) return target;
  const label = target.label(target.volume);
  throw new RsError('E_IN_USE', `${label} is attached here: detach it first (rsconfig -d ${label})`);
}

/**
 * Extends the snapshot command: rsiod runs the triggers of this client before and after the snapshot, and --freeze freezes the file systems
 * on the volumes while the snapshot is made.
 */
function withFreeze(command: Command<VolumeDoor>): ConfigCommand {
  const there = atServer(command);
  return {
    ...there,
    synopsis: there.synopsis.replace('volume snapshot ', 'volume snapshot [--freeze] '),
    details: `${command.details ?? ''}
With --freeze, the command freezes the file systems on the volumes that are
mounted on this client, so that each snapshot has a file system that needs no
repair. This needs root. The command also finds file systems on partitions, LVM
and md. Programs that write to these file systems wait until the snapshots are
made, at most 30 seconds. After that, or if the command is killed, the file
systems are thawed. A file system with files of rsiod or rssrv is refused.

If rscltcfg has triggers with snapshot-before or snapshot-after, rsiod starts
their programs before the file systems are frozen and after they are thawed. If
a trigger with snapshot-before fails, no snapshot is made.`,
    options: { ...there.options, freeze: { kind: 'flag', help: 'freeze the file systems while the snapshot is made' } },
    run: (given, values, words) =>
      ordered(given, waitOf(values), (context) => {
        const door = doorOf(context, filterOf(values));
        const find: VolumeDoor['find'] = async (name, purpose) => {
          const target = await door.find(name, purpose);
          const namespace = target.place['namespace'] ?? '';
          const call = values['freeze'] === true ? freezing(context, namespace, target.call) : target.call;
          return { ...target, call: withTriggers(context, namespace, call) };
        };
        return command.run({ ...door, find }, values, words);
      }),
  };
}

/**
 * Adds options to a shared command: the options that choose a server, and the option --wait. A command that already has an option --wait,
 * which waits for a job, keeps that option.
 */
function atServer(command: Command<VolumeDoor>): ConfigCommand {
  const ofJob = Object.hasOwn(command.options, 'wait');
  return {
    ...command,
    synopsis: `${command.synopsis}\n${PLACE_SYNOPSIS}${ofJob ? '' : ' [--wait[=T]]'}`,
    options: { ...command.options, ...PLACE_OPTIONS, ...(ofJob ? {} : { wait: WAIT_OPTION }) },
    run: (given, values, words) =>
      ordered(given, ofJob ? null : waitOf(values), (context) => command.run(doorOf(context, filterOf(values)), values, words)),
  };
}

function waitOf({ wait }: OptionValues): number | null {
  return typeof wait === 'string' ? parseWait(wait, 'rsconfig') : null;
}

function filterOf({ server, namespace }: OptionValues): PlaceFilter {
  const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return { server: textOf(server), namespace: textOf(namespace) };
}

const VERBS = volumeCommands(PROGRAM, 'volume jobs');
export const VOLUME_SHOW = atServer(VERBS.show);
export const VOLUME_GROW = atServer(VERBS.grow);
export const VOLUME_RENAME = atServer(VERBS.rename);
export const VOLUME_SET = atServer(VERBS.set);
export const VOLUME_REMOVE = atServer(VERBS.remove);
export const VOLUME_RESTORE = atServer(VERBS.restore);
export const VOLUME_PURGE = atServer(purgeCommand(PROGRAM));

const SNAPSHOTS = snapshotCommands(PROGRAM);
export const VOLUME_SNAPSHOT = withFreeze(SNAPSHOTS.snapshot);
export const VOLUME_CLONE = atServer(SNAPSHOTS.clone);
export const VOLUME_ROLLBACK = atServer(SNAPSHOTS.rollback);
export const VOLUME_DIFF = atServer(SNAPSHOTS.diff);

const IMAGES = imageCommands(PROGRAM, 'volume jobs');
export const VOLUME_IMAGE = atServer(IMAGES.image);
export const VOLUME_REFRESH = atServer(IMAGES.refresh);
export const VOLUME_SPLIT = atServer(IMAGES.split);

const REPLICATIONS = replicationCommands(PROGRAM);
export const VOLUME_REPLICATE = atServer(REPLICATIONS.replicate);
export const VOLUME_REPLICATIONS = atServer(REPLICATIONS.replications);
export const VOLUME_SEED = atServer(REPLICATIONS.seed);
export const VOLUME_PROMOTE = atServer(promoteCommand(PROGRAM));
export const VOLUME_REVERSE = atServer(reverseCommand(PROGRAM));
export const VOLUME_DEMOTE = atServer(demoteCommand(PROGRAM));

const ACCESS = accessCommands(PROGRAM);
export const VOLUME_REVOKE = atServer(ACCESS.revoke);
export const VOLUME_ALLOW = atServer(ACCESS.allow);

const HALTS = haltCommands(PROGRAM);
export const VOLUME_PAUSE = atServer(HALTS.pause);
export const VOLUME_RESUME = atServer(HALTS.resume);
export const VOLUME_STOP = atServer(HALTS.stop);
export const VOLUME_START = atServer(HALTS.start);

const JOB_VERBS = jobCommands(PROGRAM, 'volume jobs');
export const VOLUME_MOVE = atServer(JOB_VERBS.move);
export const VOLUME_COPY = atServer(copyCommand(PROGRAM, 'volume jobs'));
export const VOLUME_JOBS = atServer(JOB_VERBS.list);
export const VOLUME_JOBS_CANCEL = atServer(JOB_VERBS.cancel);
export const VOLUME_JOBS_LIMIT = atServer(JOB_VERBS.limit);

export const VOLUME_LIST = defineCommand({
  call: { by: 'words', words: 'volume list' },
  synopsis: `volume list [--pool P] [--removed]\n${PLACE_SYNOPSIS}`,
  summary: 'lists the volumes of all servers and who holds them',
  details: `The list has the volumes of all servers in all namespaces. If a server does not
answer, the command says why, lists the others, and exits with code 1.`,
  options: {
    pool: { kind: 'text', value: 'P', help: 'only the volumes of this pool' },
    removed: { kind: 'flag', help: 'the removed volumes that can be restored' },
    ...PLACE_OPTIONS,
    json: JSON_OPTION,
  },
  json: INVENTORY_SHAPE,
  run: async (context, { pool, removed, server, namespace, json }) => {
    doorOf(context, { server, namespace });
    const inventory = await takeInventory(context, { server, namespace }, pool === null ? null : poolNameOf('--pool', pool, 'rsconfig'));
    const code = isComplete(inventory) ? 0 : 1;
    if (json) {
      printJson(context, inventory);
      return code;
    }
    const table = removed ? removedInventory(inventory, context.clock.wallMs()) : inventoryTable(inventory, context.clock.wallMs());
    if (table !== null) context.out(table);
    for (const gap of gaps(inventory)) context.note(gap);
    if (table === null && code === 0) context.note(noVolume(pool, removed));
    return code;
  },
});

function noVolume(pool: string | null, isRemoved: boolean): string {
  if (isRemoved) return 'No removed volume can be restored';
  return pool === null ? 'No volume: rsconfig volume create NAME --size SIZE makes one' : `No volume in pool ${pool}`;
}
