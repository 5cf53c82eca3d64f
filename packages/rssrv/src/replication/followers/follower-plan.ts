// Decides what a replication does next at the server with the followers. Pure: follower-lane.ts carries the step out. Invariants: a pull
// names the snapshot of the source by its id, and begins with content that both servers have. A moment is confirmed only when every
// follower has it. The newest moment that all followers have is never removed. No step is planned for a promoted follower. A follower whose
// newest moment the source does not know gets nothing. What the source says changes a role only as an order at this server has allowed.
// Rules: T4 to T6, T8, T9.

import type { ReplicationOrder, SourceMoment } from '@rsio/api/rssrv/replication-methods';
import { type Found, type VolumeName, volumeText } from '../../pools/catalogue.ts';
import { commonMoments, momentsIn, unknownIn } from '../../pools/follower-moments.ts';
import { momentIdOf } from '../../pools/mirror-sources.ts';
import { snapshotsOf } from '../../snapshots/snapshot-rules.ts';
import type { SnapshotRecord } from '../../pools/snapshots/snapshot-record.ts';
import { AHEAD_MIN_MS, HOLDER_LATE_MS, MOMENT_INTERVAL_MS, REPLICATION_LOOK_MS } from '../limits.ts';

export type HandOverOrder = NonNullable<ReplicationOrder['handOver']>;
type OrderMember = ReplicationOrder['members'][number];
type SourceSnapshot = SourceMoment['snapshots'][number];
/** The part of a snapshot of a follower that the plan needs. */
export type OwnSnapshot = Pick<SnapshotRecord, 'id' | 'name' | 'origin' | 'group' | 'createdMs' | 'replication' | 'moment'>;

/** A follower as it is now. */
export interface FollowerFacts extends VolumeName {
  readonly sourceId: string;
  /** Id of the follower. */
  readonly volumeId: string;
  readonly isPromoted: boolean;
  /** Peer that its manifest names. */
  readonly peer: string;
  /** Its snapshots, the oldest first. */
  readonly snapshots: readonly OwnSnapshot[];
  /** Those that are moments of its source. */
  readonly moments: readonly OwnSnapshot[];
  /** Id of the hand-over that an order at this server wants, or with which the volume was promoted; null: none. */
  readonly wanted: string | null;
  /** Ids of the volumes of the source that share their moments with its source. */
  readonly members: readonly string[];
  /** Ids of snapshots that clients have open. */
  readonly inUse: ReadonlySet<string>;
}

/** Content that the source and the follower have in common. `own`: name of the follower's snapshot; `since`: id of the source's snapshot. */
export interface CommonBase {
  readonly own: string;
  readonly since: string;
}

/** The pull of one volume of a moment. */
export interface MemberPull {
  readonly member: OrderMember;
  readonly follower: FollowerFacts;
  readonly snapshot: SourceSnapshot;
  readonly base: CommonBase | null;
  /** See `firstUnknown`. */
  readonly unknown: string | null;
}

/** A volume of this server that is no follower: it has a moment of a volume of the order, was closed to be handed over, or was promoted. */
export interface OldSource {
  readonly sourceId: string;
  readonly name: string;
  readonly universe: number;
  /** Id of the hand-over for which it is closed; null: clients may open it. */
  readonly granted: string | null;
  /** True if it has its own last moment, so that it can follow. */
  readonly hasLast: boolean;
  /** True if it was promoted from the offered volume, and only its mark says so. */
  readonly wasPromoted: boolean;
}

/** States that do not go on without an order. */
export type StuckWord = 'diverged' | 'split' | 'closed';

export type FollowerStep =
  /** The followers were promoted, and the source has this replication still. */
  | { readonly kind: 'stuck'; readonly word: StuckWord; readonly text: string }
  /** The closed source at this server follows the server that has taken over. */
  | { readonly kind: 'follow' }
  /** The followers want to take over, and the source is asked to close. */
  | { readonly kind: 'grant'; readonly wanted: string }
  /** The source is closed for a hand-over that is not wanted here any more. */
  | { readonly kind: 'release'; readonly granted: string }
  /** The source is closed, and the followers have its last moment: they become the source. */
  | { readonly kind: 'take-over'; readonly handOver: HandOverOrder }
  | { readonly kind: 'problem'; readonly text: string }
  /** The pool of the source has moved to the peer, whose name the followers do not have yet. `from`: the peer that they have. */
  | { readonly kind: 'adopt'; readonly follower: FollowerFacts; readonly from: string }
  | { readonly kind: 'create'; readonly member: OrderMember }
  | { readonly kind: 'pull'; readonly moment: SourceMoment; readonly pulls: readonly MemberPull[] }
  | { readonly kind: 'confirm'; readonly group: string }
  | { readonly kind: 'remove'; readonly follower: FollowerFacts; readonly snapshot: OwnSnapshot }
  | { readonly kind: 'ask' }
  | { readonly kind: 'wait'; readonly ms: number; readonly text: string };

/** What a lane knows besides its order. */
export interface LaneNow {
  readonly peer: string;
  /** Time by the clock of the source. */
  readonly nowMs: number;
  /** Time since this server got the last moment; null if it has got none since its start. */
  readonly sinceMomentMs: number | null;
  /** Group of that moment; null: none. */
  readonly gotGroup: string | null;
  /** Volumes of this server that were the source. */
  readonly old: readonly OldSource[];
  /** False for some time after the source has refused the hand-over. */
  readonly mayAskGrant: boolean;
}

export function nextStep(order: ReplicationOrder, followers: readonly FollowerFacts[], lane: LaneNow): FollowerStep {
  const { peer, nowMs, sinceMomentMs } = lane;
  const mine = order.members.map((member) => ({ member, follower: followers.find(({ sourceId }) => sourceId === member.id) }));
  const { handOver } = order;
  // A source of an earlier release says only in `handOver` for what it is closed.
  const granted = order.granted ?? handOver?.replication ?? null;
  const isWanted = handOver !== null && mine.some(({ follower }) => follower?.wanted === handOver.replication);
  if (mine.some(({ follower }) => follower?.isPromoted === true))
    return !isWanted || mine.some(({ follower }) => follower === undefined)
      ? promotedStep(
          // A demotion that was interrupted before the promotion has left volumes that do not follow yet.
          [...mine.flatMap(({ follower }) => follower ?? []), ...lane.old],
          peer,
          granted !== null,
        )
      : { kind: 'take-over', handOver };
  for (const { follower } of mine)
    if (follower !== undefined && follower.peer !== peer) return { kind: 'adopt', follower, from: follower.peer };
  const newest = order.moments.at(-1);
  const all = mine.flatMap(({ follower }) => follower ?? []);
  // A wish that only some followers have is none: the command that records it has been interrupted, and nobody would take over.
  const wish = all[0]?.wanted ?? null;
  const wanted = all.length === mine.length && all.every((one) => one.wanted === wish) ? wish : null;
  // A source that cannot be read completely lists no moments, and only some of its volumes.
  if (order.problem === null && all.some((one) => !isSameSet(one.members, order))) {
    if (granted !== null && granted !== wanted) return { kind: 'release', granted };
    return otherSetStep(followers, peer);
  }
  for (const { member, follower } of mine)
    if (follower === undefined) {
      if (lane.old.length > 0) return oldSourceStep(order, lane, all);
      // A source that hides its moments may have them in common with a volume here.
      return order.problem === null ? { kind: 'create', member } : { kind: 'problem', text: order.problem };
    }
  const ask: FollowerStep =
    order.problem !== null ? { kind: 'problem', text: order.problem } : order.isMirror ? HOLDERS_TURN : { kind: 'ask' };
  // A mirror has other moments at each server. Their places tell which one is later, and the newest one that it does not know stays.
  const lost = order.isMirror || order.problem !== null ? undefined : all.find((one) => !isKnown(order, one));
  if (granted !== null && granted !== wanted) return { kind: 'release', granted };
  if (lost !== undefined) return divergedStep(all, peer);
  const grant: FollowerStep | null = wanted !== null && handOver === null && lane.mayAskGrant ? { kind: 'grant', wanted } : null;
  if (newest === undefined) return grant ?? ask;
  const pulls = mine.flatMap(({ member, follower }): MemberPull | readonly MemberPull[] => {
    const snapshot = newest.snapshots.find(({ volumeId }) => volumeId === member.id);
    if (snapshot === undefined || follower === undefined || hasCopy(follower, snapshot) || isPassed(order, follower, newest)) return [];
    return { member, follower, snapshot, base: commonBase(order, follower), unknown: firstUnknown(order, follower, all) };
  });
  // Each pull may use the whole limit of the order.
  const pullsMax = order.limitBytes === null ? pulls.length : 1;
  if (pulls.length > 0) return { kind: 'pull', moment: newest, pulls: pulls.slice(0, pullsMax) };
  if (isWanted && wanted !== null && commonGroups(all).at(-1) === handOver.group) return { kind: 'take-over', handOver };
  if (order.confirmed !== newest.group) return { kind: 'confirm', group: newest.group };
  const excess = excessOf(order, all, newest.group);
  if (excess !== null) return { kind: 'remove', ...excess };
  if (grant !== null) return grant;
  // If the clock of the source was set back, the moments are in its future, and only the time here says when the next one is due.
  const isBack = nowMs < newest.momentMs;
  const dueMs = isBack ? order.everyMs - (sinceMomentMs ?? order.everyMs) : newest.momentMs + order.everyMs - nowMs;
  // A source whose moments are never of now would be asked without end. A moment that a late answer to a poll lacks is asked for again.
  const isGot = sinceMomentMs !== null && lane.gotGroup === newest.group;
  const waitMs = isGot ? Math.max(dueMs, MOMENT_INTERVAL_MS - sinceMomentMs) : dueMs;
  const isOld = all.some((follower) => isPassed(order, follower, newest));
  if (order.isMirror && dueMs < -order.everyMs - HOLDER_LATE_MS) return { kind: 'problem', text: isOld ? OUT_OF_SYNC : HOLDER_LATE };
  if (isOld) return { kind: 'wait', ms: Math.max(waitMs, REPLICATION_LOOK_MS), text: OUT_OF_SYNC };
  const text = keptText(all, peer);
  if (waitMs > 0) return { kind: 'wait', ms: waitMs, text };
  return ask.kind === 'wait' && text !== '' ? { ...ask, text } : ask;
}

/** T4: says which moments stay because the mirror did not know them. Empty: none. */
function keptText(all: readonly FollowerFacts[], peer: string): string {
  const [first] = all.flatMap((one) => unknownIn(one.moments).map(({ kept }) => ({ volume: volumeText(one), name: kept.name })));
  if (first === undefined) return '';
  const { volume, name } = first;
  return (
    `${volume}@${name} stays, because the mirror at server ${peer} does not know it, and has perhaps come back from an old backup: ` +
    `rsadm volume promote ${all.map(volumeText).join(' ')} --from ${name} makes it the content of this server, and rsadm volume remove ${volume}@${name} gives it up`
  );
}

/** The followers were promoted, and their source has not noticed, or serves as well. */
function promotedStep(promoted: readonly VolumeName[], peer: string, isClosed: boolean): FollowerStep {
  const names = promoted.map(volumeText).join(' ');
  if (isClosed) {
    const here = `rsadm volume replicate ${names} here and then rsadm volume demote at ${peer} make it follow`;
    return {
      kind: 'stuck',
      word: 'closed',
      text: `volumes here were promoted while server ${peer} is closed for a hand-over: to keep this content, ${here}; rsadm volume replicate --end --force at ${peer} opens it again`,
    };
  }
  const [keep, give] = [
    `rsadm volume replicate ${names} here, then rsadm volume demote at ${peer}`,
    `rsadm volume demote ${names} --for ${peer}`,
  ];
  const text = `server ${peer} and this server both have these volumes as source: to keep the content of this server, ${keep}; to keep that of ${peer}, ${give}`;
  return { kind: 'stuck', word: 'split', text };
}

/**
 * The order offers volumes that were followers of volumes here. These follow only if this server has granted just this change of roles.
 * `done`: volumes that a demotion has made followers of this order already. It goes on only with all of them.
 */
function oldSourceStep(order: ReplicationOrder, { old, peer }: LaneNow, done: readonly VolumeName[]): FollowerStep {
  const closed = old.filter(({ granted }) => granted === order.replication);
  if (closed.length === old.length && closed.every(({ hasLast }) => hasLast)) return { kind: 'follow' };
  const names = old.map(volumeText).join(' ');
  const isClosed = old.some(({ granted }) => granted !== null);
  const demoted = [...done, ...old].map(volumeText).join(' ');
  const end = isClosed ? `rsadm volume replicate ${names} --end --force, then ` : '';
  if (old.some(({ wasPromoted }) => wasPromoted)) {
    const both = `to have both, rsadm volume copy and then rsadm volume remove for each of ${names}`;
    const text =
      `volumes ${names} of this server were promoted from volumes of server ${peer}, which offers these again: ` +
      `to keep the content of ${peer}, rsadm volume demote ${demoted} --for ${peer}; ` +
      `to keep that of this server, rsadm volume replicate ${names} here, then rsadm volume demote at ${peer}; ${both}`;
    return { kind: 'stuck', word: 'split', text };
  }
  const text =
    `volumes ${names} of this server were the source, and server ${peer} has others of the same content as its own: ` +
    `to keep the content of ${peer}, rsadm volume demote ${demoted} --for ${peer}; ` +
    `to keep that of this server, ${end}rsadm volume replicate ${names} here, then rsadm volume demote at ${peer}`;
  return { kind: 'stuck', word: isClosed ? 'closed' : 'split', text };
}

/**
 * The order that makes the content of followers the content of this server. Without a moment that all of them have, it names the newest
 * snapshot that they have of one moment.
 */
function promoteOrder(all: readonly FollowerFacts[]): string {
  const order = `rsadm volume promote ${all.map(volumeText).join(' ')}`;
  if (commonGroups(all).length > 0) return order;
  const isShared = ({ name, ...one }: OwnSnapshot): boolean =>
    all.every(({ snapshots }) => snapshots.some((other) => other.name === name && momentIdOf(other) === momentIdOf(one)));
  const last = all[0]?.snapshots.findLast(isShared);
  return last === undefined ? order : `${order} --from ${last.name}`;
}

function divergedStep(all: readonly FollowerFacts[], peer: string): FollowerStep {
  const names = all.map(volumeText).join(' ');
  const text =
    `server ${peer} does not know the newest moment here, so that it has perhaps come back from an old backup, or has begun another replication; nothing is copied or removed: ` +
    `${promoteOrder(all)} keeps the content of this server; then rsadm volume demote ${names} --for ${peer} takes that of ${peer}, and keeps this one as a snapshot`;
  return { kind: 'stuck', word: 'diverged', text };
}

/** A moment of other volumes than those that follow together is none of theirs: a promotion would go back to the last one that they share. */
function otherSetStep(all: readonly FollowerFacts[], peer: string): FollowerStep {
  const names = all.map(volumeText).join(' ');
  const text =
    `server ${peer} replicates other volumes together now than those that ${names} follow; nothing is copied or removed: ` +
    `${promoteOrder(all)} keeps the content of this server; then rsadm volume demote with those that ${peer} replicates, --for ${peer}, lets them follow again`;
  return { kind: 'stuck', word: 'diverged', text };
}

function isSameSet(ids: readonly string[], { members }: Pick<ReplicationOrder, 'members'>): boolean {
  return ids.length === members.length && members.every(({ id }) => ids.includes(id));
}

/** T4: returns true if the source knows the newest moment of the follower, or if the follower has none. */
export function isKnown(
  order: Pick<ReplicationOrder, 'moments'>,
  { moments: own, sourceId }: Pick<FollowerFacts, 'moments' | 'sourceId'>,
): boolean {
  const newest = own.at(-1);
  return newest === undefined || knows(order, newest, sourceId);
}

function knows({ moments }: Pick<ReplicationOrder, 'moments'>, own: OwnSnapshot, sourceId: string): boolean {
  return moments.some(({ snapshots }) => snapshots.some((one) => one.volumeId === sourceId && isSame(own, one)));
}

/**
 * T4: if the source does not know the newest moment of the follower, returns the group of the first moment that must stay: a promotion goes
 * back to the newest one that all followers have, because the later ones have perhaps arrived at some of them only.
 */
function firstUnknown(
  order: Pick<ReplicationOrder, 'moments'>,
  follower: Pick<FollowerFacts, 'moments' | 'sourceId'>,
  all: readonly FollowerFacts[],
): string | null {
  if (isKnown(order, follower)) return null;
  const common = commonGroups(all).at(-1);
  const from = follower.moments.findIndex((one) => momentIdOf(one) === common);
  const first = follower.moments.slice(Math.max(0, from)).find((one) => !knows(order, one, follower.sourceId));
  return first === undefined ? null : momentIdOf(first);
}

const OUT_OF_SYNC =
  'The newest moment of this server is earlier than that of the followers, because its replica is out of sync: it is copied when the client of the mirror has it in sync again; if the whole mirror has come back from an old backup, rsadm volume promote here keeps this content';

const HOLDER_LATE =
  'The client that has the mirror attached makes its moments, and has made none for more than two intervals: attach the mirror with a right to manage it';
const HOLDERS_TURN: FollowerStep = {
  kind: 'wait',
  ms: REPLICATION_LOOK_MS,
  text: 'waits for the client that has the mirror attached, which makes the next moment',
};

/** Returns true if an order comes from a later owner of the same shared pool. A copy of a pool that is not shared has no generation. */
export function isLaterOwner(
  { shared: offered }: Pick<ReplicationOrder, 'shared'>,
  { shared: known }: Pick<ReplicationOrder, 'shared'>,
): boolean {
  return offered !== null && known !== null && offered.poolId === known.poolId && offered.generation > known.generation;
}

/**
 * Returns true if a server of a mirror has moments that are later than those of another one, and has had them for more than two intervals, or
 * if the followers have one of them: the other one has the replica that is out of sync. Only the places of moments say which one is later,
 * because each server has removed other moments, and has its own clock.
 */
export function isAhead(
  { moments, confirmed, everyMs }: Pick<ReplicationOrder, 'moments' | 'confirmed' | 'everyMs'>,
  { moments: known }: Pick<ReplicationOrder, 'moments'>,
): boolean {
  const last = known.at(-1)?.place ?? null;
  const later = moments.filter(({ place }) => isLater(place, last));
  const [first] = later;
  const newest = later.at(-1);
  if (first === undefined || newest === undefined) return false;
  // Both times are by the clock of the server that is ahead.
  return later.some(({ group }) => group === confirmed) || newest.momentMs - first.momentMs >= Math.max(2 * everyMs, AHEAD_MIN_MS);
}

/**
 * Returns the group of the newest moment of a server of a mirror that is no later than the one that the followers have: the server needs no
 * earlier one. `followed`: the order of the server at which the mirror is followed. Returns null if the server knows that already.
 */
export function confirmedAt(
  { confirmed, moments }: Pick<ReplicationOrder, 'moments' | 'confirmed'>,
  followed: Pick<ReplicationOrder, 'moments' | 'confirmed'>,
): string | null {
  const copied = followed.moments.find(({ group }) => group === followed.confirmed);
  const group = copied && moments.findLast(({ place }) => !isLater(place, copied.place))?.group;
  return group === undefined || group === confirmed ? null : group;
}

/** Returns true if a moment of a mirror was made later than another one. A moment without a place was made before there was a mirror. */
function isLater(one: SourceMoment['place'], other: SourceMoment['place']): boolean {
  if (one === null || other === null) return one !== null;
  return one.term - other.term > 0 || (one.term === other.term && one.number > other.number);
}

/** Returns true if the follower has a later moment of the mirror. It would go back to an earlier content if it got this one. */
function isPassed({ replication }: Pick<ReplicationOrder, 'replication'>, { snapshots }: FollowerFacts, { place }: SourceMoment): boolean {
  // The volume may have followed another mirror before, whose places cannot be compared.
  return snapshots.some((own) => own.replication === replication && own.origin?.place !== undefined && isLater(own.origin.place, place));
}

/** Returns true if the follower has the content of this snapshot of the source. */
function hasCopy({ snapshots }: FollowerFacts, wanted: Pick<SourceSnapshot, 'id' | 'origin'>): boolean {
  return snapshots.some((own) => isSame(own, wanted));
}

/** A copy names its original. After a change of the roles, the original is at the follower. */
function isSame({ id, origin }: OwnSnapshot, wanted: Pick<SourceSnapshot, 'id' | 'origin'>): boolean {
  return origin?.snapshot === wanted.id || (wanted.origin !== null && wanted.origin === id);
}

/** Returns the newest content that both have; null if they have none in common. */
export function commonBase(
  { moments }: Pick<ReplicationOrder, 'moments'>,
  { sourceId, snapshots }: Pick<FollowerFacts, 'sourceId' | 'snapshots'>,
): CommonBase | null {
  for (const { snapshots: theirs } of moments.toReversed()) {
    const wanted = theirs.find(({ volumeId }) => volumeId === sourceId);
    const own = wanted === undefined ? undefined : snapshots.find((one) => isSame(one, wanted));
    if (wanted !== undefined && own !== undefined) return { own: own.name, since: wanted.id };
  }
  return null;
}

/** Returns the groups of the moments that all followers have, the oldest first. */
export function commonGroups(followers: readonly Pick<FollowerFacts, 'moments'>[]): readonly string[] {
  return commonMoments(followers.map(({ moments }) => moments));
}

/** Returns what commonGroups needs of volumes that are or were followers. */
export function copiesOf(all: readonly Found[]): readonly Pick<FollowerFacts, 'moments'>[] {
  return all.map((found) => {
    const { follower } = found.manifest;
    return { moments: follower === undefined ? [] : momentsIn(follower, snapshotsOf(found).list) };
  });
}

/**
 * Returns a snapshot of the replication that is not kept any more; null if there is none. `newest`: group of the newest moment, which all
 * followers have.
 */
function excessOf(
  order: Pick<ReplicationOrder, 'keep'>,
  followers: readonly FollowerFacts[],
  newest: string,
): { readonly follower: FollowerFacts; readonly snapshot: OwnSnapshot } | null {
  const kept = new Set([...commonGroups(followers).slice(-order.keep), newest]);
  for (const follower of followers) {
    const unknown = unknownIn(follower.moments).flatMap((one) => [one.kept, one.later]);
    const end = follower.moments.findIndex((one) => momentIdOf(one) === newest);
    // Own moments of a volume that was the source stay.
    for (const snapshot of follower.moments.slice(0, Math.max(0, end)))
      if (
        snapshot.origin !== undefined &&
        !kept.has(snapshot.origin.group) &&
        !follower.inUse.has(snapshot.id) &&
        !unknown.includes(snapshot)
      )
        return { follower, snapshot };
  }
  return null;
}
