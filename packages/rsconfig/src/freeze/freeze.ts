// Freezes the file systems on attached volumes while snapshots of the volumes are made. frozen-mounts.ts finds the file systems, and
// freezer.ts freezes them. Invariant: all checks are made before the first file system is frozen.

import path from 'node:path';
import { realpathSync } from 'node:fs';
import { MachineDevices } from '@rsio/base/daemon/block-stack';
import { mountTable } from '@rsio/base/daemon/mount-table';
import { rssrvPaths } from '@rsio/common/config/root-paths';
import type { ServerCall } from '@rsio/api/rssrv/call-server';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { VolumeName } from '@rsio/api/views/values';
import type { CommandContext } from '../cli/context.ts';
import { whileFrozen } from './freezer.ts';
import { type FrozenMount, type FrozenVolume, mountsToFreeze } from './frozen-mounts.ts';

/** Wraps `call`: freezes the file systems on the volumes during each request for snapshots. */
export function freezing(context: CommandContext, namespace: string, call: ServerCall): ServerCall {
  return async (method, params) => {
    if (method !== 'volume-snapshot') return call(method, params);
    const mounts = await findMounts(context, namespace, (params as ServerMethods['volume-snapshot']['params']).snapshots);
    const beganMs = context.clock.monotonicMs();
    const answer = await whileFrozen(context.clock, mounts, () => call(method, params));
    const lasted = printDuration(Math.ceil(context.clock.monotonicMs() - beganMs));
    context.note(`Frozen for at most ${lasted}: ${mounts.map(({ mountPoint, source }) => `${mountPoint} (${source})`).join(', ')}`);
    return answer;
  };
}

async function findMounts(context: CommandContext, namespace: string, wanted: readonly VolumeName[]): Promise<readonly FrozenMount[]> {
  if (process.geteuid?.() !== 0)
    throw new RsError('E_RIGHTS', 'Freezing a file system needs root: run rsconfig as root, or leave --freeze out');
  const { attachments } = await context.call('local', {});
  const volumes = wanted.map(({ name, universe }): FrozenVolume => {
    const label = `${namespace}:${name}@${universe}`;
    const here = attachments.find((one) => one.namespace === namespace && one.name === name && one.universe === universe);
    if (here === undefined)
      throw new RsError(
        'E_USAGE',
        `Nothing was frozen, because ${label} is not attached here: run the command on the client that has it mounted`,
      );
    return { label, device: here.blockDevice };
  });
  return mountsToFreeze(volumes, await mountTable(), ourFolders(context), new MachineDevices());
}

/** Returns the folders to which rsiod and rssrv on this machine write. */
function ourFolders({ paths }: CommandContext): string[] {
  const folders = [paths, rssrvPaths(paths.root)].flatMap(({ logDir, runDir, stateDir, configFile }) => [
    logDir,
    runDir,
    stateDir,
    path.dirname(configFile),
  ]);
  return [...new Set(folders.map(real))];
}

/** Resolves symbolic links in the existing part of a path. */
function real(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    const parent = path.dirname(folder);
    return parent === folder ? folder : path.join(real(parent), path.basename(folder));
  }
}
