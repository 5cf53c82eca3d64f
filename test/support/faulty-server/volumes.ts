// In the place of rssrv's volumes/volumes.ts: the listener of the server for tests brings the unsynced writes of a volume to its storage before
// it syncs the volume, as the kernel's cache of a real disk would be. Invariant: what a sync has answered survives a crash of the machine.

import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { SyncKind } from '@rsio/rssrv/volumes/storage-syncs';
import { Volumes as SoundVolumes } from '@rsio/rssrv/volumes/volumes';
import { syncUnsynced } from './unsynced-log.ts';
import { unsyncedFile } from './volume-faults.ts';

export class Volumes extends SoundVolumes {
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
