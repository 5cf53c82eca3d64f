// Syncs a session's open volumes on a FLUSH, before a handle is closed, and at intervals. The syncs at intervals detect the kernel's
// write-back errors early. A failed sync may mean lost writes, so the listener is notified and starts a new incarnation of the storage.
// Invariants: a loss is reported once for each handle, and before the failed sync is answered. A sync of written data begins at most
// SELF_SYNC_MS plus one tick after the write. A writable handle counts as having unsynced writes when it is opened, because a killed
// process may have left changes that no later process would sync. Rules: V1.

import { assert } from '@rsio/base/lib/assert';
import { SELF_SYNC_MS } from '@rsio/protocol/link/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { OpenVolume } from './request.ts';

interface Syncing {
  /** Time at which a tick first found unsynced writes on the handle; null if the handle has no unsynced writes. */
  sinceMs: number | null;
  /** True while a sync that the server itself started is in progress. */
  isRunning: boolean;
  isLooking: boolean;
  isLost: boolean;
}

export class VolumeSyncs {
  private readonly lost: (volumeId: string) => void;
  private readonly cut: (open: OpenVolume) => void;
  private readonly known = new WeakMap<OpenVolume, Syncing>();

  /**
   * `lost` reports that writes to the volume may be lost, and `cut` that the storage is shorter than the volume (see session-volumes.ts).
   */
  constructor(lost: (volumeId: string) => void, cut: (open: OpenVolume) => void) {
    this.lost = lost;
    this.cut = cut;
  }

  /**
   * Must be called for a new handle. The handle then counts as having unsynced writes, because an earlier process may have been killed
   * after it changed the storage and before it synced the storage.
   */
  opened(open: OpenVolume): void {
    open.hasUnsynced = !open.readonly;
  }

  /** Must be called when a sync begins. */
  begins(open: OpenVolume): void {
    open.hasUnsynced = false;
    this.of(open).sinceMs = null;
  }

  /** Must be called when a FLUSH, WRITE, DISCARD or ZERO has ended, before it is answered. */
  ended(open: OpenVolume, op: number, isFua: boolean, status: Status): void {
    if (op === OP.FLUSH) this.syncEnded(open, status);
    else if (!isFua) open.hasUnsynced = true;
    // Sync after an error: the error may concern an earlier write, and only a sync shows whether data is lost.
    else if (status !== STATUS.OK) this.sync(open);
  }

  /**
   * Checks whether the storage of the handle has been truncated. If the handle has had unsynced writes for SELF_SYNC_MS, syncs the handle.
   */
  tick(open: OpenVolume, nowMs: number): void {
    const syncing = this.of(open);
    this.checkEnd(open, syncing);
    if (!open.hasUnsynced) syncing.sinceMs = null;
    else syncing.sinceMs ??= nowMs;
    if (syncing.sinceMs !== null && nowMs - syncing.sinceMs >= SELF_SYNC_MS) this.sync(open);
  }

  /** Performs the last sync of a handle. The caller ensures that no request is running on the handle. */
  async last(open: OpenVolume): Promise<Status> {
    assert(open.inFlight.count === 0, 'The last sync of a handle begins while requests run');
    this.begins(open);
    const status = await new Promise<Status>((resolve) => open.backend.flush(resolve));
    this.syncEnded(open, status);
    return status;
  }

  /**
   * Starts a sync on the server's own initiative. If the server's previous sync is still running, a later tick starts the sync, because the
   * running sync may not cover the last write. If the handle is being closed, does nothing, because the close syncs the handle.
   */
  private sync(open: OpenVolume): void {
    if (open.isClosing) return;
    const syncing = this.of(open);
    if (syncing.isRunning) {
      open.hasUnsynced = true;
      return;
    }
    syncing.isRunning = true;
    this.begins(open);
    open.inFlight.begin();
    open.backend.flush((status) => {
      assert(syncing.isRunning, 'A sync ends twice');
      syncing.isRunning = false;
      this.syncEnded(open, status);
      open.inFlight.end();
    });
  }

  /**
   * Checks whether the storage has been truncated. A handle has at most one check in progress, because a hanging check occupies one of the
   * shared threads.
   */
  private checkEnd(open: OpenVolume, syncing: Syncing): void {
    const { end } = open.backend;
    if (end === undefined || !end.needsCheck || syncing.isLooking || open.isClosing) return;
    syncing.isLooking = true;
    open.inFlight.begin();
    end.check(() => {
      assert(syncing.isLooking, 'A look at the end of the storage ends twice');
      syncing.isLooking = false;
      if (end.isCut) this.cut(open);
      open.inFlight.end();
    });
  }

  private syncEnded(open: OpenVolume, status: Status): void {
    if (status === STATUS.OK) return;
    if (status === STATUS.VOLUME_UNAVAILABLE) {
      this.cut(open);
      return;
    }
    const syncing = this.of(open);
    if (syncing.isLost) return;
    syncing.isLost = true;
    this.lost(open.volume.id);
  }

  private of(open: OpenVolume): Syncing {
    let syncing = this.known.get(open);
    if (syncing === undefined) {
      syncing = { sinceMs: null, isRunning: false, isLooking: false, isLost: false };
      this.known.set(open, syncing);
    }
    return syncing;
  }
}
