// Takes snapshots of the replicas in sync of a mirror at one moment (M22). The caller supplies the function that makes the snapshot at one
// server. Invariants: the snapshot of a replica counts only if the replica was in sync from the moment until the snapshot was made, and the
// term was confirmed after that. Users' changes wait at most MOMENT_BEGIN_MS plus MOMENT_HOLD_MS.

import { within } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import { MOMENT_BEGIN_MS, MOMENT_HOLD_MS } from '../limits.ts';
import { type MomentIo, QuietMoment } from './quiet-moment.ts';

export interface MomentPorts {
  readonly clock: Pick<Clock, 'after'>;
  /**
   * Makes the server of a replica take its snapshot. Resolves with null when the snapshot is durable, or with the reason why there is no
   * snapshot.
   */
  snapshot(identity: string): Promise<string | null>;
  /** M15: asks the voters now, and resolves with true if a majority confirms the term. */
  confirmByVoters(): Promise<boolean>;
}

/** Maps the identity of a replica to null if the replica has the snapshot, otherwise to the reason why the replica has no snapshot. */
export type MomentOutcomes = ReadonlyMap<string, string | null>;

export class SnapshotMoment {
  private readonly io: MomentIo;
  private readonly ports: MomentPorts;
  private readonly outcomes = new Map<string, string | null>();

  constructor(io: MomentIo, ports: MomentPorts) {
    this.io = io;
    this.ports = ports;
  }

  /** Throws E_BUSY if changes in progress do not end in time. */
  async take(): Promise<MomentOutcomes> {
    const { io, ports, outcomes } = this;
    const moment = new QuietMoment(io);
    try {
      const isLate = await within(ports.clock, MOMENT_BEGIN_MS, moment.begun, () => true);
      if (isLate === true)
        throw new RsError('E_BUSY', `Writes in progress did not end within ${printDuration(MOMENT_BEGIN_MS)}: try again`);
      const late = `its server did not make it within ${printDuration(MOMENT_HOLD_MS)}`;
      const make = async (one: string): Promise<void> => {
        outcomes.set(one, await within(ports.clock, MOMENT_HOLD_MS, ports.snapshot(one), () => late));
      };
      await Promise.all(moment.replicas.map(make));
      this.drop('its session ended meanwhile, or it is out of sync', (one) => !moment.holds(one));
    } finally {
      moment.release();
    }
    await this.confirm();
    return outcomes;
  }

  /** Asks the voters, because a majority that this client did not reach may have given the mirror to another client before the moment. */
  private async confirm(): Promise<void> {
    const isMade = [...this.outcomes.values()].includes(null);
    if (isMade && !(await this.ports.confirmByVoters()))
      this.drop('most voters did not confirm that this client still has the mirror', () => true);
  }

  private drop(why: string, isDropped: (identity: string) => boolean): void {
    for (const [identity, before] of this.outcomes) if (before === null && isDropped(identity)) this.outcomes.set(identity, why);
  }
}
