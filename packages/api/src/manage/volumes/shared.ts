// All commands about the volumes of a server that rsadm and rsconfig share, by the method whose command they are: those that follow from the
// entry of the method, and those with a body of their own, for a reason that the entry gives.

import type { Command } from '@rsio/common/cli/command';
import type { ServerMethod } from '../../rssrv/server-method.ts';
import { SERVER_METHODS, type ServerMethodName } from '../../rssrv/server-methods.ts';
import { allowCommand } from './access.ts';
import { removeCommand, restoreCommand, setCommand } from './commands.ts';
import { copyCommand } from './copy.ts';
import { derivedCommand } from './derived.ts';
import { diffCommand } from './diff.ts';
import type { VolumeDoor, VolumeProgram } from './door.ts';
import { imageCommand, refreshCommand } from './images.ts';
import { moveCommand } from './jobs.ts';
import { promoteCommand } from './promotion.ts';
import { purgeCommand } from './purge.ts';
import { replicateCommand } from './replication.ts';
import { demoteCommand, reverseCommand } from './roles.ts';
import { snapshotCommand } from './snapshots.ts';

type ByMethod<T> = { readonly [M in ServerMethodName]?: T };

const BY_HAND: ByMethod<(given: VolumeProgram) => Command<VolumeDoor>> = {
  'volume-set': setCommand,
  'volume-remove': removeCommand,
  'volume-restore': restoreCommand,
  'volume-purge': purgeCommand,
  'volume-allow': allowCommand,
  'volume-snapshot': snapshotCommand,
  'volume-diff': diffCommand,
  'volume-image': imageCommand,
  'volume-refresh': refreshCommand,
  'volume-replicate': replicateCommand,
  'volume-promote': promoteCommand,
  'volume-reverse': reverseCommand,
  'volume-demote': demoteCommand,
  'volume-move': moveCommand,
  'volume-copy': copyCommand,
};

/** The command of a method that both programs have; null if there is none. */
export function sharedCommand(given: VolumeProgram, method: ServerMethodName): Command<VolumeDoor> | null {
  const { command }: ServerMethod = SERVER_METHODS[method];
  if ('only' in command) return null;
  return BY_HAND[method]?.(given) ?? derivedCommand(given, method);
}

/**
 * Returns the commands about volumes in the order of the methods. `own`: commands that the program has in place of the shared ones, or
 * besides them. `through`: gives a shared command the door of the program.
 */
export function volumeCommands<C>(given: VolumeProgram, through: (command: Command<VolumeDoor>) => C, own: ByMethod<C>): readonly C[] {
  const methods = Object.keys(SERVER_METHODS) as ServerMethodName[];
  return methods.flatMap((method) => {
    const mine = own[method];
    if (mine !== undefined) return [mine];
    const shared = sharedCommand(given, method);
    return shared === null ? [] : [through(shared)];
  });
}
