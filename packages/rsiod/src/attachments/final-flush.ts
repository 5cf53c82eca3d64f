// Performs the final flush of a volume before a detach. The wait for I/O and the flush each take at most DETACH_WAIT_MS. This file also
// composes the messages about volumes in use and about data that a forced detach loses.

import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { DETACH_WAIT_MS, HAND_OVER_WAIT_MS } from './limits.ts';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { Frontends } from '../frontends/frontends.ts';
import type { FrontendVolume } from '../volumes/frontend-volume.ts';
import { labelOf } from './offers.ts';
import type { Volume } from '../volumes/volume.ts';

/**
 * Waits for a volume's I/O to complete, then flushes the volume. Throws E_TIMEOUT if the I/O or the flush takes longer than DETACH_WAIT_MS,
 * and E_VOLUME if the flush fails.
 */
export async function flushForLast(volume: Volume, label: string, clock: Clock): Promise<void> {
  await withinDetachWait(`finish the I/O of ${label}`, clock, (done) => volume.onIdle(done));
  if (volume.readonly) return;
  const status = await withinDetachWait<Status>(`flush ${label}`, clock, (done) => volume.flush(done));
  if (status === STATUS.OK) return;
  throw new RsError(
    'E_VOLUME',
    `The last flush failed (${statusEntry(status).sentence}): writes since the last successful flush may be lost; use --force to detach anyway`,
  );
}

/**
 * Describes what a forced detach loses and what the administrator must still do; returns null if nothing is lost. `unflushedBytes` counts
 * acknowledged bytes that have not been flushed.
 */
export function lossByForce(users: readonly string[], unflushedBytes: number, serverText: string): string | null {
  const mounts = users.filter((user) => user.startsWith('mount point '));
  const remedy = mounts.length > 0 ? '; umount what is mounted, and mount it again when the volume is attached again' : '';
  const parts = [
    ...(users.length > 0 ? [`it was in use by ${users.join(', ')}: unwritten data is lost, and I/O fails from now on${remedy}`] : []),
    ...(unflushedBytes > 0
      ? [
          `${unflushedBytes} written bytes were not flushed and are abandoned here: ${serverText} may have them, but loses them if its machine crashes`,
        ]
      : []),
  ];
  return parts.length === 0 ? null : parts.join('; ');
}

/** Resolves with a text that names the volumes in use and their users; null if no volume is in use. */
export async function whyInUse(attached: readonly FrontendVolume[], frontends: Frontends): Promise<string | null> {
  const volumes = [...attached, ...frontends.leftVolumes];
  const users = await Promise.all(volumes.map((volume) => frontends.usersAtEnd(volume)));
  const used = volumes.flatMap((volume, at) =>
    users[at]?.length === 0 ? [] : [`${labelOf(volume)} is in use by ${users[at]?.join(', ')}`],
  );
  return used.length === 0 ? null : `${used.join('; ')}: end that first, or use rsconfig stop --force`;
}

/**
 * Resolves with a text that names the volumes in use whose devices would end with this process, although another process replaces it; null
 * if there are none. The previous process's devices, which wait for their volumes, are held by the keeper.
 */
export async function whyNotReplaced(attached: readonly FrontendVolume[], frontends: Frontends): Promise<string | null> {
  const cut = await Promise.all(
    attached.map(async (volume) => {
      const lack = await frontends.lackAtRestart(volume);
      const users = lack === null ? [] : await frontends.usersAtEnd(volume);
      return users.length === 0 ? [] : [`${labelOf(volume)} is in use by ${users.join(', ')}, and a restart would cut it off (${lack})`];
    }),
  );
  const sentences = cut.flat();
  return sentences.length === 0
    ? null
    : `${sentences.join('; ')}: end that first, and run rsconfig restart again; rsiod goes on until then`;
}

/** Flushes as many volumes as possible within HAND_OVER_WAIT_MS, and logs failures. */
export async function flushAll(volumes: readonly Volume[], clock: Clock, log: Log): Promise<void> {
  const flushes = volumes.map((volume) =>
    flushForLast(volume, labelOf(volume), clock).catch((thrown: unknown) => log.warn(`${labelOf(volume)}: ${toRsError(thrown).message}`)),
  );
  await new Promise<void>((resolve) => {
    const timer = clock.after(HAND_OVER_WAIT_MS, resolve);
    void Promise.all(flushes).then(() => {
      timer.cancel();
      resolve();
    });
  });
}

/**
 * Resolves with the result that `begin` passes to `done`. Throws E_TIMEOUT if `done` is not called within DETACH_WAIT_MS; `what` describes
 * the server's task in the message.
 */
export function withinDetachWait<T = void>(what: string, clock: Clock, begin: (done: (result: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(DETACH_WAIT_MS, () =>
      reject(new RsError('E_TIMEOUT', `The server did not ${what} within ${DETACH_WAIT_MS / 1000} s: try again, or use --force`)),
    );
    begin((result) => {
      timer.cancel();
      resolve(result);
    });
  });
}
