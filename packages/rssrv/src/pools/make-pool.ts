// Makes an existing directory a pool, before its section in rssrvcfg is written. Invariants: a directory that already is a pool is not
// changed. A directory that has other content, or that a boot would empty, never becomes a pool.

import { randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { errnoName, errnoRemedy, RsError } from '@rsio/common/lib/errors';
import { quoteText } from '@rsio/common/lib/units';
import { fileSystemOf } from '../machine/file-system.ts';
import { allocateSpace } from './disk/allocate.ts';
import { PoolFiles } from './disk/pool-files.ts';
import type { PoolState } from './catalogue.ts';
import { readIdentity, scanPool } from './disk/pool-scan.ts';
import { printEmptyLedger } from './disk/empty-ledger.ts';
import type { PoolIdentity } from './disk/manifest.ts';
import { takePoolLock } from './disk/pool-lock.ts';
import { takeLocks } from '../storage/locks/file-locks.ts';

/**
 * A directory with only these names counts as empty. mkfs creates `lost+found`; an interrupted attempt to make a pool leaves the other
 * names.
 */
const EMPTY_CONTENT: readonly string[] = ['lost+found', 'volumes', 'removed'];
const LEFT_FILES: readonly string[] = ['ledger.json', 'ledger.spare', 'ledger.old', 'pool.json.new'];

/**
 * Makes an existing directory a pool. `pools`: the pools that the server has. `noHolders`: true if the administrator has confirmed that no
 * client holds a volume of the pool. This matters only for a pool of an earlier release, which has no ledger. Throws E_POOL or E_EXISTS,
 * naming the path and the remedy.
 */
export async function makePool(
  path: string,
  nowMs: number,
  pools: readonly Pick<PoolState, 'name' | 'path' | 'identity'>[],
  noHolders: boolean,
): Promise<{ readonly isNew: boolean; readonly volumes: number }> {
  if (!isAbsolute(path)) throw new RsError('E_POOL', `Path ${path} of the pool is not absolute: begin it with /`, { path });
  try {
    const stats = await stat(path);
    if (!stats.isDirectory()) throw new RsError('E_POOL', `${path} is not a directory: give the directory of the pool`, { path });
    const present = await readIdentity(path);
    if (present !== null) {
      const same = pools.find(({ identity }) => identity?.id === present.id);
      if (same !== undefined)
        throw new RsError('E_EXISTS', `${path} already is pool ${same.name} at ${same.path}, or a copy of it: use another directory`, {
          path,
        });
      if (noHolders && !present.hasLedger) await giveLedger(path, present, nowMs);
      return { isNew: false, volumes: (await scanPool(path, present, false)).volumes.length };
    }
    if ((await fileSystemOf(path)) !== 'other')
      throw new RsError('E_POOL', `${path} is in memory, and its content would be lost at the next boot: use a directory on a disk`, {
        path,
      });
    await checkEmpty(path);
    await new PoolFiles(path, { allocate: allocateSpace }).makePool({ id: randomUUID(), createdMs: nowMs });
    return { isNew: true, volumes: 0 };
  } catch (thrown) {
    if (thrown instanceof RsError) throw thrown;
    const errno = errnoName(thrown);
    const remedy =
      errno === 'ENOENT' ? 'create the directory, and mount its file system there' : (errnoRemedy(errno) ?? 'let rssrv write there');
    throw new RsError('E_POOL', `${path} cannot become a pool (${errno ?? String(thrown)}): ${remedy}`, { path, errno }, thrown);
  }
}

/**
 * Gives a pool of an earlier release a ledger without holders. The epochs start at the current time, so that no new hold gets the identity
 * of an earlier hold. Throws E_POOL if a server uses the pool.
 */
async function giveLedger(path: string, identity: PoolIdentity, nowMs: number): Promise<void> {
  const files = new PoolFiles(path, { allocate: allocateSpace });
  const lock = await takePoolLock(path, takeLocks);
  try {
    const { volumes, removed } = await scanPool(path, identity, false);
    const ids = [...volumes, ...removed.map(({ manifest }) => manifest)].map(({ id }) => id);
    await files.replaceLedger(printEmptyLedger(identity.id, ids, nowMs));
    await files.markLedger(identity);
  } finally {
    await lock.close();
  }
}

/** Throws E_POOL if the directory has other content, because another program probably uses it. */
async function checkEmpty(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    if (LEFT_FILES.includes(name)) continue;
    const isExpected = EMPTY_CONTENT.includes(name) && (name === 'lost+found' || (await readdir(join(path, name))).length === 0);
    if (!isExpected)
      throw new RsError('E_POOL', `${path} is not empty, it contains ${quoteText(name)}: use an empty directory`, { path, name });
  }
}
