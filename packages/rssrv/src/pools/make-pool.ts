// Makes an existing directory a pool, before its section in rssrvcfg is written. Invariants: a directory that already is a pool is not
// changed, except that an empty pool.json gets its content again, and that a ledger that tells nothing is replaced with the administrator's
// word that nobody holds a volume. A directory that has other content, or that a boot would empty, never becomes a pool.

import { randomUUID } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { errnoName, errnoRemedy, RsError, toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import { fileSystemOf } from '../machine/file-system.ts';
import { allocateSpace } from './disk/allocate.ts';
import { PoolFiles } from './disk/pool-files.ts';
import type { PoolState } from './catalogue.ts';
import { absentText } from './pool-content.ts';
import { readIdentity, scanPool } from './disk/pool-scan.ts';
import { poolIdIn, printEmptyLedger } from './disk/empty-ledger.ts';
import type { PoolIdentity, ReadIdentity } from './disk/manifest.ts';
import { takePoolLock } from './disk/pool-lock.ts';
import { poolPaths } from './disk/pool-paths.ts';
import { takeLocks } from '../storage/locks/file-locks.ts';

/**
 * A directory with only these names counts as empty. mkfs creates `lost+found`; an interrupted attempt to make a pool leaves the other
 * names.
 */
const EMPTY_CONTENT: readonly string[] = ['lost+found', 'volumes', 'removed'];
const LEFT_FILES: readonly string[] = ['ledger.json', 'ledger.spare', 'ledger.old', 'pool.json.new'];

/**
 * Makes an existing directory a pool. `pools`: the pools that the server has; the directory of one of them never becomes a new pool.
 * `noHolders`: true if the administrator has confirmed that no client holds a volume of the pool. This matters only for a pool of an earlier
 * release, which has no ledger, and for a pool whose ledger is gone, damaged, or that of another pool. Throws E_POOL or E_EXISTS, naming the path
 * and the remedy.
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
    const present = await identityOf(path, nowMs, noHolders);
    if (present !== null) {
      const same = pools.find(({ identity }) => identity?.id === present.id);
      if (same !== undefined)
        throw new RsError('E_EXISTS', `${path} already is pool ${same.name} at ${same.path}, or a copy of it: use another directory`, {
          path,
        });
      const lacksLedger = noHolders && !(present.hasLedger && (await idInLedger(poolPaths.ledger(path))) === present.id);
      if (lacksLedger || present.isLost) await mend(path, present, lacksLedger ? nowMs : null);
      return { isNew: false, volumes: (await scanPool(path, present, false)).volumes.length };
    }
    const configured = pools.find((one) => one.path === path);
    if (configured !== undefined) throw new RsError('E_POOL', absentText(configured), { path });
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
 * Returns the identity of the pool; null if the directory is not a pool. If pool.json is empty or damaged (`isLost`), its ledger has the id; the ledger
 * before that one counts only if the holders do not matter. Throws E_POOL.
 */
async function identityOf(path: string, nowMs: number, noHolders: boolean): Promise<(ReadIdentity & { readonly isLost: boolean }) | null> {
  try {
    const read = await readIdentity(path);
    return read === null ? null : { ...read, isLost: false };
  } catch (thrown) {
    if (toRsError(thrown).context['isLost'] !== true) throw thrown;
    const id = await idInLedger(poolPaths.ledger(path));
    const earlier = async (): Promise<PoolIdentity['id'] | null> =>
      (await idInLedger(poolPaths.ledgerOld(path))) ?? (await idInLedger(poolPaths.ledgerSpare(path)));
    const found = id ?? (noHolders ? await earlier() : null);
    if (found !== null) return { id: found, createdMs: nowMs, hasLedger: true, isLost: true };
    const way = noHolders ? '' : '; if every client that held a volume of the pool has ended, add --no-holders';
    throw new RsError(
      'E_POOL',
      `${poolPaths.identity(path)} is empty or damaged, and no ledger has the id of the pool: restore both from a backup of the pool${way}`,
      { path },
      thrown,
    );
  }
}

/** Returns the id of the pool in a ledger; null if the ledger is gone or cut. Throws system errors. */
async function idInLedger(file: string): Promise<PoolIdentity['id'] | null> {
  try {
    return poolIdIn(await readFile(file, 'utf8'));
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}

/**
 * Writes pool.json again, and first, if `epochMs` is not null, a ledger without holders. The epochs start at this time, so that no new hold
 * gets the identity of an earlier hold. Throws E_POOL if a server uses the pool.
 */
async function mend(path: string, { id, createdMs }: PoolIdentity, epochMs: number | null): Promise<void> {
  const files = new PoolFiles(path, { allocate: allocateSpace });
  const lock = await takePoolLock(path, takeLocks);
  try {
    if (epochMs !== null) {
      const { volumes, removed } = await scanPool(path, { id, createdMs }, false);
      const ids = [...volumes, ...removed.map(({ manifest }) => manifest)].map((one) => one.id);
      await files.replaceLedger(Buffer.from(printEmptyLedger(id, ids, epochMs)));
    }
    await files.markLedger({ id, createdMs });
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
