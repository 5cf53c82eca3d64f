// Replaces rssrv's storage/open-backend.ts: wraps a volume's backend so that it shows the faults that volume-faults.ts names. For a volume
// without faults, the backend is returned unchanged. An operation passes the faults in this order: pause, delay, throttle, errors, unsynced
// writes.

import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import type { Backend } from '@rsio/rssrv/storage/io/backend';
import type { BackendPorts } from '@rsio/rssrv/storage/files/backend-ports';
import { openBackend as openSoundBackend } from '@rsio/rssrv/storage/open-backend';
import { delay, failure, type Fault, pause, throttle } from './fault-rules.ts';
import { FaultyBackend } from './faulty-backend.ts';
import { UnsyncedBackend } from './unsynced-backend.ts';
import { UnsyncedLog } from './unsynced-log.ts';
import { UnsyncedStore } from './unsynced-store.ts';
import { faultsOf, unsyncedFile } from './volume-faults.ts';

const RANDOM_STEPS = 2 ** 32;
/** The unsynced stores in use, keyed by the path of the store's log. `users`: the number of backends that use the store. */
const stores = new Map<string, { readonly store: UnsyncedStore; users: number }>();

/** Opens a backend as rssrv's own function does, and wraps it. If wrapping fails, closes the backend and throws E_VOLUME. */
export async function openBackend(volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  const backend = await openSoundBackend(volume, ports);
  try {
    const { losesUnsynced, errors = [], delays = [], pauseFile, bytesPerSecond } = faultsOf(volume.name);
    const inner = losesUnsynced === true ? withUnsynced(backend, unsyncedFile(volume.id), volume.path ?? '', ports) : backend;
    const world = {
      clock: ports.clock,
      random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
      isThere: (file: string) => fs.existsSync(file),
    };
    const faults: Fault[] = [];
    if (pauseFile !== undefined) faults.push(pause(pauseFile, world));
    if (delays.length > 0) faults.push(delay(delays, world));
    if (bytesPerSecond !== undefined) faults.push(throttle(bytesPerSecond, world));
    if (errors.length > 0) faults.push(failure(errors, world));
    return faults.length === 0 ? inner : new FaultyBackend(inner, faults, ports.onError);
  } catch (thrown) {
    await backend.close();
    const why = errnoName(thrown) ?? String(thrown);
    throw new RsError('E_VOLUME', `Volume ${volume.name}: its faults for tests cannot be used: ${why}`, { volume: volume.name }, thrown);
  }
}

function withUnsynced(backend: Backend, file: string, location: string, { onError }: BackendPorts): Backend {
  const known = stores.get(file) ?? { store: new UnsyncedStore(new UnsyncedLog(file, location)), users: 0 };
  stores.set(file, known);
  known.users++;
  return new UnsyncedBackend(backend, known.store, onError, () => {
    known.users--;
    if (known.users > 0) return;
    stores.delete(file);
    known.store.close();
  });
}
