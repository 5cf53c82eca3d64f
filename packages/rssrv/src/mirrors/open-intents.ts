// Wraps the backend of a replica with its intent map. Invariant: at most one wrapper in this process has a map open, because two wrappers
// would overwrite each other's bits. A new wrapper waits, for a bounded time, until an earlier wrapper has closed the map. Two processes
// never have a map open at the same time, because the listener ends a session before it grants the volumes of the session to another
// process.

import { within } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { BackendPorts } from '../storage/files/backend-ports.ts';
import { asVolumeError } from '../storage/files/opened-file.ts';
import type { VolumeFiles } from '../storage/files/volume-files.ts';
import type { Backend } from '../storage/io/backend.ts';
import type { ServedReplica, ServedVolume } from '../storage/io/served-volume.ts';
import { IntentBackend } from './intent-backend.ts';
import { MAP_CLOSE_WAIT_MS } from './limits.ts';
import { descriptorDisk } from './map-disk.ts';
import { regionsOf } from './map-file.ts';
import { MapWriter, readMap } from './map-writer.ts';

/** The open maps of this process, by path. Each promise resolves when the map is closed. */
const open = new Map<string, Promise<void>>();

/**
 * Returns the backend, wrapped if the volume is a replica and unchanged if it is not. On failure, closes the backend and throws
 * E_VOLUME.
 */
export async function withIntents(
  backend: Backend,
  volume: ServedVolume,
  ports: Pick<BackendPorts, 'clock' | 'files' | 'threads' | 'onError'>,
  log: Pick<Log, 'warn'>,
): Promise<Backend> {
  const { replica, name, id, sizeBytes } = volume;
  if (replica === undefined) return backend;
  const { mapPath, identity } = replica;
  let closed = (): void => undefined;
  try {
    await closedBefore(mapPath, name, ports.clock);
    const isClosed = new Promise<void>((resolve) => {
      closed = () => {
        open.delete(mapPath);
        resolve();
      };
    });
    open.set(mapPath, isClosed);
    const descriptor = await descriptorOf(replica, ports.files);
    const disk = descriptorDisk(descriptor, ports.threads, id);
    const opened = await readMap(disk, identity, regionsOf(sizeBytes));
    if (opened.trouble !== null)
      log.warn(
        `The intent map ${mapPath} of replica ${name} is not used, because ${opened.trouble}: all of its regions count as changed, so that ` +
          'all of its data is compared or copied at the next resync',
        { volume: name },
      );
    const writer = new MapWriter(opened, disk, identity, (errno) => ports.onError('write', errno));
    // Starts a sync of the map now, so that the first changes of regions whose bits are set need not wait for a sync.
    writer.sync(() => undefined);
    return new IntentBackend(backend, opened.map, writer, disk, closed);
  } catch (thrown) {
    closed();
    await backend.close();
    throw asVolumeError(name, mapPath, thrown);
  }
}

/** Takes the file of the map, which the listener has opened. With `isVolatile`, it has no second descriptor for FUA writes. */
async function descriptorOf(replica: ServedReplica, files: VolumeFiles): Promise<number> {
  return (await files.open({ path: replica.mapPath, readonly: false, isVolatile: true })).descriptor;
}

async function closedBefore(mapPath: string, name: string, clock: Clock): Promise<void> {
  for (let before = open.get(mapPath); before !== undefined; before = open.get(mapPath)) {
    const isClosed = await within(
      clock,
      MAP_CLOSE_WAIT_MS,
      before.then(() => true),
      () => false,
    );
    if (isClosed) continue;
    throw new RsError(
      'E_VOLUME',
      `Volume ${name}: an earlier handle of it is still being closed, because its storage does not answer: try again`,
      {
        volume: name,
      },
    );
  }
}
