// The checks of `rssrv --check`: whether the machine has the configured addresses, and whether each volume's storage can be served. The
// checks change nothing, create no file and listen on no port, so they are safe while rssrv is running. A start of rssrv reports the same
// problems with the same messages. Only a start notices that a port is in use, that another process has locked a file, or that a device is
// busy.

import dgram from 'node:dgram';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import path from 'node:path';
import type { ServerInterfaceConfig, ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { type RsError, toRsError } from '@rsio/base/lib/errors';
import { interfaceError } from './listening-sockets.ts';
import { type FileSystemOf, fileSystemOf } from '../machine/file-system.ts';
import { areLockable } from '../storage/locks/file-locks.ts';
import { FileSystems, storageWarnings } from '../volumes/storage-warnings.ts';
import { unlockedError, unlockedSentence } from '../volumes/volume-failures.ts';
import { fittingSize, inspectLocation, volumeError } from '../volumes/volume-storage.ts';

/** Returns the errors for interfaces on which rssrv could not listen. */
export async function missingAddresses(interfaces: readonly ServerInterfaceConfig[]): Promise<RsError[]> {
  const found = await Promise.all(interfaces.map(missingAddress));
  return found.filter((error) => error !== null);
}

export interface EnvironmentPorts {
  readonly systemOf: FileSystemOf;
  readonly lockable: (files: readonly string[]) => Promise<boolean[]>;
}

/** A volume whose file rssrv locks at its start. */
interface Lockable {
  readonly volume: ServerVolumeConfig;
  readonly location: string;
  /** Path that rssrv locks: the file of the volume, or the directory of the file if the file does not exist yet. */
  readonly lockTarget: string;
}

/** Returns warnings about volumes with risky settings, and about volumes that rssrv could not serve. */
export async function volumeWarnings(
  volumes: readonly ServerVolumeConfig[],
  { systemOf, lockable }: EnvironmentPorts = { systemOf: fileSystemOf, lockable: areLockable },
): Promise<string[]> {
  const found: string[] = [];
  const locked: Lockable[] = [];
  for (const volume of volumes) {
    try {
      const { warnings, toLock } = await checkStorage(volume, systemOf);
      found.push(...warnings);
      if (toLock !== null) locked.push(toLock);
    } catch (thrown) {
      found.push(asFailure(thrown));
    }
  }
  return [...found, ...(await lockWarnings(locked, lockable))];
}

async function lockWarnings(locked: readonly Lockable[], lockable: EnvironmentPorts['lockable']): Promise<string[]> {
  const can = await lockable(locked.map(({ lockTarget: there }) => there));
  const without = locked.filter((_, index) => can[index] !== true);
  return without.map(({ volume, location }) =>
    volume.unlocked === true ? unlockedSentence(volume, location) : asFailure(unlockedError(volume, location)),
  );
}

function asFailure(thrown: unknown): string {
  const { message, code } = toRsError(thrown);
  return `${message} [${code}]`;
}

/** Binds a datagram socket to any port of the address, because a running rssrv may be using the configured port. */
function missingAddress(config: ServerInterfaceConfig): Promise<RsError | null> {
  const { address } = config;
  return new Promise((resolve) => {
    const socket = dgram.createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', ipv6Only: isIPv6(address) });
    socket.once('error', (error) => {
      socket.close();
      resolve(interfaceError(error, config));
    });
    socket.bind({ address, port: 0, exclusive: true }, () => {
      socket.close();
      resolve(null);
    });
  });
}

async function checkStorage(
  volume: ServerVolumeConfig,
  systemOf: FileSystemOf,
): Promise<{ readonly warnings: readonly string[]; readonly toLock: Lockable | null }> {
  if (volume.type === 'memory' || volume.type === 'null') return { warnings: [], toLock: null };
  const { path: location, kind, stats } = await inspectLocation(volume, systemOf);
  if (stats !== null) fittingSize(volume, location, stats);
  const rights = volume.readonly ? constants.R_OK : constants.R_OK | constants.W_OK;
  const directory = path.dirname(location);
  try {
    if (kind === 'missing') await access(directory, constants.W_OK | constants.X_OK);
    else await access(location, rights);
  } catch (thrown) {
    if (kind === 'missing') throw volumeError(volume, `${location} cannot be created`, `let rssrv write to ${directory}`, thrown);
    const remedy = volume.readonly ? 'let rssrv read it' : 'let rssrv read and write it, or set readonly = yes';
    throw volumeError(volume, `${location} cannot be opened`, remedy, thrown);
  }
  // A block device is not locked, because the server opens block devices exclusively.
  const toLock = kind === 'block' ? null : { volume, location, lockTarget: kind === 'missing' ? directory : location };
  return { warnings: await storageWarnings(volume, location, stats, new FileSystems(systemOf)), toLock };
}
