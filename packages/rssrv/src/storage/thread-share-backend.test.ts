// Tests how volumes share the threads of a process. The thread pool is a model, in which calls to hanging storage never end, and all other
// calls end at once. thread-shares.test.ts tests the shares. Rules: G7.

import { expect, test } from 'vitest';
import { STATUS } from '@rsio/protocol/wire/status';
import { promised } from '../testing/backend-scene.ts';
import { POOL_THREADS, STORAGE_THREADS } from '../server/limits.ts';
import type { Backend, IoDone } from './io/backend.ts';
import { ThreadShares } from './io/thread-shares.ts';
import { ThreadShareBackend } from './thread-share-backend.ts';

const NOTHING = Buffer.alloc(0);

/** A model of libuv's thread pool: starts calls in their order whenever a thread is free. */
class Pool {
  private free = POOL_THREADS;

  run(done: IoDone, hangs: boolean): void {
    if (this.free === 0) return;
    if (hangs) this.free--;
    else setImmediate(done, STATUS.OK);
  }
}

/** Opens a volume for writes and flushes only. */
function opened(id: string, hangs: boolean, shares: ThreadShares, pool: Pool): Backend {
  const storage: Partial<Backend> = {
    write: (_source, _offset, _lengthBytes, _positionBytes, _fua, done) => pool.run(done, hangs),
    flush: (done) => pool.run(done, hangs),
  };
  return new ThreadShareBackend(storage as Backend, shares, id);
}

test('four hanging volumes, each with a sync and a size check under way, leave threads for another volume', async () => {
  const [shares, pool] = [new ThreadShares(STORAGE_THREADS), new Pool()];
  for (const id of ['a', 'b', 'c', 'd']) {
    const { write, flush } = promised(opened(id, true, shares, pool));
    for (let count = 0; count < 100; count++) void write(NOTHING, 0, 0, 0);
    void flush();
    pool.run(() => undefined, true);
  }
  const { write, flush } = promised(opened('well', false, shares, pool));
  const statuses = await Promise.race([
    Promise.all([...Array.from({ length: 50 }, () => write(NOTHING, 0, 0, 0)), flush()]),
    new Promise((resolve) => setTimeout(resolve, 1_000, 'the volume waits')),
  ]);
  expect(statuses).toEqual(Array.from({ length: 51 }, () => STATUS.OK));
});
