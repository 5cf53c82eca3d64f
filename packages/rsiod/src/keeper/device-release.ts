// Releases the devices that the previous process left behind and whose volumes will not be reattached. Several devices are released at a
// time, and the caller waits at most STOP_WAIT_MAX_MS for all of them. Invariant: a device that cannot be released does not delay the other
// devices. The log reports such a device, and the next start of rsiod removes the device.

import type { Clock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { STOP_WAIT_MAX_MS, VOLUMES_AT_ONCE } from '../sys/limits.ts';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import type { LeftDevice } from './kept-devices.ts';

export interface ReleasePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly release: (device: LeftDevice) => Promise<void>;
}

export async function releaseAll(left: readonly LeftDevice[], { clock, log, release }: ReleasePorts): Promise<void> {
  const all = severalAtOnce(left, VOLUMES_AT_ONCE, (device) =>
    release(device).catch((thrown: unknown) => log.warn(`${device.note.raw}: ${toRsError(thrown).message}`)),
  );
  await new Promise<void>((resolve) => {
    const timer = clock.after(STOP_WAIT_MAX_MS, () => {
      log.warn(`Some devices of the previous process could not be removed within ${STOP_WAIT_MAX_MS / 1000} s`);
      resolve();
    });
    void all.then(() => {
      timer.cancel();
      resolve();
    });
  });
}
