// From the backend of a volume to one that shows the faults its `test-...` keys ask for. The one place that knows all wrappers.
// A volume without such keys keeps its backend. The outermost comes first: pause, delay, throttle, errors, then what is not synced.

import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import type { ServedVolume } from '../common/served-volume.ts';
import type { Backend } from '../common/backend.ts';
import type { BackendPorts } from '../files/backend-ports.ts';
import { delay, failure, type Fault, pause, throttle } from './interference.ts';
import { FaultyBackend } from './interfered-backend.ts';
import { UnsyncedBackend } from './unsynced-backend.ts';
import { UnsyncedLog } from './unsynced-log.ts';
import { UnsyncedStore } from './unsynced-store.ts';

const RANDOM_STEPS = 2 ** 32;
/** By the file of the log. */
const stores = new Map<string, { readonly store: UnsyncedStore; users: number }>();

/** Throws E_VOLUME, and the backend is closed then. */
export async function withFaults(backend: Backend, volume: ServedVolume, ports: BackendPorts): Promise<Backend> {
  const { test } = volume;
  if (test === undefined) return backend;
  try {
    const { unsyncedFile, errors, delays, pauseFile, bytesPerSecond } = test;
    const inner = unsyncedFile === null ? backend : withUnsynced(backend, unsyncedFile, volume.path ?? '', ports);
    const world = {
      clock: ports.clock,
      random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
      isThere: (file: string) => fs.existsSync(file),
    };
    const interferences: Fault[] = [];
    if (pauseFile !== null) interferences.push(pause(pauseFile, world));
    if (delays.length > 0) interferences.push(delay(delays, world));
    if (bytesPerSecond !== null) interferences.push(throttle(bytesPerSecond, world));
    if (errors.length > 0) interferences.push(failure(errors, world));
    return interferences.length === 0 ? inner : new FaultyBackend(inner, interferences, ports.onError);
  } catch (thrown) {
    await backend.close();
    throw new RsError(
      'E_VOLUME',
      `Volume ${volume.name}: ${test.unsyncedFile} cannot be used (${errnoName(thrown) ?? String(thrown)}): see that rssrv may write there`,
      { volume: volume.name },
      thrown,
    );
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
