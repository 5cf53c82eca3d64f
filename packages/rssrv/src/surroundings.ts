// What `rssrv --check` looks at besides the file: whether this machine has the addresses, and what the volumes stand on. Changes nothing,
// makes no file, listens nowhere, and does not mind a running rssrv. What it finds, a start would say in the same words; what only a
// start can find out (a port that is taken, a lock, a device in use) it leaves to that.

import dgram from 'node:dgram';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import path from 'node:path';
import type { ServerInterfaceConfig, ServerVolumeConfig } from '@rsio/protocol/config/types';
import { type RsError, toRsError } from '@rsio/protocol/lib/errors';
import { listenError } from './entrances.ts';
import { type FileSystemOf, fileSystemOf } from './file-system.ts';
import { storageDoubts } from './storage-doubts.ts';
import { fittingSize, lookAt, volumeError } from './volume-storage.ts';

/** Interfaces that rssrv could not listen on, each with its reason; with one that it can a start goes on without those whose address is missing. */
export async function missingAddresses(interfaces: readonly ServerInterfaceConfig[]): Promise<RsError[]> {
  const found = await Promise.all(interfaces.map(missingAddress));
  return found.filter((error) => error !== null);
}

/** What there is to say of the volumes: that one could not be served (rssrv would start without it), or not as somebody may think. */
export async function volumeDoubts(volumes: readonly ServerVolumeConfig[], systemOf: FileSystemOf = fileSystemOf): Promise<string[]> {
  const found: string[] = [];
  for (const volume of volumes) {
    try {
      found.push(...(await checkStorage(volume, systemOf)));
    } catch (thrown) {
      const { message, code } = toRsError(thrown);
      found.push(`${message} [${code}]`);
    }
  }
  return found;
}

/** A datagram socket on any port tells whether the machine has the address: the one of the file may be in use by rssrv itself. */
function missingAddress(config: ServerInterfaceConfig): Promise<RsError | null> {
  const { address } = config;
  return new Promise((resolve) => {
    const socket = dgram.createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', ipv6Only: isIPv6(address) });
    socket.once('error', (error) => {
      socket.close();
      resolve(listenError(error, config));
    });
    socket.bind({ address, port: 0, exclusive: true }, () => {
      socket.close();
      resolve(null);
    });
  });
}

async function checkStorage(volume: ServerVolumeConfig, systemOf: FileSystemOf): Promise<string[]> {
  if (volume.type === 'memory' || volume.type === 'null') return [];
  const { path: place, kind, stats } = await lookAt(volume, systemOf);
  if (stats !== null) fittingSize(volume, place, stats);
  const rights = volume.readonly ? constants.R_OK : constants.R_OK | constants.W_OK;
  const directory = path.dirname(place);
  try {
    if (kind === 'missing') await access(directory, constants.W_OK | constants.X_OK);
    else await access(place, rights);
  } catch (thrown) {
    if (kind === 'missing') throw volumeError(volume, `${place} cannot be created`, `see that rssrv may write to ${directory}`, thrown);
    const remedy = volume.readonly ? 'let rssrv read it' : 'let rssrv read and write it, or set readonly = yes';
    throw volumeError(volume, `${place} cannot be opened`, remedy, thrown);
  }
  return storageDoubts(volume, place, stats, systemOf);
}
