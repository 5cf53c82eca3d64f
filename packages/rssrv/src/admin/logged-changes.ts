// Makes the changes that one asker orders, and logs each change with the name of the asker. Invariants: a change is logged before its
// request is answered; the text of the change in the queue of changes names the asker.

import type { ManagedVolumeView } from '@rsio/api/views/views';
import { printSize } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { eventOf } from '../events/event-log.ts';
import type { Asker } from '../pools/asker.ts';
import { type Found, type VolumeName, volumeText } from '../pools/catalogue.ts';
import type { Changes } from '../pools/requests/requests.ts';
import type { Turn } from '../pools/requests/turn.ts';
import { volumeKey } from '../volumes/volume-ids.ts';
import type { Inventory } from './inventory.ts';

export class LoggedChanges implements Changes {
  /** Name of the asker for log lines and messages, such as `client big-2`. */
  readonly by: string;
  private readonly log: Pick<Log, 'info'>;
  private readonly changes: Changes;
  private readonly inventory: Pick<Inventory, 'viewOf'>;

  constructor(log: Pick<Log, 'info'>, changes: Changes, inventory: Pick<Inventory, 'viewOf'>, { by }: Pick<Asker, 'by'>) {
    this.by = by;
    this.log = log;
    this.changes = changes;
    this.inventory = inventory;
  }

  /** Changes one volume, as soon as no other change is in progress. `verb` says what happens to the volume, such as `grown`. */
  async change(verb: string, volume: VolumeName, work: (turn: Turn) => Promise<Found>): Promise<{ volume: ManagedVolumeView }> {
    return this.view(await this.found(verb, volume, work));
  }

  /** Changes one volume like `change`, and returns the result of the work. */
  async found<T extends Found>(verb: string, volume: VolumeName, work: (turn: Turn) => Promise<T>): Promise<T> {
    const found = await this.run(work, `volume ${volumeText(volume)}, which is being ${verb} by ${this.by}`);
    this.note(verb, found);
    return found;
  }

  async view({ pool, manifest }: Found): Promise<{ volume: ManagedVolumeView }> {
    return { volume: await this.inventory.viewOf(pool, manifest) };
  }

  /** Makes a change and does not log it, because the caller logs the change. */
  run<T>(work: (turn: Turn) => Promise<T>, what: string): Promise<T> {
    return this.changes.run(work, what);
  }

  checkWanted(): void {
    this.changes.checkWanted();
  }

  /** Logs the change, and makes an event of it. */
  note(verb: string, found: Found): void {
    const { pool, manifest } = found;
    this.log.info(this.text(verb, found), {
      ...eventOf(`volume ${volumeKey(manifest)}`, '-', verb, `${printSize(manifest.sizeBytes)} in pool ${pool.name}, by ${this.by}`),
      audit: true,
      volume: manifest.name,
    });
  }

  /** Logs a change that comes again and again by itself, such as a moment of a replication. It is no event. */
  noteRegular(verb: string, found: Found): void {
    this.log.info(this.text(verb, found), { audit: true, volume: found.manifest.name });
  }

  private text(verb: string, { pool, manifest }: Found): string {
    const layout = manifest.layout.kind === 'simple' ? '' : ` (${manifest.layout.kind})`;
    return `Volume ${volumeText(manifest)} of pool ${pool.name}${layout}, ${printSize(manifest.sizeBytes)}: ${verb}, by ${this.by}`;
  }
}
