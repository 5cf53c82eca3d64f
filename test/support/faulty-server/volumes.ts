// Replaces rssrv's volumes/volumes.ts: before the listener of the server for tests syncs a volume, it writes the unsynced writes of the
// volume to the storage, as the kernel writes back its cache at a sync. Invariant: a write that was answered before a successful sync
// survives a crash of the machine. A listener that takes a shared pool can be stopped after it has opened the volumes (take-steps.ts).

import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { SyncKind } from '@rsio/rssrv/volumes/storage-syncs';
import { Volumes as SoundVolumes } from '@rsio/rssrv/volumes/volumes';
import { reached } from './take-steps.ts';
import { syncUnsynced } from './unsynced-log.ts';
import { unsyncedFile } from './volume-faults.ts';

export class Volumes extends SoundVolumes {
  override async prepare(...args: Parameters<SoundVolumes['prepare']>): ReturnType<SoundVolumes['prepare']> {
    const change = await super.prepare(...args);
    if (args[0].added.length + args[0].retried.length > 0) reached('volumes opened');
    return change;
  }

  override async sync(id: string, kind?: SyncKind): Promise<void> {
    const served = this.served.find((one) => one.id === id);
    const log = unsyncedFile(id);
    if (served !== undefined && served.path !== null && existsSync(log)) {
      const file = await open(served.path, 'r+');
      try {
        await syncUnsynced(log, file);
      } finally {
        await file.close();
      }
    }
    await super.sync(id, kind);
  }
}
