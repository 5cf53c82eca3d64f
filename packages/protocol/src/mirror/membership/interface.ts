// The interface of the decider of a mirror's membership: what it is told (events), what it demands (orders), and what the data path may do
// (the view). membership.ts decides, the driver executes orders in their sequence and reports, and io/ follows the view.
// Invariant: the decider has no clock, no I/O and no randomness, so that equal events give equal orders.

import type { ErrorCode } from '@rsio/common/lib/errors';
import type { MirrorConfig, VoteAnswer } from '../../wire/mirror/messages.ts';

export interface MirrorServer {
  readonly serverid: number;
  /** For sentences. */
  readonly name: string;
}

export interface MirrorSeed {
  readonly mirror: string;
  readonly name: string;
  readonly universe: number;
  readonly me: { readonly node: string; readonly instance: number };
  /** False: the decider refuses with E_HELD while another client has the mirror. */
  readonly takesOver: boolean;
  /** Servers that the client knows now. More may come with `server-up`. */
  readonly servers: readonly MirrorServer[];
}

/** The request of a vote. The driver adds the id of the mirror. */
export type VoteRequest =
  | { readonly kind: 'record' }
  | { readonly kind: 'found'; readonly name: string; readonly universe: number }
  | { readonly kind: 'claim'; readonly number: number; readonly takesOver: boolean }
  | { readonly kind: 'config'; readonly number: number; readonly config: MirrorConfig }
  | { readonly kind: 'place'; readonly number: number; readonly volume: string; readonly universe: number }
  | { readonly kind: 'unplace'; readonly number: number };

/** What an administrator wants of the holder. One wish at a time; `id` is chosen by the driver and comes back with the answer. */
export type MirrorWish =
  /**
   * The data path is quiet and stays so until the answer: nothing is in flight, the log is flushed, nothing is unsettled. The order `detached`
   * answers it. Any other wish under way is refused.
   */
  | { readonly kind: 'detach' }
  /** Adds the volume, which gets a new identity and all of the data, as a replica. Its server must be a voter. */
  | { readonly kind: 'add'; readonly server: number; readonly volume: string; readonly universe: number }
  /** Removes a replica. The last one in sync stays. */
  | { readonly kind: 'remove'; readonly identity: string }
  /** The servers that vote from now on. A voter whose server has lost its record is replaced so, too. */
  | { readonly kind: 'voters'; readonly servers: readonly number[] }
  /** Gives a change of voters up whose first step is not yet at a majority. Allowed while the wish `voters` is under way. */
  | { readonly kind: 'keep-voters' }
  /** Gives the wish under way up, if no configuration of it was sent, or the voters can be kept. A detach is not given up. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'grow'; readonly sizeBytes: number };

export type MembershipEvent =
  /** The answer to the vote with this order; null: none is coming (session lost, refused). Each `vote` gets exactly one of them. */
  | { readonly kind: 'voted'; readonly server: number; readonly order: number; readonly answer: VoteAnswer | null }
  | { readonly kind: 'server-up'; readonly server: number; readonly name: string }
  | { readonly kind: 'server-down'; readonly server: number }
  /** The replica has a session. Also: one that was reported `silent` answers again. `sizeBytes`: size of its volume. */
  | { readonly kind: 'opened'; readonly identity: string; readonly sizeBytes: number }
  /** There is no session. `unclaimed`: STATUS.UNCLAIMED; `taken`: a higher term is promised. It is tried again after `retry`. */
  | {
      readonly kind: 'open-failed';
      readonly identity: string;
      readonly reason: 'unclaimed' | 'taken' | 'refused';
      readonly sentence: string;
    }
  /**
   * The patience with a replica that counts, or is wanted, is over; also if it was never opened because its server is away. Its session
   * goes on unless `give-up` follows, because the last replica in sync is never given up.
   */
  | { readonly kind: 'silent'; readonly identity: string; readonly sentence: string }
  /**
   * The session has ended for good, and with it what the replay log held for it. For a replica that does not count yet, or is joining, the
   * driver also reports this when the replica has another incarnation (M12: it starts again).
   */
  | { readonly kind: 'lost'; readonly identity: string; readonly sentence: string }
  /**
   * A returning replica has a copy of everything, and all earlier writes are answered there. It must be true at this moment, and
   * `mayJoin` of the view as well, or else the event has no effect and is sent again after the next view.
   */
  | { readonly kind: 'caught-up'; readonly identity: string }
  /** A flush that began after the view with the role `joining`, and after all writes sent before it were answered there, is answered. */
  | { readonly kind: 'joined-flushed'; readonly identity: string }
  | { readonly kind: 'grown'; readonly identity: string; readonly sizeBytes: number }
  | { readonly kind: 'grow-failed'; readonly identity: string; readonly sentence: string }
  | { readonly kind: 'wish'; readonly id: number; readonly wish: MirrorWish }
  /** The driver sends it from a timer, with a random spread, while `waitsFor` of the view is not null. Everything that failed is tried again. */
  | { readonly kind: 'retry' };

export type MembershipOrder =
  /** At most one per server is without answer. */
  | { readonly kind: 'vote'; readonly server: number; readonly order: number; readonly request: VoteRequest }
  | {
      readonly kind: 'open';
      readonly identity: string;
      readonly server: number;
      readonly volume: string;
      readonly universe: number;
      readonly number: number;
    }
  /** Ends the session or the attempt to open, at once. A later `open` begins a session after the server has ended all of the older one. */
  | { readonly kind: 'give-up'; readonly identity: string; readonly sentence: string }
  | { readonly kind: 'grow'; readonly identity: string; readonly sizeBytes: number }
  /**
   * The client is the holder. `isClean`: the former end was clean, so everything is settled; else what is set in a map of a replica in sync
   * is unsettled (M7), and every block is while a map is missing.
   */
  | { readonly kind: 'serve'; readonly isClean: boolean }
  /** Follows all orders of an event that changed it. */
  | { readonly kind: 'view'; readonly view: MirrorView }
  /** Empty sentence: done. Else it says why the wish is refused. */
  | { readonly kind: 'wished'; readonly id: number; readonly sentence: string }
  /** The mirror is detached: no order follows. */
  | { readonly kind: 'detached' }
  /** The client does not have the mirror, or no longer: I/O fails and the log is void. No order follows. */
  | { readonly kind: 'end'; readonly code: ErrorCode; readonly sentence: string };

export interface ReplicaView {
  readonly identity: string;
  readonly server: number;
  /** `leaving`: its removal is sent. `returning`: it is a member outside of I. `joining`: it is copied, and not yet in I. */
  readonly role: 'member' | 'leaving' | 'returning' | 'joining';
  /** Acknowledgements and flushes wait for it (M8, M10). */
  readonly counts: boolean;
  /** It may execute reads, once it is recovered and the block is settled (M15). */
  readonly reads: boolean;
  /** It must confirm the term for a read unless a majority of the voters does (M15). */
  readonly confirms: boolean;
  readonly session: 'none' | 'opening' | 'open';
  /** `caught-up` would be accepted now. */
  readonly mayJoin: boolean;
  /** Size of its volume when it was opened last, before it has grown in this session; 0: it was not opened yet. */
  readonly foundBytes: number;
}

export interface MirrorView {
  /** Number of the term; 0: not yet chosen. */
  readonly term: number;
  readonly isServing: boolean;
  /** The members of the configuration at a majority, of those that were sent since, and joining ones. */
  readonly replicas: readonly ReplicaView[];
  /** Sets of voters: a read is also confirmed by a majority of each set. Each voter with the server that has it. */
  readonly voterSets: readonly (readonly { readonly voter: string; readonly serverid: number }[])[];
  /** Size to tell (M21); 0 before the mirror serves. */
  readonly sizeBytes: number;
  /** A configuration is sent and not yet at a majority. No settling starts, and no bit is cleared. */
  readonly isPending: boolean;
  /** I is all members of the configuration at a majority, and none is pending: bits may be cleared (M3). */
  readonly isAllInSync: boolean;
  /** What is missing, as a sentence; null: nothing is. */
  readonly waitsFor: string | null;
}
