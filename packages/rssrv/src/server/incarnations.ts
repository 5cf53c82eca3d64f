// Starts a new incarnation of a volume's storage in the listener when the storage may have lost acknowledged writes. The clients then open
// the volume again and replay the writes in their logs. A failed sync counts as such a loss: the kernel drops the data, reports the error
// once to each descriptor, and lets the next sync succeed. Invariant: from the first step on, no client is granted the volume in its old
// incarnation.

import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { eventOf } from '../events/event-log.ts';
import type { Holds } from '../volumes/holds/holds.ts';
import type { Volumes } from '../volumes/volumes.ts';
import type { RunRecords } from './run-records.ts';
import type { Sessions } from './sessions.ts';
import type { ListAnnouncements } from './workers/list-announcements.ts';

export interface IncarnationsParts {
  readonly log: Pick<Log, 'info' | 'error'>;
  readonly volumes: Pick<Volumes, 'nameOf' | 'served' | 'cut' | 'clearOldError'>;
  readonly records: Pick<RunRecords, 'incarnationsEnded'>;
  readonly sessions: Pick<Sessions, 'revoke'>;
  readonly holds: Pick<Holds, 'epochOf'>;
  readonly lists: Pick<ListAnnouncements, 'changed'>;
}

export class Incarnations {
  private readonly parts: IncarnationsParts;

  constructor(parts: IncarnationsParts) {
    this.parts = parts;
  }

  /** Called when a sync of the volume has failed in a worker. */
  async lost(id: string): Promise<void> {
    const name = this.parts.volumes.nameOf(id);
    this.parts.log.error(
      `Volume ${name}: a sync failed, and writes acknowledged since the last good one may be lost: its storage starts a new incarnation, and ` +
        'the client sends again what it has kept; check the storage',
      { volume: name },
    );
    await this.start(id);
  }

  /**
   * Called when a worker has found the storage truncated. The server stops serving the volume until a reload or a start finds the storage
   * complete.
   */
  async cut(id: string): Promise<void> {
    const sentence = await this.parts.volumes.cut(id);
    if (sentence === null) return;
    this.parts.log.error(sentence, { volume: this.parts.volumes.nameOf(id) });
    await this.start(id);
  }

  async start(id: string): Promise<void> {
    const { log, volumes, records, sessions, holds, lists } = this.parts;
    const name = volumes.nameOf(id);
    // Every later grant names the new incarnation. The incarnation need not be saved first, because a crash of this process changes the
    // incarnations of all volumes.
    const kept = records.incarnationsEnded([id]);
    sessions.revoke(id, holds.epochOf(id));
    const reason = 'Its clients open it again, and send again what they have kept';
    log.info(`Volume ${name}: its storage starts a new incarnation`, {
      volume: name,
      ...eventOf(`volume ${name}`, '-', 'new incarnation', reason),
    });
    // A changed list makes even idle clients check their handles.
    const volume = volumes.served.find((one) => one.id === id);
    lists.changed([], volume === undefined ? null : [volume]);
    void volumes.clearOldError(id);
    try {
      await kept;
    } catch (thrown) {
      log.error(`Volume ${name}: the new incarnation of its storage could not be saved: ${toRsError(thrown).message}`, { volume: name });
    }
  }
}
