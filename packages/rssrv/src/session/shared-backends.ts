// Manages the backends of one session. All handles of a volume share a backend, so additional handles need no additional descriptors.
// Invariant: handles that share a backend belong to the same hold, and to the same incarnation of the same storage.

import { assert } from '@rsio/base/lib/assert';
import type { Backend } from '../storage/io/backend.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';

interface Shared {
  readonly key: string;
  readonly opened: Promise<Backend>;
  users: number;
}

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

  /**
   * Opens a backend, or returns one that is already open, and counts the caller as a user of the backend. When a caller no longer uses the
   * backend, the caller must call `release` exactly once.
   */
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
      const known = this.byBackend.get(backend);
      assert(known === undefined || known === shared, 'A backend belongs to two holds');
      this.byBackend.set(backend, shared);
      return backend;
    } catch (error) {
      this.forget(shared);
      throw error;
    }
  }

  /**
   * If the caller is the last user, closes the backend and resolves when none of the backend's operations is running. If the caller is not
   * the last user, resolves at once, because the caller's own operations have already ended.
   */
  async release(backend: Backend): Promise<void> {
    const shared = this.byBackend.get(backend);
    assert(shared !== undefined, 'A backend is released that no handle uses');
    if (--shared.users > 0) return;
    // A handle that is opened while this backend is closing gets a new backend.
    this.forget(shared);
    this.byBackend.delete(backend);
    await backend.close();
  }

  private forget(shared: Shared): void {
    if (this.byKey.get(shared.key) === shared) this.byKey.delete(shared.key);
  }
}

/** The key omits the size, because a volume may grow while its handles are open. */
function keyOf({ volume: { id, type, path, storage, layout, readonly, replica }, epoch, incarnation }: Granted): string {
  const parts = layout?.parts.map((part) => [part.path, part.storage]) ?? null;
  return JSON.stringify([id, type, path, storage, parts, readonly, replica?.identity, epoch, incarnation]);
}
