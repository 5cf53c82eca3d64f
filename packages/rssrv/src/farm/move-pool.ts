// Moves a shared pool to another owner, for a command that may be given at any of the owners: asks the present owner through the note of
// this server, and watches the record. Invariant: the command ends when the new owner serves the pool, when the present owner refuses, or
// after MOVE_MS.

import { sleep } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { FarmRecord } from './farm-record.ts';
import { HURRY_MS, MOVE_MS, REFUSAL_KEPT_MS } from './limits.ts';
import type { SharedPool } from './shared-pool.ts';

/** `server`: the name of this server. Throws E_USAGE, E_POOL, E_STORAGE or E_TIMEOUT, with the reason. */
export async function movePool(pool: SharedPool, server: string, to: string, clock: Clock): Promise<void> {
  const failure = (why: string): RsError => new RsError('E_POOL', `Pool ${pool.name}: ${why}`, { pool: pool.name });
  // The last look may be older than the last change.
  await pool.renew();
  let record = recordOf(pool);
  if (record === null) throw failure(pool.status.why);
  if (!record.owners.includes(to))
    throw new RsError('E_USAGE', `Server ${to} is not an owner of pool ${pool.name}: ${record.owners.join(', ')} are`);
  const { generation: firstGeneration, owner: firstOwner } = record;
  // The record may name `to` as the owner although `to` has restarted since then, and waits for a command.
  const isServed = (): boolean => {
    const now = recordOf(pool);
    if (now?.state !== 'serving' || now.owner?.server !== to) return false;
    return now.generation !== firstGeneration || servedBy(pool, server, to) === now.generation;
  };
  // A request is void once the pool has a new generation, because the owner may have restarted, or `to` may have failed to mount the pool.
  // The request is then made again.
  const renewed = (asked: FarmRecord): FarmRecord => {
    const now = recordOf(pool);
    if (now === null || now.generation <= asked.generation || ![firstOwner?.server, to].includes(now.owner?.server)) return asked;
    pool.ask({ generation: now.generation, to });
    return now;
  };
  if (isServed()) return;
  if (!pool.isThere(to)) throw failure(`server ${to} does not watch it: start rssrv there, and see that its rssrvcfg has the pool`);
  pool.ask({ generation: record.generation, to });
  const beganMs = clock.monotonicMs();
  // The note of the owner may still have the answer to an earlier request for a moment.
  const earlier = refusalOf(pool, server, record);
  try {
    while (!isServed()) {
      if (hasFailed(record, recordOf(pool), to)) throw failure(notTaken(pool, server, to));
      record = renewed(record);
      // Another server serves the pool under a new generation, so no answer to this request will follow.
      const taker = recordOf(pool);
      if (taker?.state === 'serving' && taker.generation > record.generation)
        throw failure(`server ${taker.owner?.server ?? '?'} has taken it meanwhile, perhaps by another command: see rsadm farm`);
      const refusal = refusalOf(pool, server, record);
      const forMs = clock.monotonicMs() - beganMs;
      if (refusal !== null && (refusal !== earlier || forMs > REFUSAL_KEPT_MS)) throw failure(refusal);
      if (forMs > MOVE_MS)
        throw new RsError(
          'E_TIMEOUT',
          `Pool ${pool.name} was not moved to ${to} within ${printDuration(MOVE_MS)}: ${pool.status.why}` +
            (to === server ? '' : `; rsadm farm on ${to} says what that server waits for`),
        );
      await sleep(clock, HURRY_MS);
    }
  } finally {
    pool.ask(null);
  }
}

/** True if `to` has begun to take the pool, but no longer owns it. `asked`: the record with the generation of the last request. */
function hasFailed(asked: FarmRecord, now: FarmRecord | null, to: string): boolean {
  if (now === null || now.owner?.server === to) return false;
  return (asked.state === 'taking' && asked.owner?.server === to) || (now.owner === null && now.generation > asked.generation);
}

function notTaken({ status: { refusal } }: SharedPool, server: string, to: string): string {
  return to === server && refusal !== null ? refusal : `server ${to} has not succeeded in taking it: its log says why`;
}

/** Returns the generation that the server `to` serves according to its own note; 0 for none. */
function servedBy(pool: SharedPool, server: string, to: string): number {
  const { sight, ownership } = pool.status;
  return (to === server ? ownership?.generation : sight?.notes.get(to)?.generation) ?? 0;
}

function recordOf(pool: SharedPool): FarmRecord | null {
  return pool.status.sight?.record ?? null;
}

/** Returns the reason why the owner of this record does not give the pool up; null if the owner has given none since it was asked. */
function refusalOf(pool: SharedPool, server: string, { owner, generation }: FarmRecord): string | null {
  const { sight, refusal } = pool.status;
  if (sight?.record?.generation !== generation) return null;
  return owner?.server === server ? refusal : (sight.notes.get(owner?.server ?? '')?.refusal ?? null);
}
