// Remembers which volumes each pool had when it was last open, so that the server knows the volumes of a pool that is not mounted: their
// holders are told to wait, instead of that there is no such volume. Invariant: this memory is only for messages; what a pool contains is
// decided by its manifests alone.

import { CLIENTS_MAX } from '@rsio/common/config/schema/limits';
import { StateFile } from '@rsio/common/files/state-file';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { toRsError } from '@rsio/common/lib/errors';
import { atMost, integer, list, map, object, type Of, orNull, text } from '@rsio/common/lib/shape';
import type { Log } from '@rsio/common/log/log';
import type { PoolState } from './catalogue.ts';
import { POOL_MEMORY_SAVE_MS, POOL_VOLUMES_MAX } from './limits.ts';

const VOLUME = object({ name: text(), universe: integer(), clients: orNull(atMost(CLIENTS_MAX, list(text()))) });
export type RememberedVolume = Of<typeof VOLUME>;

/** The volumes of an open pool are copied only when they are saved, because they may be many and change often. */
type Remembered = readonly RememberedVolume[] | ReadonlyMap<string, RememberedVolume>;

/** Path of a pool -> its volumes. */
const CONTENT = map(atMost(POOL_VOLUMES_MAX, list(VOLUME)));
type Content = Of<typeof CONTENT>;

const REMEDY = 'remove it; rssrv writes it again when its pools are open';

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

  /** Loads the file. A file that cannot be used is reported and counts as empty, because it is only for messages. */
  async load(): Promise<void> {
    try {
      this.pools = new Map(Object.entries((await this.file.load()) ?? {}));
    } catch (thrown) {
      this.log.warn(toRsError(thrown).message);
    }
  }

  /** The volumes that the pool at this path had when it was last open. */
  volumesOf(path: string): readonly RememberedVolume[] {
    return listOf(this.pools.get(path) ?? []);
  }

  /** Takes over what the open pools contain, and saves it soon. Pools that are no longer configured are forgotten. */
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

  /** Saves what is not saved yet. */
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
