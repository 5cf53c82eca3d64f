// Watches files that a worker of another listener has open, so that their volumes are served as soon as that process has ended, without a
// reload. Invariants: the watch checks files only while volumes wait, and the checks of one pool take at most 1/MARK_LOOK_REST of the time.
// A pool that does not answer does not delay the checks of other pools. The watch changes no file: the owner opens the volumes, and checks
// the marks again before it serves them.

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { LOCKABLE_FILES_AT_ONCE, MARK_LOOK_MS, MARK_LOOK_REST } from '../../machine/limits.ts';
import type { takeLocks } from './file-locks.ts';

/** A volume that is not served because a worker has files of the volume open, and the open files. */
export interface MarkedVolume {
  readonly key: string;
  /** Name of the volume's pool; null for a volume of a section. */
  readonly pool: string | null;
  readonly files: readonly string[];
}

export interface MarkWatchPorts {
  readonly clock: Clock;
  readonly takeLocks: typeof takeLocks;
  /** Returns the volumes that are not served because a worker has their files open. */
  waiting(): readonly MarkedVolume[];
  /**
   * Called with the keys of volumes whose files have lost their marks or cannot be opened. Resolves when the owner has tried to open these
   * volumes.
   */
  freed(keys: ReadonlySet<string>): Promise<void>;
}

export class MarkWatch {
  private readonly ports: MarkWatchPorts;
  /** Maps a pool to the timer of its next check; null during a check. */
  private readonly looks = new Map<string | null, Timer | null>();
  private isStopped = false;

  constructor(ports: MarkWatchPorts) {
    this.ports = ports;
  }

  /** Must be called when volumes may have begun or ceased to wait. */
  follow(): void {
    for (const { pool } of this.ports.waiting()) if (!this.looks.has(pool)) this.lookAfter(pool, MARK_LOOK_MS);
  }

  stop(): void {
    this.isStopped = true;
    for (const timer of this.looks.values()) timer?.cancel();
    this.looks.clear();
  }

  private lookAfter(pool: string | null, restMs: number): void {
    if (this.isStopped) return;
    this.looks.set(
      pool,
      this.ports.clock.after(restMs, () => void this.look(pool)),
    );
  }

  private waitingIn(pool: string | null): MarkedVolume[] {
    return this.ports.waiting().filter((volume) => volume.pool === pool);
  }

  private async look(pool: string | null): Promise<void> {
    this.looks.set(pool, null);
    const { clock } = this.ports;
    const fromMs = clock.monotonicMs();
    const freed = await this.freedKeys(this.waitingIn(pool)).catch(() => new Set<string>());
    const tookMs = clock.monotonicMs() - fromMs;
    if (freed.size > 0 && !this.isStopped) await this.ports.freed(freed);
    this.looks.delete(pool);
    if (this.waitingIn(pool).length > 0) this.lookAfter(pool, Math.max(MARK_LOOK_MS, tookMs * MARK_LOOK_REST));
  }

  /** Checks the files of these volumes once. Returns the keys of the volumes without marked files. */
  private async freedKeys(volumes: readonly MarkedVolume[]): Promise<Set<string>> {
    const all = volumes.flatMap(({ key, files }) => files.map((file) => ({ key, file })));
    const freed = new Set(all.map(({ key }) => key));
    for (let start = 0; start < all.length && !this.isStopped; start += LOCKABLE_FILES_AT_ONCE) {
      const some = all.slice(start, start + LOCKABLE_FILES_AT_ONCE);
      const busy = await this.busyFiles(some.map(({ file }) => file));
      for (const { key, file } of some) if (busy.has(file)) freed.delete(key);
    }
    return freed;
  }

  /** Returns the files that another process still has open or may have open. Leaves out files that cannot be opened here. */
  private async busyFiles(files: readonly string[]): Promise<ReadonlySet<string>> {
    const handles: (FileHandle | null)[] = [];
    try {
      for (const file of files) handles.push(await open(file, constants.O_RDONLY).catch(() => null));
      const opened = handles.flatMap((handle, index) => (handle === null ? [] : [{ handle, file: files[index]! }]));
      const outcomes = await this.ports.takeLocks(opened.map(({ handle }) => ({ descriptor: handle.fd, shared: true, isLook: true })));
      return new Set(opened.flatMap(({ file }, index) => (outcomes[index] === 'held' ? [] : [file])));
    } finally {
      for (const handle of handles) await handle?.close();
    }
  }
}
