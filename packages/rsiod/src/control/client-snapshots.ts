// The control methods `snapshot-begin` and `snapshot-end`: a command calls the first method before it makes snapshots, and the second
// method afterwards. rsiod then runs the triggers snapshot-before and snapshot-after of this client. rsiod runs the programs, because a
// command may be killed. The server asks no client before its snapshots, because a client that does not answer would delay those of others.
// Invariant: the programs of snapshot-after run exactly once for each accepted `snapshot-begin`. The programs run at `snapshot-end`, soon
// after the command has exited, after SNAPSHOT_WHOLE_MS, or when rsiod stops, whichever comes first.

import { sleep } from '@rsio/base/lib/waiting';
import type { ControlMethods } from '@rsio/api/rsiod/methods';
import { startTicksOf } from '@rsio/base/daemon/process-facts';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import type { Triggers } from '@rsio/common/triggers/triggers';
import { SNAPSHOT_ASKER_POLL_MS, SNAPSHOT_STOP_MS, SNAPSHOT_WHOLE_MS } from './limits.ts';

type Begin = ControlMethods['snapshot-begin']['params'];

export interface ClientSnapshotsPorts {
  readonly clock: Clock;
  readonly triggers: Pick<Triggers, 'around' | 'has'>;
  /**
   * Returns the start time of the process with this pid; undefined if the process does not exist or rsiod cannot see it. A different start
   * time shows that another process has the pid now.
   */
  readonly startOf?: (pid: number) => string | undefined;
}

interface Open {
  readonly close: (error: string | null) => void;
}

/** The command that has called `snapshot-begin`. */
interface SnapshotAsker {
  isThere(): boolean;
}

export class ClientSnapshots {
  private readonly ports: ClientSnapshotsPorts;
  private readonly open = new Map<number, Open>();
  private readonly running = new Set<Promise<void>>();
  private lastTicket = 0;

  constructor(ports: ClientSnapshotsPorts) {
    this.ports = ports;
  }

  /**
   * Starts the programs of snapshot-before. `ticket` is null if this client has no triggers for snapshots; the command then need not call
   * `snapshot-end`. Throws E_BUSY if a program refuses.
   */
  begin({ snapshots, pid }: Begin): Promise<{ readonly ticket: number | null }> {
    const { triggers } = this.ports;
    if (!triggers.has('snapshot-before') && !triggers.has('snapshot-after')) return Promise.resolve({ ticket: null });
    const wanted = { snapshots, by: null, isScheduled: false };
    const asker = this.askerOf(pid);
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (!asker.isThere()) throw new RsError('E_SYSTEM', 'The command that asked for the snapshot has ended');
      };
      const isOver = triggers.around(wanted, check, () => {
        const ticket = ++this.lastTicket;
        resolve({ ticket });
        return this.whileOpen(ticket, asker);
      });
      // If `isOver` rejects before `resolve` was called, a program of snapshot-before has failed, and `reject` reports this failure to the
      // command. If `isOver` rejects later, the snapshot itself has failed. The command already knows about that failure, so `reject` need
      // not report it.
      const watched = isOver.catch(reject).finally(() => this.running.delete(watched));
      this.running.add(watched);
    });
  }

  /** Starts the programs of snapshot-after. `ended` is false if these programs have already been started. */
  end({ ticket, error }: ControlMethods['snapshot-end']['params']): { readonly ended: boolean } {
    const open = this.open.get(ticket);
    open?.close(error);
    return { ended: open !== undefined };
  }

  private askerOf(pid: number | null): SnapshotAsker {
    const { startOf = startTicksOf } = this.ports;
    const start = pid === null ? undefined : startOf(pid);
    return { isThere: () => pid === null || start === undefined || startOf(pid) === start };
  }

  /** Called when the daemon stops. Resolves when the programs of snapshot-after have exited, or after SNAPSHOT_STOP_MS. */
  async stop(): Promise<void> {
    if (this.running.size === 0) return;
    for (const { close } of this.open.values()) close('rsiod ends, and does not know whether it was made');
    const limit = sleep(this.ports.clock, SNAPSHOT_STOP_MS);
    await Promise.race([Promise.all(this.running), limit]);
  }

  /**
   * Resolves when the command reports that the snapshot was made. Rejects when the command reports a failure, exits without a report, or
   * does not report in time.
   */
  private whileOpen(ticket: number, asker: SnapshotAsker): Promise<void> {
    const { clock } = this.ports;
    const endMs = clock.monotonicMs() + SNAPSHOT_WHOLE_MS;
    return new Promise((resolve, reject) => {
      let timer: Timer | null = null;
      const close = (error: string | null): void => {
        timer?.cancel();
        this.open.delete(ticket);
        if (error === null) resolve();
        else reject(new RsError('E_SYSTEM', error));
      };
      const look = (): void => {
        if (!asker.isThere()) close('the command that asked for it has ended without a word');
        else if (clock.monotonicMs() >= endMs) close('the command that asked for it has not said that it has ended');
        else timer = clock.after(SNAPSHOT_ASKER_POLL_MS, look);
      };
      this.open.set(ticket, { close });
      look();
    });
  }
}
