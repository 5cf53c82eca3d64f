// The interface of membership.ts, which decides the membership of a mirror: its input (events), its output (orders), and the permissions of
// the data path (the view). The driver executes the orders in sequence and reports events; io/ follows the view.
// Invariant: the decider has no clock, no I/O and no randomness, so that equal events give equal orders.

import type { ErrorCode } from '@rsio/common/lib/errors';
import type { MirrorConfig, VoteAnswer } from '../../wire/mirror-messages.ts';

export interface MirrorServer {
  readonly serverid: number;
  /** For messages. */
  readonly name: string;
}

export interface MirrorSeed {
  readonly mirror: string;
  readonly name: string;
  readonly universe: number;
  readonly me: { readonly node: string; readonly instance: number };
  /** If false, the decider ends with E_HELD while another client has the mirror. */
  readonly takesOver: boolean;
  /** Servers that the client knows now. More may come with `server-up`. */
  readonly servers: readonly MirrorServer[];
}

/** The content of a VOTE. The driver adds the id of the mirror. */
export type VoteRequest =
  | { readonly kind: 'record' }
  | { readonly kind: 'found'; readonly name: string; readonly universe: number }
  | { readonly kind: 'claim'; readonly number: number; readonly takesOver: boolean }
  | { readonly kind: 'config'; readonly number: number; readonly config: MirrorConfig }
  | { readonly kind: 'place'; readonly number: number; readonly volume: string; readonly universe: number }
  | { readonly kind: 'unplace'; readonly number: number };

/** A change that an administrator asks the holder for. One wish at a time. The driver chooses its `id`, and the answer repeats it. */
export type MirrorWish =
  /**
   * The data path is quiet until the answer: no request is in flight, the log is flushed, no region is unsettled. The order `detached`
   * answers this wish. Any other wish in progress is refused.
   */
  | { readonly kind: 'detach' }
  /** Adds the volume, which gets a new identity and all of the data, as a replica. Its server must be a voter. */
  | { readonly kind: 'add'; readonly server: number; readonly volume: string; readonly universe: number }
  /** Removes a replica. The last one in sync stays. */
  | { readonly kind: 'remove'; readonly identity: string }
  /** The servers that vote from now on. Also replaces a voter whose server has lost its record. */
  | { readonly kind: 'voters'; readonly servers: readonly number[] }
  /** Gives up a change of voters whose first step is not yet at a majority. Allowed while the wish `voters` is in progress. */
  | { readonly kind: 'keep-voters' }
  /** Gives up the wish in progress, if none of its configurations was sent, or if the voters can be kept. Not for `detach`. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'grow'; readonly sizeBytes: number };

export type MembershipEvent =
  /** The answer to the vote with this `order`; null if no answer will come (session lost, refused). Exactly one for each `vote`. */
  | { readonly kind: 'voted'; readonly server: number; readonly order: number; readonly answer: VoteAnswer | null }
  | { readonly kind: 'server-up'; readonly server: number; readonly name: string }
  | { readonly kind: 'server-down'; readonly server: number }
  /** The replica has a session, or answers again after `silent`. `sizeBytes`: size of its volume. */
  | { readonly kind: 'opened'; readonly identity: string; readonly sizeBytes: number }
  /** The OPEN failed. `unclaimed`: STATUS.UNCLAIMED; `taken`: a higher term is promised. The decider tries again after `retry`. */
  | {
      readonly kind: 'open-failed';
      readonly identity: string;
      readonly reason: 'unclaimed' | 'taken' | 'refused';
      readonly sentence: string;
    }
  /**
   * `mirror-patience` has passed without an answer of a replica that counts or shall be opened, perhaps because its server is away. Its
   * session goes on unless the order `give-up` follows. The last replica in sync is never given up.
   */
  | { readonly kind: 'silent'; readonly identity: string; readonly sentence: string }
  /**
   * The session and its replay log have ended for good. For a replica that does not count or is joining, the driver also reports this event
   * when the replica gets another incarnation (M12: its copy starts again).
   */
  | { readonly kind: 'lost'; readonly identity: string; readonly sentence: string }
  /**
   * A returning replica has a copy of all data and has answered all earlier writes. Has an effect only while `mayJoin` of the view is true.
   * Otherwise, the driver repeats the event after the next view.
   */
  | { readonly kind: 'caught-up'; readonly identity: string }
  /** The joining replica has answered a FLUSH that began after the view with role `joining` and after the answers to all earlier writes. */
  | { readonly kind: 'joined-flushed'; readonly identity: string }
  | { readonly kind: 'grown'; readonly identity: string; readonly sizeBytes: number }
  | { readonly kind: 'grow-failed'; readonly identity: string; readonly sentence: string }
  | { readonly kind: 'wish'; readonly id: number; readonly wish: MirrorWish }
  /**
   * Everything that failed is tried again. The driver's timer sends this, with a random spread, while `waitsFor` of the view is not null.
   */
  | { readonly kind: 'retry' };

export type MembershipOrder =
  /** At most one vote for each server is without an answer. */
  | { readonly kind: 'vote'; readonly server: number; readonly order: number; readonly request: VoteRequest }
  | {
      readonly kind: 'open';
      readonly identity: string;
      readonly server: number;
      readonly volume: string;
      readonly universe: number;
      readonly number: number;
    }
  /** Ends the session, or the attempt to open it, at once. A later `open` begins a new session after the server has ended the old one. */
  | { readonly kind: 'give-up'; readonly identity: string; readonly sentence: string }
  | { readonly kind: 'grow'; readonly identity: string; readonly sizeBytes: number }
  /**
   * The client is the holder. `isClean`: the former holder ended cleanly, so no region is unsettled. Otherwise, regions that are set in the
   * map of a replica in sync are unsettled (M7), and all regions are while a map is missing.
   */
  | { readonly kind: 'serve'; readonly isClean: boolean }
  /** Comes after all other orders of an event that changed the view. */
  | { readonly kind: 'view'; readonly view: MirrorView }
  /** Answers the wish. `sentence`: empty if it is done, otherwise the reason for the refusal. */
  | { readonly kind: 'wished'; readonly id: number; readonly sentence: string }
  /** The mirror is detached. No order follows. */
  | { readonly kind: 'detached' }
  /** The client did not get the mirror, or has lost it: I/O fails and the log is void. No order follows. */
  | { readonly kind: 'end'; readonly code: ErrorCode; readonly sentence: string };

export interface ReplicaView {
  readonly identity: string;
  readonly server: number;
  /** `leaving`: its removal is pending. `returning`: a member out of sync. `joining`: copied, and not yet in I by a configuration. */
  readonly role: 'member' | 'leaving' | 'returning' | 'joining';
  /** Acknowledgements and flushes wait for this replica (M8, M10). */
  readonly counts: boolean;
  /** The replica may execute READs, once it has recovered and the region is settled (M15). */
  readonly reads: boolean;
  /** The replica must confirm the term for each READ, unless a majority of the voters does (M15). */
  readonly confirms: boolean;
  readonly session: 'none' | 'opening' | 'open';
  /** The event `caught-up` would have an effect now. */
  readonly mayJoin: boolean;
  /** Size of its volume at the last OPEN, before any growth in this session; 0 if it was never opened. */
  readonly foundBytes: number;
}

export interface MirrorView {
  /** Number of the term; 0 before it is chosen. */
  readonly term: number;
  readonly isServing: boolean;
  /** Members of the configuration at a majority, members of configurations that were sent later, and joining replicas. */
  readonly replicas: readonly ReplicaView[];
  /** Sets of voters, each voter with its server. A majority of each set can confirm a READ in place of the replicas. */
  readonly voterSets: readonly (readonly { readonly voter: string; readonly serverid: number }[])[];
  /** Size of the mirror for users (M21); 0 before the mirror serves. */
  readonly sizeBytes: number;
  /** A configuration is sent and not yet at a majority. The copier then starts no settling and clears no bit. */
  readonly isPending: boolean;
  /** All members of the configuration at a majority are in sync, and no configuration is pending: bits may be cleared (M3). */
  readonly isAllInSync: boolean;
  /** What the mirror waits for, as a sentence; null if nothing is missing. */
  readonly waitsFor: string | null;
}
