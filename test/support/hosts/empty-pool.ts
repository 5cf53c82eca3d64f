// Makes a pool directory for tests about other subjects. Invariant: this also works if only file systems in memory are writable, although
// `rsadm pool add` refuses to make a pool on such a file system.

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import type { Host } from './host.ts';

/** Makes an empty pool below the root of the host, and returns its directory. */
export async function emptyPool(host: Host, name = 'pool'): Promise<string> {
  const folder = path.join(host.root, name);
  mkdirSync(folder);
  await makeEmptyPool(folder);
  return folder;
}

export async function makeEmptyPool(folder: string): Promise<void> {
  const allocate = (): Promise<void> => Promise.reject(new Error('An empty pool needs no space'));
  await new PoolFiles(folder, { allocate }).makePool({ id: crypto.randomUUID(), createdMs: Date.now() });
}
