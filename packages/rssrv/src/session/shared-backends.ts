// The backends of one session: handles of one volume have one together, so that what a client can open costs a few descriptors for each volume,
// and not for each of its handles. Leaves handles and holds to session-volumes.ts.
// Invariant: one is shared by handles of the same hold, in the same life of the same storage only: whatever ends for one ends for all of them.

import type { Backend } from '../backends/common/backend.ts';
import type { ServedVolume } from '../backends/common/served-volume.ts';

interface Shared {
  readonly key: string;
  readonly opened: Promise<Backend>;
  users: number;
}

/** What a grant says of the storage. */
interface Granted {
  readonly volume: ServedVolume;
  readonly epoch: number;
  readonly incarnation: string;
}

export class SharedBackends {
  private readonly openBackend: (volume: ServedVolume) => Promise<Backend>;
  private readonly byKey = new Map<string, Shared>();
  private readonly byBackend = new Map<Backend, Shared>();

  constructor(openBackend: (volume: ServedVolume) => Promise<Backend>) {
    this.openBackend = openBackend;
  }

  /** One user more: `giveUp` once. Rejects with what opening it says. */
  async open(granted: Granted): Promise<Backend> {
    const key = keyOf(granted);
    let shared = this.byKey.get(key);
    if (shared === undefined) {
      shared = { key, opened: this.openBackend(granted.volume), users: 0 };
      this.byKey.set(key, shared);
    }
    shared.users++;
    try {
      const backend = await shared.opened;
      this.byBackend.set(backend, shared);
      return backend;
    } catch (error) {
      this.forget(shared);
      throw error;
    }
  }

  /** Resolves, for the last user, when nothing of the backend runs any more; for any other at once: what it asked for has ended before. */
  async release(backend: Backend): Promise<void> {
    const shared = this.byBackend.get(backend);
    if (shared === undefined || --shared.users > 0) return;
    // Nobody gets it from now on: what is opened meanwhile is opened anew.
    this.forget(shared);
    this.byBackend.delete(backend);
    await backend.close();
  }

  private forget(shared: Shared): void {
    if (this.byKey.get(shared.key) === shared) this.byKey.delete(shared.key);
  }
}

/** Not its size: that grows under open handles. */
function keyOf({ volume: { id, type, path, storage, readonly }, epoch, incarnation }: Granted): string {
  return JSON.stringify([id, type, path, storage, readonly, epoch, incarnation]);
}
