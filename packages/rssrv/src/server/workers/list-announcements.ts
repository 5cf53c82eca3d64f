// Paces the announcements of a changed list of volumes. Each announcement makes a client request its whole list, so changes in quick
// succession are announced together. Invariants: a change is announced at once if the list is short or no announcement was made recently,
// and otherwise at the end of the pause that follows each announcement. Growth is always announced at once. No announcement is lost.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { GrownVolume, ServedVolume } from '../../storage/io/served-volume.ts';
import { LIST_CHANGES_HELD_MAX, LIST_PAUSE_IGNORED_MS, LIST_PAUSE_MS_PER_1000 } from '../limits.ts';

/**
 * The changed volumes, in their old and their new state. Only clients that may attach one of these volumes are notified; if the value is
 * null, all clients are notified.
 */
type SeenBy = readonly Pick<ServedVolume, 'clients'>[] | null;

export interface ListAnnouncementPorts {
  readonly clock: Clock;
  /** Returns the number of volumes in the list. */
  volumes(): number;
  announce(grown: readonly GrownVolume[], seenBy: SeenBy, generation: number): void;
}

export class ListAnnouncements {
  /** Generation of the list that was announced last. */
  generation = 1;
  private readonly ports: ListAnnouncementPorts;
  private announcedMs = Number.NEGATIVE_INFINITY;
  private timer: Timer | null = null;
  private held: SeenBy = [];

  constructor(ports: ListAnnouncementPorts) {
    this.ports = ports;
  }

  changed(grown: readonly GrownVolume[], seenBy: SeenBy): void {
    const { held } = this;
    this.held = held === null || seenBy === null || held.length >= LIST_CHANGES_HELD_MAX ? null : [...held, ...seenBy];
    const pauseMs = (this.ports.volumes() / 1_000) * LIST_PAUSE_MS_PER_1000;
    const leftMs = this.announcedMs + pauseMs - this.ports.clock.monotonicMs();
    if (grown.length > 0 || pauseMs < LIST_PAUSE_IGNORED_MS || leftMs <= 0) this.now(grown);
    else this.timer ??= this.ports.clock.after(leftMs, () => this.now([]));
  }

  close(): void {
    this.timer?.cancel();
    this.timer = null;
  }

  private now(grown: readonly GrownVolume[]): void {
    this.close();
    const { held } = this;
    this.held = [];
    this.announcedMs = this.ports.clock.monotonicMs();
    this.generation++;
    this.ports.announce(grown, held, this.generation);
  }
}
