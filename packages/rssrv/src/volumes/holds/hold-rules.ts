// Decides which client may have a volume (docs/PROTOCOL.md H1 to H4). Computes the result of an OPEN, and the holds after each change.
// Pure. holds.ts makes the holds durable. The caller must call `withOpening` only when no request under a lost hold is running. Invariants:
// A volume that is not shared has either one writer or only readers. The epoch of a volume grows whenever a hold begins or ends. No two
// holds have the same identity.

import type { ClientRole } from '@rsio/common/config/schema/types';
import { assert } from '@rsio/base/lib/assert';
import { formatTime } from '@rsio/base/log/log-line';
import { type Holder, type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import type { Term } from '@rsio/protocol/wire/mirror-messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { ClientIdentity } from './grants.ts';
import { type LastTerm, withLife, withWriter } from './last-terms.ts';
import { type ServedVolume, takeOverRemedy } from '../../storage/io/served-volume.ts';

/** An instance of a node that requests a volume, and the address of the instance. */
export type Claimant = Pick<ClientIdentity, 'node' | 'instance' | 'machine' | 'process' | 'address'>;

export type HeldVolumeFacts = Pick<ServedVolume, 'id' | 'name' | 'readonly' | 'shared' | 'takeOver' | 'takeOverForce' | 'replica' | 'pool'>;

export interface Hold {
  readonly node: string;
  readonly machine: string;
  readonly instance: number;
  /**
   * Id of the process that has the hold. The id is null in holds of early client versions and in old versions of the file; null stands for
   * any process of the instance.
   */
  readonly process: string | null;
  readonly address: string;
  readonly sinceMs: number;
  readonly readonly: boolean;
  /**
   * The volume's epoch when this hold began. The epoch identifies the hold. The epoch is 0 for readers from the first version of the file,
   * in which a reader's identity contained no epoch.
   */
  readonly epoch: number;
  /**
   * The last incarnation of the storage for which the holder has recovered all its writes. Holds from the first version of the file have
   * null, which stands for the current incarnation.
   */
  readonly life: string | null;
  /** Number of the term under which a replica is open (docs/PROTOCOL.md Q6); absent if the volume is not a replica. */
  readonly term?: number;
}

/** The most recent take-over of a volume. */
export interface TakeOver {
  readonly node: string;
  readonly address: string;
  readonly atMs: number;
}

export interface VolumeHolds {
  /** Number of times that the volume's holds have changed. */
  readonly epoch: number;
  readonly holds: readonly Hold[];
  readonly taken: TakeOver | null;
  /**
   * True if the entry belongs to a snapshot; absent for a volume. The next start forgets a snapshot without holders, because servers
   * make and remove many snapshots.
   */
  readonly isSnapshot?: true;
  /** For a replica (Q10): the last term under which a client could write, even if its hold has ended. */
  readonly lastTerm?: LastTerm;
}

export const NO_HOLDS: VolumeHolds = { epoch: 0, holds: [], taken: null };

/**
 * Checks a change of the holds of a volume, whatever has made it. The epoch at which a hold begins identifies the hold, so the epoch of a
 * volume never falls, and no hold begins at an epoch that was in use.
 */
export function checkHolds(before: VolumeHolds, after: VolumeHolds): void {
  const { epoch, holds } = after;
  assert(epoch >= before.epoch, 'The epoch of a volume falls');
  assert(
    holds.every((hold) => hold.epoch <= epoch),
    'A hold is later than its volume',
  );
  assert(new Set(holds.map(({ node }) => node)).size === holds.length, 'A node has two holds of one volume');
  // Many clients may read one volume, and most of their holds are the same objects before and after.
  const same = new Set(before.holds);
  const stays = (hold: Hold): boolean => same.has(hold) || before.holds.some((one) => one.epoch === hold.epoch && isOf(one, hold));
  assert(
    holds.every((hold) => stays(hold) || hold.epoch > before.epoch),
    'A hold begins at an epoch that was in use',
  );
  const isSame = holds.length === before.holds.length && holds.every(stays);
  assert(isSame || epoch > before.epoch, 'The holds of a volume change, and its epoch does not');
}

export interface Refusal {
  readonly kind: 'refused';
  readonly status: Status;
  readonly sentence: string;
  readonly holders: readonly Holder[];
}

/**
 * The decision to grant an OPEN. The new hold may begin only when no request from the clients that lose their holds is running, and all
 * writes of these clients are durable.
 */
export interface Opening {
  readonly kind: 'opening';
  readonly client: Claimant;
  /** True if the handle is read-only. */
  readonly readonly: boolean;
  /** True if the hold is read-only. A writer that opens a second, read-only handle remains a writer. */
  readonly isReader: boolean;
  /** The holds of other nodes that this OPEN takes over. */
  readonly losers: readonly Hold[];
  /** The hold of an earlier instance of the same node, which this OPEN replaces; null if there is no such hold. */
  readonly replaced: Hold | null;
  /** True if the client does not resume an earlier hold, and therefore has no writes to recover. */
  readonly isSettled: boolean;
  /**
   * True if the client resumes with the identity that earlier servers gave all holds of a shared volume. The answer must repeat this
   * identity.
   */
  readonly isOldIdentity: boolean;
  /** True if a client that loses its hold may have written to the volume, which must then be synced before the grant. */
  readonly needsSync: boolean;
  /** Number of the term under which a replica is opened; null for other volumes. */
  readonly term: number | null;
  /** Data identity of the replica; null for other volumes. */
  readonly data: string | null;
}

/**
 * Decides whether an OPEN is granted. `incarnation` is the current incarnation of the storage. `role`: the right of the client; null if the
 * configuration has no section [rights]. If `role` is null, a forced take-over needs no right.
 */
export function decideOpen(
  entry: VolumeHolds,
  volume: HeldVolumeFacts,
  client: Claimant,
  request: OpenRequest,
  incarnation: string,
  role: ClientRole | null,
): Opening | Refusal {
  const own = entry.holds.find(({ node }) => node === client.node);
  const isOwn = own !== undefined && isOf(own, client);
  const isResuming = request.resume !== null;
  if (isResuming && !(isOwn && mayResume(volume, own, request.resume))) return taken(entry, volume, client);
  const readonly = request.readonly || volume.readonly;
  const onlyReads = readonly && !(isOwn && !own.readonly);
  const others = entry.holds.filter(({ node }) => node !== client.node);
  const inTheWay = volume.shared ? [] : onlyReads ? others.filter((hold) => !hold.readonly) : others;
  const mayTake = volume.takeOver === null || volume.takeOver.includes(client.node);
  const take = isResuming || !mayTake ? TAKE.NO : request.take;
  if (inTheWay.length > 0 && take === TAKE.NO) return held(volume, inTheWay, others, mayTake ? null : client.node);
  const unsettled = inTheWay.find((hold) => isUnsettled(hold, incarnation));
  const mayForce = volume.takeOverForce && (role === null || role === 'admin');
  if (unsettled !== undefined && !(take === TAKE.FORCE && mayForce)) return notSettled(volume, unsettled, others, client, role);
  const staying = others.filter((hold) => !inTheWay.includes(hold));
  assert(volume.shared || staying.every((hold) => onlyReads && hold.readonly), 'An OPEN is granted beside a writer');
  const replaced = own === undefined || isOwn ? null : own;
  const ending = replaced === null ? inTheWay : [...inTheWay, replaced];
  return {
    kind: 'opening',
    client,
    readonly,
    isReader: onlyReads,
    losers: inTheWay,
    replaced,
    isSettled: !isResuming,
    isOldIdentity: volume.shared && request.resume === oldSharedIdentity(volume),
    needsSync: ending.some((hold) => !hold.readonly),
    term: request.mirror?.number ?? null,
    data: volume.replica?.identity ?? null,
  };
}

/**
 * Returns true if a client that loses its hold may still have requests at an earlier owner of the shared pool: a writer on another node, or
 * an earlier instance on another machine. Readers are answered only after a look.
 */
export function endsDistantWriter({ client, losers, replaced }: Opening): boolean {
  const ending = replaced === null || replaced.machine === client.machine ? losers : [...losers, replaced];
  return ending.some(({ readonly }) => !readonly);
}

/**
 * Returns the volume's holds after a granted OPEN, or `entry` itself if nothing changes. The caller must read `incarnation` only after the
 * grants of the clients that lose their holds have been revoked.
 */
export function withOpening(entry: VolumeHolds, opening: Opening, incarnation: string, nowMs: number): VolumeHolds {
  const { client, losers, isReader: onlyReads } = opening;
  const { node, machine, instance, process, address } = client;
  const epoch = entry.epoch + 1;
  const own = entry.holds.find((hold) => isOf(hold, client));
  const others = entry.holds.filter((hold) => hold.node !== node && !losers.some((loser) => isOf(hold, loser)));
  const taken = losers.length > 0 ? { node, address, atMs: nowMs } : entry.taken;
  if (own === undefined) {
    const hold = { node, machine, instance, process, address, sinceMs: nowMs, readonly: onlyReads, epoch, life: incarnation };
    const { term } = opening;
    const begun = term === null ? hold : { ...hold, term };
    return withTermOf({ ...entry, epoch, holds: [...others, begun], taken }, begun, opening.data);
  }
  const isSettled = opening.isSettled && own.life !== incarnation;
  const isChanged = own.readonly !== onlyReads || losers.length > 0;
  if (!isChanged && !isSettled) return entry;
  const hold = {
    ...own,
    readonly: onlyReads,
    // No other client has written since this hold began, so the hold keeps its identity.
    epoch: isChanged && own.epoch === 0 ? epoch : own.epoch,
    life: isSettled ? incarnation : own.life,
  };
  const staying = entry.holds.filter((one) => one === own || others.includes(one));
  const holds = staying.map((one) => (one === own ? hold : one));
  return withTermOf({ ...entry, epoch: isChanged ? epoch : entry.epoch, holds, taken }, hold, opening.data);
}

/** Notes the term of a writer of a replica (Q10). A reader has no writes that the storage could lose. */
function withTermOf(entry: VolumeHolds, hold: Hold, data: string | null): VolumeHolds {
  const term = termOf(hold);
  return term === null || hold.readonly ? entry : { ...entry, lastTerm: withWriter(entry.lastTerm, data, term, hold.life ?? '') };
}

/** Returns the entry with its writer's term, which earlier releases have kept only in the hold. */
export function withKnownTerm(entry: VolumeHolds): VolumeHolds {
  const writer = entry.lastTerm === undefined ? entry.holds.find((hold) => !hold.readonly && hold.term !== undefined) : undefined;
  return writer === undefined ? entry : withTermOf(entry, writer, null);
}

function termOf({ term: number, node, instance }: Hold): Term | null {
  return number === undefined ? null : { number, node, instance };
}

/** Returns true if the holder may have written, and has not yet recovered its writes in this incarnation of the storage. */
export function isUnsettled({ readonly, life }: Hold, incarnation: string): boolean {
  return !readonly && life !== null && life !== incarnation;
}

/**
 * Returns the answer to a client that has opened the volume: the identity of the client's hold, and the epoch of the grant. Returns
 * null if the client has no hold.
 */
export function grantFor(
  entry: VolumeHolds,
  volume: HeldVolumeFacts,
  { client, isOldIdentity }: Pick<Opening, 'client' | 'isOldIdentity'>,
): { readonly identity: string; readonly epoch: number } | null {
  const own = entry.holds.find((hold) => isOf(hold, client));
  if (own === undefined) return null;
  return { identity: isOldIdentity ? oldSharedIdentity(volume) : identityOf(volume, own), epoch: entry.epoch };
}

/**
 * Returns the holds after a client has closed the handles granted up to `epoch`. If the client's hold began after this epoch, the hold
 * stays.
 */
export function withRelease(entry: VolumeHolds, client: Claimant, epoch: number): VolumeHolds {
  const holds = entry.holds.filter((hold) => !isOf(hold, client) || hold.epoch > epoch);
  return holds.length === entry.holds.length ? entry : { ...entry, epoch: entry.epoch + 1, holds };
}

/** Returns the holds after the client has recovered all its writes in the given incarnation, or null if the client has lost the hold. */
export function withSettled(entry: VolumeHolds, client: Claimant, epoch: number, incarnation: string): VolumeHolds | null {
  const own = entry.holds.find((hold) => isOf(hold, client) && hold.epoch <= epoch);
  if (own === undefined) return null;
  if (own.life === incarnation) return entry;
  const settled = { ...entry, holds: entry.holds.map((hold) => (hold === own ? { ...own, life: incarnation } : hold)) };
  const term = termOf(own);
  const lastTerm = term === null ? undefined : withLife(entry.lastTerm, term, incarnation);
  return lastTerm === undefined ? settled : { ...settled, lastTerm };
}

/** Matches the part of an identity that follows the id of the volume. */
const HOLD_OF_IDENTITY = /\.(?:readonly|shared|(?:shared\.)?\d+)$/;

/** Identifies the content of a volume and the hold on it (docs/PROTOCOL.md, Verifier). */
export function identityOf({ id, shared }: Pick<HeldVolumeFacts, 'id' | 'shared'>, hold: Pick<Hold, 'epoch'>): string {
  // Without the epoch, a client whose hold has ended could reconnect and overwrite newer writes of other clients with its old requests.
  if (shared) return `${id}.shared.${hold.epoch}`;
  return hold.epoch === 0 ? `${id}.readonly` : `${id}.${hold.epoch}`;
}

/**
 * Returns the volume that an OPEN names, or null. An OPEN that resumes a hold names the volume by its id, even if the volume has been
 * renamed, because the client must learn the state of its hold.
 */
export function meantVolume<V extends { readonly id: string; readonly name: string; readonly universe: number }>(
  served: readonly V[],
  { name, universe, resume }: Pick<OpenRequest, 'name' | 'universe' | 'resume'>,
): V | null {
  const id = resume === null ? null : volumeIdOf(resume);
  return served.find((volume) => volume.id === id) ?? served.find((volume) => volume.name === name && volume.universe === universe) ?? null;
}

/** Returns the id of the volume or snapshot in an identity. */
export function volumeIdOf(identity: string): string {
  return identity.replace(HOLD_OF_IDENTITY, '');
}

function oldSharedIdentity({ id }: Pick<HeldVolumeFacts, 'id'>): string {
  return `${id}.shared`;
}

/**
 * Returns true if `identity` is that of the hold. Also returns true for an identity from before the volume became shared, so that the
 * client gets the new identity, sees the change and waits.
 */
function mayResume(volume: HeldVolumeFacts, own: Hold, identity: string | null): boolean {
  if (identityOf(volume, own) === identity) return true;
  return volume.shared && (identityOf({ ...volume, shared: false }, own) === identity || oldSharedIdentity(volume) === identity);
}

export function holdersOf(holds: readonly Hold[]): Holder[] {
  return holds.map(({ node, address, sinceMs }) => ({ node, address, sinceMs }));
}

type Who = Pick<Hold, 'node' | 'machine' | 'instance' | 'process'>;

/**
 * Returns true if `client` is the instance that has the given hold. The instance number alone proves nothing, because copies of a machine
 * have the same number.
 */
export function isOf(hold: Who, client: Who): boolean {
  const isSameStart = hold.node === client.node && hold.machine === client.machine && hold.instance === client.instance;
  return isSameStart && (hold.process === null || hold.process === client.process);
}

/** `barred`: the client that asks, if it may not take the volume over; else null. */
function held(volume: HeldVolumeFacts, inTheWay: readonly Hold[], others: readonly Hold[], barred: string | null): Refusal {
  const { name } = volume;
  const [holder] = inTheWay;
  const other =
    barred === null
      ? `or rsconfig -a --take-over ${name}`
      : `or an administrator lets client ${barred} take it over: ${takeOverRemedy(volume, holder?.node ?? '?', barred)}`;
  const sentence = `${heldBy(name, holder)}: detach it there, ${other}`;
  return { kind: 'refused', status: STATUS.HELD, sentence, holders: holdersOf(others) };
}

/** Returns the refusal (H3) if a holder has not yet recovered its writes. The text lists all steps that a forced OPEN needs. */
function notSettled(
  { name, takeOverForce, pool }: HeldVolumeFacts,
  hold: Hold,
  others: readonly Hold[],
  { node }: Claimant,
  role: ClientRole | null,
): Refusal {
  const forceRemedy =
    pool === undefined ? `set take-over-force = yes in [volume ${name}] of rssrvcfg` : `rsadm volume set ${name} take-over-force=yes`;
  const steps = [
    ...(takeOverForce ? [] : [forceRemedy]),
    ...(role === null || role === 'admin' ? [] : [`rsadm client rights ${node} admin (its right is ${role})`]),
  ];
  const sentence =
    `${heldBy(name, hold)}, and ${hold.node} has not yet recovered the writes that the server's storage may have lost: ` +
    `wait until it has, or give those writes up: ${steps.map((step) => `${step}, then `).join('')}rsconfig -a --take-over --force ${name}`;
  return { kind: 'refused', status: STATUS.HELD, sentence, holders: holdersOf(others) };
}

function heldBy(name: string, hold: Hold | undefined): string {
  return `Volume ${name} is held by ${hold?.node ?? '?'} at ${hold?.address ?? '?'} since ${hold === undefined ? '?' : formatTime(hold.sinceMs)}`;
}

/** Returns the refusal for a client that tries to resume a lost hold. */
function taken(entry: VolumeHolds, { name }: HeldVolumeFacts, { node }: Claimant): Refusal {
  const others = entry.holds.filter((hold) => hold.node !== node);
  const by = entry.taken;
  const [holder] = others;
  const sentence =
    by !== null && by.node !== node
      ? `Volume ${name} was taken over by ${by.node} at ${by.address} on ${formatTime(by.atMs)}`
      : holder !== undefined
        ? heldBy(name, holder)
        : `Volume ${name} is no longer held as it was opened: attach it again`;
  return { kind: 'refused', status: STATUS.TAKEN, sentence, holders: holdersOf(others) };
}
