// The interface of membership.ts, which decides the membership of a mirror: its input (events), its output (orders), and the permissions of
// the data path (the view). The driver executes the orders in sequence and reports events; io/ follows the view.
// Invariant: the decider has no clock, no I/O and no randomness, so that equal events give equal orders.

import type { ErrorCode } from '@rsio/base/lib/errors';
import type { MirrorConfig, Term, VoteAnswer } from '../../wire/mirror-messages.ts';

export interface MirrorServer {
  readonly serverid: number;
  readonly name: string;
}

export interface MirrorSeed {
  readonly mirror: string;
  readonly name: string;
  readonly universe: number;
  readonly me: { readonly node: string; readonly instance: number };
  /** If false, the decider ends with E_HELD while another client has the mirror. */
  readonly takesOver: boolean;
  /** True if nobody has ordered the attach: the client had the mirror before its restart, or its configuration wants it. */
  readonly isAutomatic: boolean;
  /** Servers that the client knows at the beginning. The event `server-up` may add further servers. */
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

/**
 * A change that an administrator asks the holder for. Only one wish is in progress at a time. The driver chooses the `id` of the wish, and
 * the answer repeats this id.
 */
export type MirrorWish =
  /**
   * Detaches the mirror. Until the answer, the data path must be quiet: no request is in flight, the log is flushed, and no region is
   * unsettled. The order `detached` answers this wish. A wish that is already in progress is refused.
   */
  | { readonly kind: 'detach' }
  /** Adds the volume as a replica. The volume gets a new identity and all data of the mirror. The server of the volume must be a voter. */
  | { readonly kind: 'add'; readonly server: number; readonly volume: string; readonly universe: number }
  /** Removes a replica. The last replica in sync cannot be removed. */
  | { readonly kind: 'remove'; readonly identity: string }
  /** Replaces the set of servers that vote. This wish can also replace a voter whose server has lost its record. */
  | { readonly kind: 'voters'; readonly servers: readonly number[] }
  /** Gives up a change of voters whose first step is not yet at a majority. This wish is allowed while the wish `voters` is in progress. */
  | { readonly kind: 'keep-voters' }
  /**
   * Gives up the wish in progress, if no configuration of the wish was sent or if `keep-voters` would be possible. The wish `detach` cannot
   * be given up.
   */
  | { readonly kind: 'stop' }
  | { readonly kind: 'grow'; readonly sizeBytes: number }
  /** Stores a note with the voters. It is refused while a voter is not known to keep notes, because that voter would lose the note. */
  | { readonly kind: 'note'; readonly note: string };

export type MembershipEvent =
  /**
   * The answer to the vote with this `order`; null if no answer will come, because the session was lost or the vote was refused. The driver
   * reports exactly one such event for each order `vote`.
   */
  | { readonly kind: 'voted'; readonly server: number; readonly order: number; readonly answer: VoteAnswer | null }
  | { readonly kind: 'server-up'; readonly server: number; readonly name: string }
  | { readonly kind: 'server-down'; readonly server: number }
  /** The replica has a session, or answers again after `silent`. */
  | { readonly kind: 'opened'; readonly identity: string; readonly sizeBytes: number }
  /**
   * The OPEN failed. `unclaimed`: the status was STATUS.UNCLAIMED. `taken`: a higher term is promised. `barred`: the server does not offer
   * the replica to this client. The decider orders the next `open` after `retry`.
   */
  | {
      readonly kind: 'open-failed';
      readonly identity: string;
      readonly reason: 'unclaimed' | 'taken' | 'barred' | 'refused';
      readonly sentence: string;
    }
  /**
   * A replica that counts or is to be opened has not answered for the time `mirror-patience`, perhaps because its server is away. The
   * replica's session continues unless the order `give-up` follows. The last replica in sync is never given up.
   */
  | { readonly kind: 'silent'; readonly identity: string; readonly sentence: string }
  /**
   * The session of the replica and its replay log have ended for good. For a replica that does not count or is joining, the driver also
   * reports this event when the replica gets another incarnation (M12: its copy starts again).
   */
  | { readonly kind: 'lost'; readonly identity: string; readonly sentence: string }
  /**
   * A returning replica has a copy of all data and has answered all earlier writes. The event has an effect only while `mayJoin` of the
   * view is true. If `mayJoin` is false, the driver repeats the event after the next view.
   */
  | { readonly kind: 'caught-up'; readonly identity: string }
  /**
   * The joining replica has answered a FLUSH. This FLUSH began after the view that gave the replica the role `joining`, and after the
   * answers to all earlier writes.
   */
  | { readonly kind: 'joined-flushed'; readonly identity: string }
  | { readonly kind: 'grown'; readonly identity: string; readonly sizeBytes: number }
  | { readonly kind: 'grow-failed'; readonly identity: string; readonly sentence: string }
  | { readonly kind: 'wish'; readonly id: number; readonly wish: MirrorWish }
  /**
   * The decider repeats everything that has failed. The driver's timer sends this event, with a random spread, while `waitsFor` of the view
   * is not null.
   */
  | { readonly kind: 'retry' };

export type MembershipOrder =
  /** Sends a vote to a server. At most one vote for each server is unanswered at a time. */
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
   * The client is the holder. `isClean`: the former holder ended cleanly, so no region is unsettled. If `isClean` is false, each region
   * that is set in the map of a replica in sync is unsettled (M7). All regions are unsettled while the map of a replica in sync is missing.
   */
  | { readonly kind: 'serve'; readonly isClean: boolean }
  /** This order comes after all other orders of an event that changed the view. */
  | { readonly kind: 'view'; readonly view: MirrorView }
  /** Answers the wish with this `id`. `sentence`: empty if the wish is done, otherwise the reason for the refusal. */
  | { readonly kind: 'wished'; readonly id: number; readonly sentence: string }
  /** The mirror is detached. No order follows. */
  | { readonly kind: 'detached' }
  /** The client did not get the mirror, or has lost it: I/O fails, and the replay logs of the replicas are void. No order follows. */
  | { readonly kind: 'end'; readonly code: ErrorCode; readonly sentence: string };

export interface ReplicaView {
  readonly identity: string;
  readonly server: number;
  /**
   * `leaving`: the removal of the replica is pending. `returning`: the replica is a member out of sync. `joining`: the replica has a
   * complete copy, but no configuration lists it as in sync yet.
   */
  readonly role: 'member' | 'leaving' | 'returning' | 'joining';
  /** True if acknowledgements and flushes wait for this replica (M8, M10). */
  readonly counts: boolean;
  /** True if the replica may execute READs when it has recovered and the region is settled (M15). */
  readonly reads: boolean;
  /** True if the replica must confirm the term for each READ, unless a majority of the voters confirms the term (M15). */
  readonly confirms: boolean;
  readonly session: 'none' | 'opening' | 'open';
  /** True if the event `caught-up` would have an effect now. */
  readonly mayJoin: boolean;
  /** Size of the replica's volume at the last OPEN, before any growth in this session; 0 if the replica was never opened. */
  readonly foundBytes: number;
  /** See ReplicaState. */
  readonly lacksTerm: Term | null | undefined;
}

export interface MirrorView {
  /** Number of this client's term; 0 before the number is chosen. */
  readonly term: number;
  readonly isServing: boolean;
  /** Members of the configuration at a majority, members of configurations that were sent later, and joining replicas. */
  readonly replicas: readonly ReplicaView[];
  /** The sets of voters; each voter is given with its server. A majority of every set can confirm a READ in place of the replicas. */
  readonly voterSets: readonly (readonly { readonly voter: string; readonly serverid: number }[])[];
  /** Size of the mirror for users (M21); 0 before the mirror serves. */
  readonly sizeBytes: number;
  /** True if a configuration was sent and is not yet at a majority. While this is true, the copier starts no settling and clears no bit. */
  readonly isPending: boolean;
  /**
   * True if all members of the configuration at a majority are in sync and no configuration is pending; if so, bits may be cleared (M3).
   */
  readonly isAllInSync: boolean;
  /** What the mirror waits for, as a sentence; null if nothing is missing. */
  readonly waitsFor: string | null;
}
