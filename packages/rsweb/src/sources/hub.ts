// Asks all sources, each at its own pace, and merges their pictures. Invariants: no source waits for another source, and no page waits for
// a source. A source has one request at a time, and a pause after a costly answer. Other machines get only the pictures of the sources on
// this machine, so that two rswebs do not repeat each other's data.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import { applicationFindings } from '../model/applications.ts';
import { findingsOf, merged } from '../model/merge.ts';
import { heard, type Told } from '../model/owners.ts';
import type { Picture } from '../model/picture.ts';
import { versionFindings } from '../model/versions.ts';
import { IDLE_MS, LOOK_LASTS_MS, LOOKING_MS, MERGE_MS } from '../limits.ts';
import { NOTHING, type Source } from './source.ts';

interface Entry {
  readonly source: Source;
  /** The last picture of the source; null before its first answer, and if the source does not exist on this machine. */
  picture: Picture | null;
  timer: Timer | null;
  hasEnded: boolean;
  /** The source is not asked before this time, because its last answer was costly. */
  restsUntilMs: number;
}

export class Hub {
  private readonly clock: Clock;
  private readonly isWatched: () => boolean;
  private readonly changed: (picture: Picture) => void;
  private entries: readonly Entry[] = [];
  private latest: Picture = NOTHING;
  private lookedMs = Number.NEGATIVE_INFINITY;
  private merging: Timer | null = null;

  /** `isWatched` returns true while a browser has the live stream open. `changed` is called with each new picture. */
  constructor(clock: Clock, isWatched: () => boolean, changed: (picture: Picture) => void) {
    this.clock = clock;
    this.isWatched = isWatched;
    this.changed = changed;
  }

  /** The merged picture of all sources at the last merge. */
  get picture(): Picture {
    return this.latest;
  }

  /** Returns the merged picture of the sources on this machine, without the other sources. */
  ownPicture(): Picture {
    const own = this.entries.flatMap(({ source, picture }) => (source.isOwn && picture !== null ? picture : []));
    return merged(own, this.clock.wallMs());
  }

  /** Replaces the sources with those of a new configuration. */
  take(sources: readonly Source[]): void {
    for (const entry of this.entries) end(entry);
    this.entries = sources.map((source) => ({ source, picture: null, timer: null, hasEnded: false, restsUntilMs: 0 }));
    for (const entry of this.entries) void this.ask(entry);
  }

  /** Called for each page request. For LOOK_LASTS_MS after the call, the sources are asked more often. */
  look(): void {
    const wasLooking = this.isLooking();
    this.lookedMs = this.clock.monotonicMs();
    if (!wasLooking) this.askWaiting();
  }

  /** Called after an order. All sources are asked as soon as possible. */
  renew(): void {
    this.lookedMs = this.clock.monotonicMs();
    for (const { source } of this.entries) source.renew?.();
    this.askWaiting();
  }

  close(): void {
    this.merging?.cancel();
    for (const entry of this.entries) end(entry);
    this.entries = [];
  }

  private isLooking(): boolean {
    return this.isWatched() || this.clock.monotonicMs() - this.lookedMs < LOOK_LASTS_MS;
  }

  private askWaiting(): void {
    const nowMs = this.clock.monotonicMs();
    for (const entry of this.entries) {
      if (entry.timer === null || nowMs < entry.restsUntilMs) continue;
      entry.timer.cancel();
      entry.timer = null;
      void this.ask(entry);
    }
  }

  /** Asks one source once, and stores its picture. Never rejects. */
  private async ask(entry: Entry): Promise<void> {
    const { clock } = this;
    const { source } = entry;
    const beganMs = clock.monotonicMs();
    try {
      entry.picture = await source.sample();
    } catch (thrown) {
      entry.picture = source.failed(thrown, entry.picture);
    }
    if (entry.hasEnded) return;
    this.mergeSoon();
    const intervalMs = this.isLooking() ? LOOKING_MS : IDLE_MS;
    entry.restsUntilMs = clock.monotonicMs() + source.restMs;
    entry.timer = clock.after(Math.max(source.restMs, beganMs + intervalMs - clock.monotonicMs()), () => {
      entry.timer = null;
      void this.ask(entry);
    });
  }

  private mergeSoon(): void {
    this.merging ??= this.clock.after(MERGE_MS, () => {
      this.merging = null;
      const { parts, findings } = heard(toldBy(this.entries));
      const picture = merged(parts, this.clock.wallMs());
      const lists = [...parts.map((part) => part.findings), findings, versionFindings(picture), ...applicationFindings(picture)];
      this.latest = { ...picture, findings: findingsOf(lists) };
      this.changed(this.latest);
    });
  }
}

function toldBy(entries: readonly Entry[]): Told[] {
  return entries.flatMap(({ source: { name, isOwn }, picture }) => (picture === null ? [] : { source: name, isOwn, picture }));
}

function end(entry: Entry): void {
  entry.hasEnded = true;
  entry.timer?.cancel();
  entry.timer = null;
  entry.source.close();
}
