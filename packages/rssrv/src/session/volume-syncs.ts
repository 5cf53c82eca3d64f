// The syncs of a session's open volumes: a client's FLUSH, the last one of a handle, and those that the server makes by itself, so that
// an error of the kernel's write-back is noticed soon. One that failed says that what was answered may be lost, and says it to the
// listener, who begins a new life of the storage. Leaves remembering the error to the backend (flush-gate.ts): no later flush is OK.
// Invariant: each handle says so once, before the failed sync is answered; what is written is being synced SELF_SYNC_MS and a tick later.

import { SELF_SYNC_MS } from '@rsio/protocol/link/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { OpenVolume } from './request.ts';

/** Of a handle, as long as it is open. */
interface Syncing {
  /** When it was first seen with something unsynced; null: it has nothing. */
  sinceMs: number | null;
  /** A sync of the server's own is under way. */
  isRunning: boolean;
  isLooking: boolean;
  isLost: boolean;
}

export class VolumeSyncs {
  private readonly lost: (volumeId: string) => void;
  private readonly cut: (open: OpenVolume) => void;
  private readonly known = new WeakMap<OpenVolume, Syncing>();

  /** `cut`: the storage ends before the volume, see session-volumes.ts. */
  constructor(lost: (volumeId: string) => void, cut: (open: OpenVolume) => void) {
    this.lost = lost;
    this.cut = cut;
  }

  /** A sync begins: it covers what was written before. */
  begins(open: OpenVolume): void {
    open.hasUnsynced = false;
    this.of(open).sinceMs = null;
  }

  /** FLUSH, WRITE, DISCARD or ZERO has ended, and is answered next. */
  ended(open: OpenVolume, op: number, isFua: boolean, status: Status): void {
    if (op === OP.FLUSH) this.syncEnded(open, status);
    else if (!isFua) open.hasUnsynced = true;
    // Its error may be that of something written earlier, which came to light here: only a sync can tell.
    else if (status !== STATUS.OK) this.sync(open);
  }

  /** Looks at a handle: it is synced when it has had something unsynced for SELF_SYNC_MS; and at the end of its storage. */
  tick(open: OpenVolume, nowMs: number): void {
    const syncing = this.of(open);
    this.checkEnd(open, syncing);
    if (!open.hasUnsynced) syncing.sinceMs = null;
    else syncing.sinceMs ??= nowMs;
    if (syncing.sinceMs !== null && nowMs - syncing.sinceMs >= SELF_SYNC_MS) this.sync(open);
  }

  /** The last sync of a handle on which nothing runs any more. */
  async last(open: OpenVolume): Promise<Status> {
    this.begins(open);
    const status = await new Promise<Status>((resolve) => open.backend.flush(resolve));
    this.syncEnded(open, status);
    return status;
  }

  /** The server's own, one at a time; closing it waits for it, and syncs it anyway. */
  private sync(open: OpenVolume): void {
    const syncing = this.of(open);
    if (syncing.isRunning || open.isClosing) return;
    syncing.isRunning = true;
    this.begins(open);
    open.inFlight.begin();
    open.backend.flush((status) => {
      syncing.isRunning = false;
      this.syncEnded(open, status);
      open.inFlight.end();
    });
  }

  /** One look at a time, and none at storage that nobody uses: one that hangs takes a thread of all. */
  private checkEnd(open: OpenVolume, syncing: Syncing): void {
    const { end } = open.backend;
    if (end === undefined || !end.needsCheck || syncing.isLooking || open.isClosing) return;
    syncing.isLooking = true;
    open.inFlight.begin();
    end.check(() => {
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
