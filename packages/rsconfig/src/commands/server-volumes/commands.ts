// The commands about the volumes of servers. rsconfig shares most of them with rsadm (manage/volumes), and sends their requests to a server
// through rsiod. This file also implements `volume list`, which shows the inventory of all servers.

import { type Command, JSON_OPTION, type OptionValues, parseWait, printJson, WAIT_OPTION } from '@rsio/common/cli/command';
import type { VolumeDoor } from '@rsio/api/manage/volumes/door';
import { poolNameOf } from '@rsio/api/views/values';
import { volumeCommands } from '@rsio/api/manage/volumes/shared';
import { snapshotCommand } from '@rsio/api/manage/volumes/snapshots';
import { type ConfigCommand, defineCommand } from '../../cli/context.ts';
import { ordered } from '../../cli/order-waiting.ts';
import { withTriggers } from '../../freeze/client-triggers.ts';
import { freezing } from '../../freeze/freeze.ts';
import { VOLUME_CREATE } from './create.ts';
import { doorOf, PLACE_OPTIONS, PLACE_SYNOPSIS, PROGRAM } from './door.ts';
import { gaps, INVENTORY_SHAPE, inventoryTable, isComplete, removedInventory, takeInventory } from './inventory.ts';
import type { PlaceFilter } from './servers.ts';

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

const VOLUME_LIST = defineCommand({
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

/** All commands about volumes and jobs of servers. */
export const VOLUME_COMMANDS: readonly ConfigCommand[] = volumeCommands(PROGRAM, atServer, {
  'volume-list': VOLUME_LIST,
  'volume-create': VOLUME_CREATE,
  'volume-snapshot': withFreeze(snapshotCommand(PROGRAM)),
});
