// Wraps a volume's backend so that it injects the faults that the volume's `test-...` keys configure. If no such key is configured, the
// backend is returned unchanged. An operation passes the faults in this order: pause, delay, throttle, errors, unsynced writes.

import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import { errnoName, RsError } from '@rsio/common/lib/errors';
import type { ServedVolume } from '../io/served-volume.ts';
import type { Backend } from '../io/backend.ts';
import type { BackendPorts } from '../files/backend-ports.ts';
import { delay, failure, type Fault, pause, throttle } from './fault-rules.ts';
import { FaultyBackend } from './faulty-backend.ts';
import { UnsyncedBackend } from './unsynced-backend.ts';
import { UnsyncedLog } from './unsynced-log.ts';
import { UnsyncedStore } from './unsynced-store.ts';

const RANDOM_STEPS = 2 ** 32;
/** The unsynced stores in use, keyed by the path of the store's log. `users`: the number of backends that use the store. */
const stores = new Map<string, { readonly store: UnsyncedStore; users: number }>();

/** Returns the backend with the faults of the volume. If the wrapping fails, closes the backend and throws E_VOLUME. */
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
    const faults: Fault[] = [];
    if (pauseFile !== null) faults.push(pause(pauseFile, world));
    if (delays.length > 0) faults.push(delay(delays, world));
    if (bytesPerSecond !== null) faults.push(throttle(bytesPerSecond, world));
    if (errors.length > 0) faults.push(failure(errors, world));
    return faults.length === 0 ? inner : new FaultyBackend(inner, faults, ports.onError);
  } catch (thrown) {
    await backend.close();
    throw new RsError(
      'E_VOLUME',
      `Volume ${volume.name}: ${test.unsyncedFile} cannot be used (${errnoName(thrown) ?? String(thrown)}): let rssrv write there`,
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
