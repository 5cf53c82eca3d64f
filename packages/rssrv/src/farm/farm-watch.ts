// What a server has seen of a shared pool: its record, and the notes of the servers with the times at which they changed. Invariants: a
// sight never replaces a newer sight; a server posts no notes while another process posts notes under the same name.

import type { Clock } from '@rsio/base/lib/clock';
import type { Sight } from './engine.ts';
import type { FarmRecord, Note } from './farm-record.ts';
import { OLD_SIGHTS_MAX, OWN_LOOKS_MIN } from './limits.ts';

interface SeenNote {
  readonly count: number;
  readonly sinceMs: number;
  /** True if this process has seen the note change. A note that never changes may come from a server that ended long ago. */
  readonly hasChanged: boolean;
}

export class FarmWatch {
  sight: Sight | null = null;
  takeOverMs: number;
  private readonly clock: Clock;
  private readonly server: string;
  private readonly notes = new Map<string, SeenNote>();
  private version = -1;
  private versionMs = 0;
  private oldSights = 0;
  private looks = 0;
  private firstMs: number | null = null;
  private lastMs: number;
  /** The counts of the last notes that this process has posted or is posting. */
  private ownCounts: readonly number[] = [];
  private rivalUntilMs = 0;
  private readonly random: () => number;

  constructor(clock: Clock, server: string, takeOverMs: number, random: () => number) {
    this.clock = clock;
    this.server = server;
    this.takeOverMs = takeOverMs;
    this.random = random;
    this.lastMs = clock.monotonicMs();
  }

  /**
   * Records the result of a look. Returns false if a newer record is known, because the look then says nothing about the present. After
   * OLD_SIGHTS_MAX such looks, the storage itself has returned to an older state, and the record of the look counts.
   */
  saw(sight: Sight): boolean {
    const nowMs = this.clock.monotonicMs();
    this.lastMs = nowMs;
    const version = sight.record?.version ?? 0;
    if (version < this.version && ++this.oldSights <= OLD_SIGHTS_MAX) return false;
    this.oldSights = 0;
    this.firstMs ??= nowMs;
    this.looks++;
    this.sight = sight;
    this.versionSeen(version, nowMs);
    for (const [server, { count }] of sight.notes) {
      const before = this.notes.get(server);
      if (before?.count === count) continue;
      if (server === this.server && before !== undefined && !this.ownCounts.includes(count))
        this.rivalUntilMs = nowMs + this.takeOverMs * (1 + this.random());
      this.notes.set(server, { count, sinceMs: nowMs, hasChanged: before !== undefined });
    }
    return true;
  }

  /** Called when this process has stored a record. */
  wrote(record: FarmRecord): void {
    if (this.sight !== null) this.sight = { ...this.sight, record };
    this.versionSeen(record.version, this.clock.monotonicMs());
  }

  /** Count for the next note of this server; null if it must not post one yet. */
  nextCount(): number | null {
    if (this.looks < OWN_LOOKS_MIN || this.hasRival) return null;
    const count = (this.notes.get(this.server)?.count ?? 0) + 1;
    // The outcome of the last post may not be known.
    this.ownCounts = [...this.ownCounts.slice(-1), Math.max(count, ...this.ownCounts.map((one) => one + 1))];
    return this.ownCounts.at(-1) ?? count;
  }

  /** True if another process posts notes with the name of this server. */
  get hasRival(): boolean {
    return this.clock.monotonicMs() < this.rivalUntilMs;
  }

  /** True once this server has made sure that no other process has its name, so that it may take a pool. */
  get isReady(): boolean {
    return this.ownCounts.length > 0 && !this.hasRival;
  }

  /** For how long the storage has not answered, in ms. */
  get deafMs(): number {
    return this.clock.monotonicMs() - this.lastMs;
  }

  /** For how long the record has not changed, in ms. */
  get unchangedMs(): number {
    return this.clock.monotonicMs() - this.versionMs;
  }

  /** Name of the other server that serves the pool according to the record, if its note has changed lately; null if there is none. */
  get servedBy(): string | null {
    const { record = null } = this.sight ?? {};
    const owner = record?.state === 'serving' ? (record.owner?.server ?? null) : null;
    return owner === null || owner === this.server || this.silentMs(owner) >= this.takeOverMs ? null : owner;
  }

  /** Time since this process last saw the note of the server change, in ms. */
  silentMs(server: string): number {
    const nowMs = this.clock.monotonicMs();
    return nowMs - (this.notes.get(server)?.sinceMs ?? this.firstMs ?? nowMs);
  }

  /** True if this process has lately seen the note of the server change, or if the server is this one. */
  isThere(server: string): boolean {
    return server === this.server || (this.notes.get(server)?.hasChanged === true && this.silentMs(server) < this.takeOverMs);
  }

  /**
   * Returns the server to which the owner of the present generation is to give the pool up, according to a note or to `own`. Returns null
   * if no note asks for that, or if that server is not running (F10).
   */
  wanted(own: Note['wants']): string | null {
    const { record = null, notes = new Map<string, Note>() } = this.sight ?? {};
    const all = [own, ...[...notes].filter(([server]) => this.isThere(server)).map(([, { wants }]) => wants)];
    const one = all.find((wants) => wants !== null && wants.generation === record?.generation && record.owners.includes(wants.to));
    return one !== undefined && one !== null && this.isThere(one.to) ? one.to : null;
  }

  private versionSeen(version: number, nowMs: number): void {
    if (version === this.version) return;
    this.version = version;
    this.versionMs = nowMs;
  }
}
