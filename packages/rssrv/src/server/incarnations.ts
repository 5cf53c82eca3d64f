// Starts a new incarnation of a volume's storage in the listener when the storage may have lost acknowledged writes. The clients then open
// the volume again and replay the writes in their logs. A failed sync counts as such a loss: the kernel drops the data, reports the error
// once to each descriptor, and lets the next sync succeed. Invariant: from the first step on, no client is granted the volume in its old
// incarnation.

import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { eventOf } from '../events/event-log.ts';
import type { Volumes } from '../volumes/volumes.ts';

export interface IncarnationsPorts {
  readonly log: Pick<Log, 'info' | 'error'>;
  readonly volumes: Pick<Volumes, 'nameOf' | 'served' | 'cut' | 'clearOldError'>;
  /** Starts the new incarnation in memory at once. Resolves when the incarnation is saved. */
  begin(volumeId: string): Promise<void>;
  /** Revokes every handle of the volume. */
  revoke(volumeId: string): void;
  /** Announces a new list to the clients that may attach the volume. If `volume` is null, announces the list to all clients. */
  listChanged(volume: ServedVolume | null): void;
}

export class Incarnations {
  private readonly ports: IncarnationsPorts;

  constructor(ports: IncarnationsPorts) {
    this.ports = ports;
  }

  /** Called when a sync of the volume has failed in a worker. */
  async lost(id: string): Promise<void> {
    const name = this.ports.volumes.nameOf(id);
    this.ports.log.error(
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
    const sentence = await this.ports.volumes.cut(id);
    if (sentence === null) return;
    this.ports.log.error(sentence, { volume: this.ports.volumes.nameOf(id) });
    await this.start(id);
  }

  async start(id: string): Promise<void> {
    const { log, volumes } = this.ports;
    const name = volumes.nameOf(id);
    // Every later grant names the new incarnation. The incarnation need not be saved first, because a crash of this process changes the
    // incarnations of all volumes.
    const kept = this.ports.begin(id);
    this.ports.revoke(id);
    const reason = 'Its clients open it again, and send again what they have kept';
    log.info(`Volume ${name}: its storage starts a new incarnation`, {
      volume: name,
      ...eventOf(`volume ${name}`, '-', 'new incarnation', reason),
    });
    // A changed list makes even idle clients check their handles.
    this.ports.listChanged(volumes.served.find((one) => one.id === id) ?? null);
    void volumes.clearOldError(id);
    try {
      await kept;
    } catch (thrown) {
      log.error(`Volume ${name}: the new incarnation of its storage could not be saved: ${toRsError(thrown).message}`, { volume: name });
    }
  }
}
