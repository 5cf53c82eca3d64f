// The backends of one session. Handles of one volume share a backend, so that descriptors are needed per volume, not per handle. session-volumes.ts
// has handles and holds. Invariant: handles share a backend only under the same hold and in the same incarnation of the same storage, so that
// whatever ends one of them ends all.

import type { Backend } from '../backends/io/backend.ts';
import type { ServedVolume } from '../backends/io/served-volume.ts';

interface Shared {
  readonly key: string;
  readonly opened: Promise<Backend>;
  users: number;
}

/** The part of a grant that identifies the storage. */
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

  /** Adds a user; `release` it once. Rejects with the error of opening. */
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

  /** Resolves, for the last user, when nothing of the backend is running; for any other at once, because its operations have ended. */
  async release(backend: Backend): Promise<void> {
    const shared = this.byBackend.get(backend);
    if (shared === undefined || --shared.users > 0) return;
    // A handle that is opened meanwhile gets a new backend.
    this.forget(shared);
    this.byBackend.delete(backend);
    await backend.close();
  }

  private forget(shared: Shared): void {
    if (this.byKey.get(shared.key) === shared) this.byKey.delete(shared.key);
  }
}

/** Without the size, which grows under open handles. */
function keyOf({ volume: { id, type, path, storage, readonly }, epoch, incarnation }: Granted): string {
  return JSON.stringify([id, type, path, storage, readonly, epoch, incarnation]);
}
