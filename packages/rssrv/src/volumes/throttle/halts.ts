// Volumes whose I/O an administrator has paused or stopped. Invariants: a stop is on disk before its request is answered, and persists over
// restarts until an administrator ends it. A pause ends after its time, or when the listener ends.

import { OneByOne } from '@rsio/base/structures/one-by-one';
import { StateFile, type StateForm } from '@rsio/base/files/state-file';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { atMost, map, object, type Of, orNull, text, whole } from '@rsio/base/lib/shape';
import { TIME_MAX_MS } from '@rsio/base/log/log-line';
import { STOPPED_MAX } from '../limits.ts';
import type { Halt } from './throttle-messages.ts';

/** A stop in the file of stopped volumes. `by`: the client that ordered the stop; null if an administrator on the server ordered it. */
const STOP = object({ sinceMs: whole(0, TIME_MAX_MS), by: orNull(text()) });
type Stop = Of<typeof STOP>;

/** The content of the file of stopped volumes. `volumes`: maps the id of each stopped volume to its stop. */
const HALTS = object({ volumes: atMost(STOPPED_MAX, map(STOP)) });

const HALTS_FILE: StateForm<Of<typeof HALTS>> = {
  version: 1,
  shape: HALTS,
  remedy: 'restore it, or move it away if no volume is to be stopped',
};

/** The facts about a halt that the outputs of status commands show. */
export interface HaltFacts {
  readonly kind: 'paused' | 'stopped';
  readonly sinceMs: number;
  /** Time at which a pause ends; null for a stop, which an administrator must end. */
  readonly untilMs: number | null;
  /** Client that ordered the halt; null if an administrator on the server ordered it. */
  readonly by: string | null;
}

interface Pause extends Stop {
  readonly untilMs: number;
  /** End of the pause on the monotonic clock. */
  readonly endMs: number;
  readonly timer: Timer;
}

export class Halts {
  /** Called when a volume is halted or released. `isOver`: true if the time of a pause has passed. */
  changed: (volumeId: string, isOver: boolean) => void = () => undefined;
  private readonly clock: Clock;
  private readonly file: StateFile<Of<typeof HALTS>>;
  private readonly stopped = new Map<string, Stop>();
  private readonly paused = new Map<string, Pause>();
  private readonly changes = new OneByOne();

  constructor(clock: Clock, path: string) {
    this.clock = clock;
    this.file = new StateFile(path, HALTS_FILE, () => ({ volumes: Object.fromEntries(this.stopped) }));
  }

  /** Loads the stops. Throws E_SYSTEM if the file cannot be used. */
  async load(): Promise<void> {
    const content = await this.file.load();
    for (const [id, stop] of Object.entries(content?.volumes ?? {})) this.stopped.set(id, stop);
  }

  get ids(): readonly string[] {
    return [...new Set([...this.stopped.keys(), ...this.paused.keys()])];
  }

  /** Returns the halt as sent to sessions; null if the volume is not halted. */
  of(volumeId: string): Halt | null {
    if (this.stopped.has(volumeId)) return { kind: 'stopped' };
    const pause = this.paused.get(volumeId);
    return pause === undefined ? null : { kind: 'paused', leftMs: Math.max(0, pause.endMs - this.clock.monotonicMs()) };
  }

  facts(volumeId: string): HaltFacts | null {
    const stop = this.stopped.get(volumeId);
    if (stop !== undefined) return { kind: 'stopped', ...stop, untilMs: null };
    const pause = this.paused.get(volumeId);
    return pause === undefined ? null : { kind: 'paused', sinceMs: pause.sinceMs, untilMs: pause.untilMs, by: pause.by };
  }

  /** Holds all I/O of the volume for `forMs` from now. A new pause replaces an earlier pause. */
  pause(volumeId: string, forMs: number, by: string | null): void {
    const before = this.paused.get(volumeId);
    before?.timer.cancel();
    const [wallMs, nowMs] = [this.clock.wallMs(), this.clock.monotonicMs()];
    this.paused.set(volumeId, {
      sinceMs: before?.sinceMs ?? wallMs,
      by,
      untilMs: wallMs + forMs,
      endMs: nowMs + forMs,
      timer: this.clock.after(forMs, () => {
        this.paused.delete(volumeId);
        this.changed(volumeId, true);
      }),
    });
    this.changed(volumeId, false);
  }

  /** Ends a pause. Returns false if the volume is not paused. */
  resume(volumeId: string): boolean {
    const pause = this.paused.get(volumeId);
    if (pause === undefined) return false;
    pause.timer.cancel();
    this.paused.delete(volumeId);
    this.changed(volumeId, false);
    return true;
  }

  /**
   * Stops a volume durably: all its I/O is refused, and a pause of the volume ends. Returns false if the volume is already stopped. If
   * saving fails, throws E_SYSTEM and stops nothing.
   */
  stop(volumeId: string, by: string | null): Promise<boolean> {
    return this.changes.run(async () => {
      if (this.stopped.has(volumeId)) return false;
      if (this.stopped.size >= STOPPED_MAX) throw new RsError('E_LIMIT', `${STOPPED_MAX} volumes are stopped already: start some`);
      this.stopped.set(volumeId, { sinceMs: this.clock.wallMs(), by });
      try {
        await this.file.save();
      } catch (error) {
        this.stopped.delete(volumeId);
        throw error;
      }
      this.resume(volumeId);
      this.changed(volumeId, false);
      return true;
    });
  }

  /** Ends a stop durably. Returns false if the volume is not stopped. If saving fails, throws E_SYSTEM and keeps the stop. */
  start(volumeId: string): Promise<boolean> {
    return this.changes.run(async () => {
      const stop = this.stopped.get(volumeId);
      if (stop === undefined) return false;
      this.stopped.delete(volumeId);
      try {
        await this.file.save();
      } catch (error) {
        this.stopped.set(volumeId, stop);
        throw error;
      }
      this.changed(volumeId, false);
      return true;
    });
  }

  close(): void {
    for (const { timer } of this.paused.values()) timer.cancel();
    this.paused.clear();
  }
}
