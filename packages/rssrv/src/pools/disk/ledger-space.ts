// Replaces the ledger of a pool without needing new space. Even on a full file system, clients must be able to open, release and recover
// volumes, and a start of the server must be able to take the pool over. The previous ledger stays as the file `ledger.spare`, whose blocks
// the next ledger overwrites. Invariants: ledger.json has the whole old or the whole new text at any time; a file is overwritten only while
// it is not ledger.json. Both files are padded to the same size, so that overwriting neither needs nor frees blocks.

import { link, open, rename, rm, stat } from 'node:fs/promises';
import { syncDirectory } from '@rsio/base/files/durable-write';
import { errnoName } from '@rsio/base/lib/errors';
import { LEDGER_STEP_BYTES } from '../limits.ts';
import { poolPaths } from './pool-paths.ts';

const FILE_MODE = 0o600;

/** Durably replaces the ledger. Throws system errors; the ledger then has its old text, unless only the last sync has failed. */
export async function replaceLedger(pool: string, bytes: Buffer): Promise<void> {
  const [file, spare, old] = [poolPaths.ledger(pool), poolPaths.ledgerSpare(pool), poolPaths.ledgerOld(pool)];
  const missing = (LEDGER_STEP_BYTES - (bytes.length % LEDGER_STEP_BYTES)) % LEDGER_STEP_BYTES;
  await settle(pool);
  await overwrite(spare, Buffer.concat([bytes, Buffer.alloc(missing, ' ')]));
  if ((await inodeOf(file)) !== null) await link(file, old);
  await rename(spare, file);
  // Until this sync, a crash of the machine may restore the old ledger, so the blocks of both ledgers are kept.
  await syncDirectory(pool);
  if ((await inodeOf(old)) !== null) await rename(old, spare);
}

/** Finishes or undoes an interrupted replacement, so that the spare file and the ledger are two different files. */
async function settle(pool: string): Promise<void> {
  const [file, spare, old] = [poolPaths.ledger(pool), poolPaths.ledgerSpare(pool), poolPaths.ledgerOld(pool)];
  const [now, before, other] = await Promise.all([inodeOf(file), inodeOf(old), inodeOf(spare)]);
  if (before !== null && (before === now || other !== null)) await rm(old);
  else if (before !== null) {
    // The rename of the new ledger may not be durable yet.
    await syncDirectory(pool);
    await rename(old, spare);
  }
  if (other !== null && other === now) await rm(spare);
}

async function inodeOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).ino;
  } catch (thrown) {
    if (errnoName(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}

async function overwrite(file: string, bytes: Buffer): Promise<void> {
  const handle = await open(file, (await inodeOf(file)) === null ? 'w' : 'r+', FILE_MODE);
  try {
    for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at, bytes.length - at, at)).bytesWritten;
    await handle.truncate(bytes.length);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
