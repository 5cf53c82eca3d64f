// Starts the programs of triggers (run-program.ts): before and after snapshots, and at events of the daemon. A program that runs before
// snapshots may refuse them. Invariants: at most one program for snapshots and one for events run at a time. Snapshots wait for the
// programs of earlier snapshots. The queues and the rate of events are bounded, and lost events are counted. No program is started for an
// asker that is gone. A trigger causes no event, so that no trigger starts itself.

import { sleep } from '@rsio/base/lib/waiting';
import type { TriggerConfig } from '../config/schema/types.ts';
import { unsafeProgram } from '@rsio/base/files/safe-program';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { TokenBucket } from '@rsio/base/structures/token-bucket';
import {
  TRIGGER_EVENT_EACH_MS,
  TRIGGER_EVENTS_AT_ONCE,
  TRIGGER_EVENTS_MAX,
  TRIGGER_OUTPUT_LINES_MAX,
  TRIGGER_SLOW_MS,
  TRIGGER_SNAPSHOTS_MAX,
} from './limits.ts';
import { type ProgramResult, programRunner, type RunProgram } from './run-program.ts';

export interface TriggersPorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly run?: RunProgram;
  readonly daemon: 'rssrv' | 'rsiod';
  /** Fields about this machine in the input of each program. */
  machine(): { readonly server: string } | { readonly client: string };
  triggers(): readonly TriggerConfig[];
}

interface SnapshotToMake {
  /** Namespace of the volume, on a client. Absent on a server, which belongs to only one namespace. */
  readonly namespace?: string;
  readonly name: string;
  readonly universe: number;
  readonly snapshot: string;
}

/** Snapshots of one moment. */
export interface SnapshotsToMake {
  readonly snapshots: readonly SnapshotToMake[];
  /** Client that requests the snapshots; null for an administrator on the server, or for a schedule. */
  readonly by: string | null;
  readonly isScheduled: boolean;
}

/** A group of snapshots that waits for the programs of earlier groups. */
interface WaitingSnapshots {
  readonly checkWanted: () => void;
  readonly begin: () => void;
  readonly refuse: (error: unknown) => void;
}

/** An event as daemons list it. */
interface TriggerEvent {
  readonly number: number;
  readonly object: string;
  readonly to: string;
}

export class Triggers {
  private readonly ports: TriggersPorts;
  private readonly run: RunProgram;
  private readonly waiting: WaitingSnapshots[] = [];
  private isInTurn = false;
  private readonly events: (TriggerEvent & { readonly repeated: number })[] = [];
  private readonly starts = new TokenBucket({ atOnce: TRIGGER_EVENTS_AT_ONCE, eachMs: TRIGGER_EVENT_EACH_MS });
  private lost = 0;
  private isDraining = false;

  constructor(ports: TriggersPorts) {
    this.ports = ports;
    this.run = ports.run ?? programRunner(ports.clock);
  }

  /**
   * Runs the triggers before the snapshots, then `make`, and then the triggers after the snapshots. Throws E_BUSY if a program refuses the
   * snapshots, and the errors of `make`. `checkWanted`: throws if the asker is gone; the snapshots then take no place in the queue, and no
   * program is started.
   */
  async around<T>(wanted: SnapshotsToMake, checkWanted: () => void, make: () => Promise<T>): Promise<T> {
    if (!this.has('snapshot-before') && !this.has('snapshot-after')) return make();
    await this.turn(checkWanted);
    try {
      checkWanted();
      return await this.inTurn(wanted, make);
    } finally {
      this.isInTurn = false;
      this.waiting.shift()?.begin();
    }
  }

  /** Queues an event. The triggers of the event start when the triggers of earlier events have ended. */
  event(event: TriggerEvent): void {
    if (!this.has('event')) return;
    const again = this.events.findIndex(({ object, to }) => object === event.object && to === event.to);
    // If equal events wait, for example because a path comes and goes, only the newest event starts its programs.
    if (again >= 0) this.events[again] = { ...event, repeated: this.events[again]!.repeated + 1 };
    else if (this.events.length >= TRIGGER_EVENTS_MAX) this.lost++;
    else this.events.push({ ...event, repeated: 0 });
    if (!this.isDraining) void this.drain();
  }

  private turn(checkWanted: () => void): Promise<void> {
    if (!this.isInTurn) {
      this.isInTurn = true;
      return Promise.resolve();
    }
    if (this.waiting.length + 1 >= TRIGGER_SNAPSHOTS_MAX) this.dropUnwanted();
    // Add 1 for the group that has its turn, because this group is not in `waiting`.
    if (this.waiting.length + 1 >= TRIGGER_SNAPSHOTS_MAX)
      throw new RsError('E_LIMIT', `${TRIGGER_SNAPSHOTS_MAX} snapshots already wait for the triggers of others: try again later`);
    return new Promise((resolve, refuse) => {
      const begin = (): void => {
        this.isInTurn = true;
        resolve();
      };
      this.waiting.push({ checkWanted, begin, refuse });
    });
  }

  private dropUnwanted(): void {
    for (const one of this.waiting.splice(0)) {
      try {
        one.checkWanted();
        this.waiting.push(one);
      } catch (thrown) {
        one.refuse(thrown);
      }
    }
  }

  private async inTurn<T>({ snapshots, by, isScheduled }: SnapshotsToMake, make: () => Promise<T>): Promise<T> {
    const all = snapshots.map(({ namespace, name, universe, snapshot }) => ({ namespace, volume: name, universe, snapshot }));
    const facts = { snapshots: all, by, isScheduled };
    const after = (error: string | null): Promise<string | null> =>
      this.start('snapshot-after', { ...facts, isMade: error === null, error });
    const refusal = await this.start('snapshot-before', facts);
    if (refusal !== null) {
      await after(refusal);
      throw new RsError(
        'E_BUSY',
        `No snapshot was made, because ${refusal}: see the log of ${this.ports.daemon}, correct it, and repeat the command`,
      );
    }
    try {
      const made = await make();
      await after(null);
      return made;
    } catch (thrown) {
      await after(toRsError(thrown).message);
      throw thrown;
    }
  }

  private async drain(): Promise<void> {
    this.isDraining = true;
    while (this.events.length > 0) {
      const waitMs = this.starts.waitMs(this.ports.clock.monotonicMs());
      // Events that arrive during this wait are queued, or counted as lost.
      if (waitMs > 0) await sleep(this.ports.clock, waitMs);
      this.starts.take(this.ports.clock.monotonicMs());
      const event = this.events.shift();
      const { lost } = this;
      this.lost = 0;
      if (lost > 0) this.ports.log.warn(`${lost} events did not start their triggers, because the programs are too slow`);
      await this.start('event', { ...event, lost });
    }
    this.isDraining = false;
  }

  /** Runs the programs for `on` one after another. For snapshots, stops at the first failure and returns its reason. */
  private async start(on: TriggerConfig['on'], facts: object): Promise<string | null> {
    for (const trigger of this.ports.triggers().filter((one) => one.on === on)) {
      const input = `${JSON.stringify({ event: on, trigger: trigger.name, ...this.ports.machine(), ...facts })}\n`;
      const failure = await this.startOne(trigger, input);
      if (failure !== null && on !== 'event') return failure;
    }
    return null;
  }

  private async startOne(trigger: TriggerConfig, input: string): Promise<string | null> {
    const { log } = this.ports;
    const { name, run } = trigger;
    // Check again, because the program may have been replaced since the configuration was read.
    const why = unsafeProgram(run);
    const { failure, output } = why === null ? await this.watched(trigger, input) : { failure: `it ${why}`, output: '' };
    for (const line of output
      .split('\n')
      .filter((one) => one.trim() !== '')
      .slice(0, TRIGGER_OUTPUT_LINES_MAX))
      log.info(`Trigger ${name}: ${line}`);
    if (failure === null) return null;
    const text = `trigger ${name} (${run}) failed: ${failure}`;
    log.warn(`T${text.slice(1)}`);
    return text;
  }

  /** Runs a program. Writes a log line if the program takes long, because snapshots or events wait for it. */
  private async watched({ name, run, on, timeoutMs }: TriggerConfig, input: string): Promise<ProgramResult> {
    const { clock, log } = this.ports;
    const slow = clock.after(TRIGGER_SLOW_MS, () => {
      const waits = on === 'event' ? 'the events after it wait' : 'the snapshot and those after it wait';
      const end = printDuration(timeoutMs);
      log.warn(`Trigger ${name}: ${run} has run for ${printDuration(TRIGGER_SLOW_MS)}, and ${waits}: it is killed after ${end}`);
    });
    try {
      return await this.run(run, input, timeoutMs);
    } finally {
      slow.cancel();
    }
  }

  has(on: TriggerConfig['on']): boolean {
    return this.ports.triggers().some((one) => one.on === on);
  }
}
