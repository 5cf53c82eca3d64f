// Remembers the volumes that each pool had when it was last open. If a pool is not mounted, the server can therefore tell the holders of
// its volumes to wait, and does not say that the volumes do not exist. Invariant: only the manifests in a pool decide which volumes the
// pool has. This memory is used for messages, and to import a pool of an earlier release (volumes/holds/ledgers.ts).

import { CLIENTS_MAX } from '@rsio/common/config/schema/limits';
import { StateFile } from '@rsio/base/files/state-file';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { atMost, integer, list, map, object, type Of, orNull, text } from '@rsio/base/lib/shape';
import type { Log } from '@rsio/base/log/log';
import type { PoolState } from './catalogue.ts';
import { POOL_MEMORY_SAVE_MS, POOL_VOLUMES_MAX } from './limits.ts';

const VOLUME = object({ name: text(), universe: integer(), clients: orNull(atMost(CLIENTS_MAX, list(text()))) });
export type RememberedVolume = Of<typeof VOLUME>;

/**
 * The volumes of one pool. For an open pool, this is the same map as in the state of the pool. The volumes are copied only for a save,
 * because a pool may have many volumes that change often.
 */
type Remembered = readonly RememberedVolume[] | ReadonlyMap<string, RememberedVolume>;

/** Maps the path of a pool to its volumes. */
const CONTENT = map(atMost(POOL_VOLUMES_MAX, list(VOLUME)));
type Content = Of<typeof CONTENT>;

const REMEDY = 'rssrv writes it again when its pools are open';

export class PoolMemory {
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'warn'>;
  private readonly file: StateFile<Content>;
  private pools: Map<string, Remembered> = new Map();
  private timer: Timer | null = null;

  /** `path`: the state file. */
  constructor(path: string, clock: Clock, log: Pick<Log, 'warn'>) {
    this.clock = clock;
    this.log = log;
    this.file = new StateFile(path, { version: 1, shape: CONTENT, remedy: REMEDY }, () =>
      Object.fromEntries([...this.pools].map(([place, known]) => [place, listOf(known)])),
    );
  }

  /** Loads the file. If the file cannot be used, logs a warning and remembers nothing, because no data depends on this memory. */
  async load(): Promise<void> {
    try {
      this.pools = new Map(Object.entries((await this.file.load()) ?? {}));
    } catch (thrown) {
      this.log.warn(`${toRsError(thrown).message}; ${await this.file.setAside()}`);
    }
  }

  /** Returns the volumes that the pool at this path had when it was last open. */
  volumesOf(path: string): readonly RememberedVolume[] {
    return listOf(this.pools.get(path) ?? []);
  }

  /** Remembers the volumes of the open pools, and saves them soon. Forgets pools that are no longer configured. */
  update(states: readonly PoolState[]): void {
    const next = new Map<string, Remembered>();
    for (const { path, isOpen, volumes } of states) {
      const known = this.pools.get(path);
      if (isOpen) next.set(path, volumes);
      else if (known !== undefined) next.set(path, known);
    }
    this.pools = next;
    this.timer ??= this.clock.after(POOL_MEMORY_SAVE_MS, () => {
      this.timer = null;
      void this.save();
    });
  }

  /** Saves pending changes at once. */
  async close(): Promise<void> {
    if (this.timer === null) return;
    this.timer.cancel();
    this.timer = null;
    await this.save();
  }

  private async save(): Promise<void> {
    await this.file.save().catch((thrown: unknown) => this.log.warn(toRsError(thrown).message));
  }
}

function listOf(known: Remembered): readonly RememberedVolume[] {
  return [...known.values()].map(({ name, universe, clients }) => ({ name, universe, clients }));
}
