// Bounds what runs at the same time for each peer; the rest waits in order. Invariants: at most `max` works of a peer run, and at most
// `longMax` of them are long ones. No work waits for another peer, and a work that is not long waits for long ones only while they have
// all turns. A work that is cancelled leaves the queue at once.

import { assert, counted } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';

/** Work for a peer. */
export interface PeerWork {
  readonly peer: string;
  readonly isLong: boolean;
  readonly cancel: AbortSignal;
}

interface Waiting {
  readonly isLong: boolean;
  begin(): void;
}

interface PeerQueue {
  running: number;
  longRunning: number;
  waiting: Waiting[];
}

export class PeerTurns {
  private readonly max: number;
  private readonly longMax: number;
  private readonly queues = new Map<string, PeerQueue>();

  constructor(max: number, longMax = max) {
    [this.max, this.longMax] = [max, longMax];
  }

  /** Executes the work in its turn. Throws E_BUSY if `cancel` is aborted before the turn. */
  async run<T>(wanted: PeerWork, work: () => Promise<T>): Promise<T> {
    await this.turn(wanted);
    try {
      if (wanted.cancel.aborted) throw stopped();
      return await work();
    } finally {
      this.ended(wanted);
    }
  }

  private turn({ peer, isLong, cancel }: PeerWork): Promise<void> {
    return new Promise((resolve, reject) => {
      if (cancel.aborted) return reject(stopped());
      const queue = this.queues.get(peer) ?? { running: 0, longRunning: 0, waiting: [] };
      this.queues.set(peer, queue);
      const leave = (): void => {
        queue.waiting = queue.waiting.filter((one) => one !== mine);
        this.next(peer, queue);
        reject(stopped());
      };
      const mine: Waiting = {
        isLong,
        begin: () => {
          cancel.removeEventListener('abort', leave);
          resolve();
        },
      };
      cancel.addEventListener('abort', leave);
      queue.waiting.push(mine);
      this.next(peer, queue);
    });
  }

  private ended({ peer, isLong }: PeerWork): void {
    const queue = this.queues.get(peer);
    assert(queue !== undefined, 'A turn ends in a queue that is gone');
    queue.running = counted(queue.running - 1, 'works of a peer');
    if (isLong) queue.longRunning = counted(queue.longRunning - 1, 'long works of a peer');
    this.next(peer, queue);
  }

  /** Gives free turns to the first works that may have them. */
  private next(peer: string, queue: PeerQueue): void {
    const mayBegin = ({ isLong }: Waiting): boolean => queue.running < this.max && (!isLong || queue.longRunning < this.longMax);
    for (let one = queue.waiting.find(mayBegin); one !== undefined; one = queue.waiting.find(mayBegin)) {
      const next = one;
      queue.waiting = queue.waiting.filter((other) => other !== next);
      queue.running++;
      if (next.isLong) queue.longRunning++;
      assert(queue.running <= this.max && queue.longRunning <= this.longMax, 'A peer has more works than it may have');
      next.begin();
    }
    if (queue.running === 0 && queue.waiting.length === 0) this.queues.delete(peer);
  }
}

function stopped(): RsError {
  return new RsError('E_BUSY', 'The replication was stopped before its turn');
}
