// Sends the votes that the decider orders, at most one at a time to each server. If the server is unreachable, the decider gets the answer
// null at once. The server may still execute a vote that was already sent, because the trunk sends it again in the next session. Invariant:
// a vote is sent only after the server has answered the previous vote, so that votes are executed in order.

import { assert } from '@rsio/base/lib/assert';
import type { Clock } from '@rsio/base/lib/clock';
import { callSession, type SessionAnswer } from '@rsio/protocol/client/session-call';
import { OP } from '@rsio/protocol/wire/frames';
import { VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { DriverServer } from './driver-ports.ts';
import { type VoteCall, voteFrame } from './vote-frame.ts';

/**
 * A function that gets the answer to a vote, or null if no answer will arrive. The function is called at most once, and never before `send`
 * has returned.
 */
export type Voted = (answer: VoteAnswer | null) => void;

class Line {
  /**
   * The vote that was sent and has not been answered; null if no vote is in progress. `voted` becomes null when the decider gets the answer
   * null for this vote; the real answer is ignored.
   */
  out: { voted: Voted | null } | null = null;
  next: { readonly server: DriverServer; readonly call: VoteCall; readonly voted: Voted } | null = null;
}

export class VoteCalls {
  private readonly mirror: string;
  private readonly clock: Clock;
  private readonly lines = new Map<number, Line>();
  private isOver = false;

  constructor(mirror: string, clock: Clock) {
    this.mirror = mirror;
    this.clock = clock;
  }

  send(server: DriverServer | undefined, call: VoteCall, voted: Voted): void {
    if (server === undefined || server.trunk.paths.length === 0) {
      this.clock.soon(() => this.tell(voted, null));
      return;
    }
    const line = this.lineOf(server.serverid);
    if (line.out === null) this.ask(line, server, call, voted);
    else {
      if (line.next !== null) this.tell(line.next.voted, null);
      line.next = { server, call, voted };
    }
  }

  /** True if a vote was sent to the server and has not been answered. */
  isAsked(serverid: number): boolean {
    return (this.lines.get(serverid)?.out ?? null) !== null;
  }

  /**
   * Called when the server has become unreachable. The decider gets the answer null for the votes that were sent to this server or wait to
   * be sent.
   */
  serverDown(serverid: number): void {
    const line = this.lines.get(serverid);
    if (line === undefined) return;
    const waiting = [line.out?.voted ?? null, line.next?.voted ?? null];
    if (line.out !== null) line.out.voted = null;
    line.next = null;
    for (const voted of waiting) if (voted !== null) this.tell(voted, null);
  }

  /** Later answers are ignored. */
  end(): void {
    this.isOver = true;
    this.lines.clear();
  }

  private ask(line: Line, server: DriverServer, call: VoteCall, voted: Voted): void {
    if (server.trunk.session?.canVote === false) {
      this.clock.soon(() => this.tell(voted, withoutMirrors(server.name)));
      return;
    }
    assert(line.out === null, 'A server gets two votes at once');
    const out = { voted: voted as Voted | null };
    line.out = out;
    const { aux, body } = voteFrame(this.mirror, call);
    callSession(server.trunk, { op: OP.VOTE, attachment: null, aux, body }, (answer) => {
      assert(line.out === out, 'A vote is answered twice');
      line.out = null;
      const { next } = line;
      line.next = null;
      if (next !== null) this.ask(line, next.server, next.call, next.voted);
      if (out.voted !== null) this.answer(out.voted, answer);
    });
  }

  /** An answer that cannot be decoded counts as null, and the exception closes the path that carried the answer. */
  private answer(voted: Voted, { status, bodies: [body] }: SessionAnswer): void {
    let answer: VoteAnswer | null = null;
    try {
      if (status === STATUS.OK && body !== undefined) answer = VoteAnswer.decode(body, 0, body.length);
    } finally {
      this.tell(voted, answer);
    }
  }

  private tell(voted: Voted, answer: VoteAnswer | null): void {
    if (!this.isOver) voted(answer);
  }

  private lineOf(serverid: number): Line {
    const known = this.lines.get(serverid);
    if (known !== undefined) return known;
    const line = new Line();
    this.lines.set(serverid, line);
    return line;
  }
}

function withoutMirrors(server: string): VoteAnswer {
  const sentence = `Server ${server} has no mirrors: update it`;
  return { voted: VOTED.UNKNOWN, sentence, voter: null, promise: null, stored: null, replica: null };
}
