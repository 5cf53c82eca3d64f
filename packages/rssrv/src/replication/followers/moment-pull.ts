// Pulls the volumes of one moment at the same time, each in its turn. Invariants: an error of one pull ends no other one, because the content
// of the others would be copied again. When `run` has ended, no pull runs. Only volumes whose content has arrived whole become snapshots.

import type { ReplicationOrder } from '@rsio/api/rssrv/replication-methods';
import { type RsError, toRsError } from '@rsio/base/lib/errors';
import { volumeText } from '../../pools/catalogue.ts';
import type { Peers, PullProgress } from '../peers/peers.ts';
import { ArrivalNotes } from './arrival-notes.ts';
import type { MemberPull } from './follower-plan.ts';
import type { FollowerVerbs } from './follower-verbs.ts';
import type { PeerTurns } from './peer-turns.ts';

export interface MomentPullPorts {
  readonly peers: Pick<Peers, 'pull'>;
  readonly verbs: Pick<FollowerVerbs, 'prepare' | 'arrived'>;
  /** Turns of pulls, of which those without a base are long. */
  readonly pullTurns: PeerTurns;
}

export interface PullsShown {
  readonly text: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** One pull, and how far it is. */
interface Share {
  readonly pull: MemberPull;
  phase: 'waits' | 'copies' | 'ended';
  doneBytes: number;
  totalBytes: number;
  error: RsError | null;
}

export class MomentPull {
  private readonly ports: MomentPullPorts;
  private readonly peer: string;
  private readonly limitBytes: number | null;
  private readonly stopping: AbortSignal;
  private readonly show: (shown: PullsShown) => void;
  private readonly shares: readonly Share[];

  constructor(
    ports: MomentPullPorts,
    { peer, order, pulls }: { readonly peer: string; readonly order: ReplicationOrder; readonly pulls: readonly MemberPull[] },
    stopping: AbortSignal,
    show: (shown: PullsShown) => void,
  ) {
    [this.ports, this.peer, this.limitBytes, this.stopping, this.show] = [ports, peer, order.limitBytes, stopping, show];
    this.shares = pulls.map((pull) => ({ pull, phase: 'waits', doneBytes: 0, totalBytes: 0, error: null }));
  }

  /** Resolves when all pulls have ended, with those whose content has arrived whole, and with the first error. */
  async run(): Promise<{ readonly arrived: readonly MemberPull[]; readonly error: RsError | null }> {
    this.showNow();
    await Promise.all(this.shares.map((share) => this.runOne(share)));
    const arrived = this.shares.filter(({ error }) => error === null).map(({ pull }) => pull);
    return { arrived, error: this.shares.find(({ error }) => error !== null)?.error ?? null };
  }

  private async runOne(share: Share): Promise<void> {
    const turn = { peer: this.peer, isLong: share.pull.base === null, cancel: this.stopping };
    try {
      await this.ports.pullTurns.run(turn, () => this.copy(share));
    } catch (thrown) {
      share.error = toRsError(thrown);
    }
    share.phase = 'ended';
    this.showNow();
  }

  private async copy(share: Share): Promise<void> {
    const { verbs, peers } = this.ports;
    const { member, follower, snapshot, base } = share.pull;
    const { volumeId } = follower;
    const { file, state } = await verbs.prepare(volumeId, snapshot, base);
    share.phase = 'copies';
    this.showNow();
    const notes = new ArrivalNotes(
      (positionBytes, leftBytes) => verbs.arrived(volumeId, { ...state, positionBytes }, leftBytes),
      this.stopping,
    );
    const wanted = { name: snapshot.snapshot, id: snapshot.id };
    const volume = { name: member.name, universe: member.universe };
    const range = { sizeBytes: snapshot.sizeBytes, fromBytes: state.positionBytes };
    const pull = {
      volume,
      snapshot: wanted,
      since: base?.since ?? null,
      isCompared: state.isCompared === true,
      file,
      ...range,
      limitBytes: this.limitBytes,
    };
    const heard = ({ positionBytes, doneBytes, totalBytes }: PullProgress): void => {
      [share.doneBytes, share.totalBytes] = [doneBytes, totalBytes];
      this.showNow();
      notes.add(positionBytes, totalBytes - doneBytes);
    };
    await notes.around(async (cancel) => {
      await peers.pull(this.peer, pull, heard, cancel);
      notes.add(snapshot.sizeBytes, 0);
    });
  }

  private showNow(): void {
    const { shares } = this;
    const sum = (of: (share: Share) => number): number => shares.reduce((all, share) => all + of(share), 0);
    this.show({ text: textOf(shares), doneBytes: sum((one) => one.doneBytes), totalBytes: sum((one) => one.totalBytes) });
  }
}

function textOf(shares: readonly Share[]): string {
  const namesOf = (phase: Share['phase']): string =>
    shares
      .filter((share) => share.phase === phase)
      .map(({ pull }) => volumeText(pull.member))
      .join(', ');
  const [copied, waiting] = [namesOf('copies'), namesOf('waits')];
  const doing = copied === '' ? `waits for other volumes before it copies volume ${waiting}` : `copies volume ${copied}`;
  const failed = shares.flatMap(({ pull, error }) => (error === null ? [] : `volume ${volumeText(pull.member)} fails: ${error.message}`));
  return [...(copied === '' && waiting === '' ? [] : [doing]), ...failed].join('; ');
}
