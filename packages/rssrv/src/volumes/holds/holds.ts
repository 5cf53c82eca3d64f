// Decides which clients hold which volumes, and remembers the last instance of each node (docs/PROTOCOL.md H1 to H4). Holds and instances
// are durable before a volume is granted, so that they survive restarts (hold-store.ts). The rules are in hold-rules.ts; this module
// executes the changes to a volume's holds one after another. Invariant: the file names the old or the new holder, and names the new holder
// only when no request from the old holder is running. Rules: Q6.

import { isDeepStrictEqual } from 'node:util';
import { assert } from '@rsio/base/lib/assert';
import type { ClientRole } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { eventOf } from '../../events/event-log.ts';
import { HOLD_CHANGES_WAITING_MAX, HOLD_REFUSALS_REMEMBERED_MAX, OPEN_TRIES_MAX, SESSION_SILENT_MS } from '../limits.ts';
import { type Holder, type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import type { Term } from '@rsio/protocol/wire/mirror-messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { ClientIdentity, Grant } from './grants.ts';
import {
  type Claimant,
  decideOpen,
  endsDistantWriter,
  grantFor,
  type Hold,
  holdersOf,
  isOf,
  isUnsettled,
  type Opening,
  type Refusal,
  type VolumeHolds,
  withOpening,
  withRelease,
  withSettled,
} from './hold-rules.ts';
import { type HoldChanges, HoldTurns } from './hold-turns.ts';
import { type HoldLedgers, HoldStore, type NotesChange } from './hold-store.ts';
import { lackedTerm } from './last-terms.ts';
import { isCurrent, isSuccessor, withInstance, withReplaced } from './instances.ts';
import { type MirrorPromise, refusedReplica } from './replica-opens.ts';
import type { ServedVolume } from '../../storage/io/served-volume.ts';

/** The listener's functions for the execution of an OPEN. */
export interface GrantPorts {
  /** Returns the requested volume, or null if the server does not serve the volume to the client. */
  find(): ServedVolume | null;
  /** The right of the client according to the configuration in force; null if the file has no section [rights]. */
  role(): ClientRole | null;
  incarnation(volume: ServedVolume): string;
  /**
   * Revokes the hold's grants up to `epoch`. Resolves when no request under these grants is running: with true, or with false if
   * writes may be lost.
   */
  revokeHold(volume: ServedVolume, hold: Hold, epoch: number, why: string): Promise<boolean>;
  /** Makes all writes to the volume durable. Throws if a write may be lost. */
  sync(volume: ServedVolume): Promise<void>;
  /** Starts a new incarnation of the storage, because writes to the volume may be lost. */
  incarnationEnded(volume: ServedVolume): Promise<void>;
  /** Returns true if the client's session still exists and can receive the answer. */
  isWanted(): boolean;
  /** Returns the name and the promised term of a mirror; null if this server has no readable record of the mirror. */
  promiseOf(mirror: string): MirrorPromise | null;
  /**
   * Called when a client has taken a volume over from the nodes `losers`, and that is durable. The listener records this in the audit, and
   * announces a new list to all clients.
   */
  tookOver(volume: ServedVolume, by: string, losers: readonly string[]): void;
  /**
   * For how long an earlier owner of the volume's shared pool may still answer requests, in ms; null if this server does not own the pool
   * any more, and 0 if the pool is not shared.
   */
  disputedMs(volume: ServedVolume): number | null;
  pause(ms: number): Promise<void>;
}

/** An OPEN whose decision must be repeated after this time: because of GrantPorts.disputedMs, or at once, because the holders have changed. */
interface Disputed {
  readonly disputedMs: number;
}

/** An OPEN in its turn. */
interface OpenPorts extends GrantPorts {
  /** The ownership of the shared pool under which the OPEN was received. Under another ownership, the OPEN ends no hold. */
  readonly ownership: string;
}

export class Holds extends HoldStore {
  /** Maps a pair of volume id and node to the text of the last refusal that was logged for this pair. */
  private readonly refusals = new Map<string, string>();
  private readonly turns = new HoldTurns();
  private readonly wallMs: () => number;

  constructor(path: string, wallMs: () => number, log: Pick<Log, 'info' | 'warn' | 'error'>, ledgers: HoldLedgers) {
    super(path, log, ledgers);
    this.wallMs = wallMs;
  }

  epochOf(volumeId: string): number {
    return this.entryOf(volumeId).epoch;
  }

  holdersOf(volumeId: string): Holder[] {
    return holdersOf(this.entryOf(volumeId).holds);
  }

  /**
   * Returns the node of a writer that has not yet resent the writes that earlier incarnations may have lost; null if all writers have
   * resent theirs.
   */
  unsettledNode(volumeId: string, incarnation: string): string | null {
    return this.entryOf(volumeId).holds.find((hold) => isUnsettled(hold, incarnation))?.node ?? null;
  }

  /** The hold of a node on a volume; undefined if the node has none. Every change of the hold creates a new object. */
  holdOf(volumeId: string, node: string): Hold | undefined {
    return this.entryOf(volumeId).holds.find((hold) => hold.node === node);
  }

  /**
   * Returns the highest term with a write that a replica with this data may lack (Q10); null if the replica lacks no write. `claimed`: see
   * lackedTerm.
   */
  lackedTerm(volumeId: string, data: string, incarnation: string, claimed: Term): Term | null {
    return lackedTerm(this.entryOf(volumeId).lastTerm, data, incarnation, claimed);
  }

  /** The ids of the volumes that a node holds. */
  heldBy(node: string): string[] {
    return [...this.volumes].flatMap(([id, { holds }]) => (holds.some((hold) => hold.node === node) ? [id] : []));
  }

  /** Returns true if the given machine has already proved its identity as the given node. */
  isKnown(client: Pick<Claimant, 'node' | 'machine'>): boolean {
    return this.notesOf(client.node).machines.some(({ machine }) => machine === client.machine);
  }

  /**
   * Returns false if the given instance must be refused permanently: it has been replaced, or a later instance has been seen on its
   * machine.
   */
  isCurrent(client: ClientIdentity): boolean {
    return isCurrent(this.notesOf(client.node), client);
  }

  /**
   * Returns true if a new client may replace the earlier instance of its node. Either the new client is certainly the successor of the
   * earlier instance, or the earlier instance has been silent long enough. `silentMs` is 0 while the earlier instance is connected.
   */
  mayReplace(before: ClientIdentity, newcomer: ClientIdentity, silentMs: number): boolean {
    return silentMs >= SESSION_SILENT_MS || isSuccessor(before, newcomer);
  }

  /** Returns the last admitted instance of a node; null if this instance is unknown or holds no volume. */
  lastHolding(node: string): ClientIdentity | null {
    const { last } = this.notesOf(node);
    if (last === null) return null;
    const client = { node, ...last };
    return [...this.volumes.values()].some(({ holds }) => holds.some((hold) => isOf(hold, client))) ? client : null;
  }

  /** Records an instance that is being admitted, and the instance that it replaces. The record is durable when the promise resolves. */
  async noteInstance(client: ClientIdentity, replaced: ClientIdentity | null): Promise<void> {
    const change: NotesChange = (notes) => withInstance(notes, client, replaced);
    if (change(this.notesOf(client.node)) !== this.notesOf(client.node)) await this.note(client.node, change);
  }

  /** Answers an OPEN. A grant is durable when the promise resolves. Throws E_SYSTEM and grants nothing if the hold cannot be saved. */
  async grant(volumeId: string, client: ClientIdentity, request: OpenRequest, ports: GrantPorts): Promise<Grant> {
    const turns = this.turns.of(volumeId);
    const takeOver = turns?.takeOver ?? null;
    if (takeOver !== null && takeOver.taker.node !== client.node && request.take === TAKE.NO) {
      const { taker, entry } = takeOver;
      // If the client has already lost the volume, report the loss instead of "try again", because each retry could meet another take-over.
      const lost = this.lostAlready(entry, client, request, ports);
      if (lost !== null) return this.refuse(volumeId, lost.sentence, lost.status, lost.holders);
      return this.refuse(volumeId, `Volume ${request.name} is being taken over by ${taker.node} at ${taker.address}: try again`);
    }
    if ((turns?.waiting ?? 0) >= HOLD_CHANGES_WAITING_MAX) {
      return this.refuse(volumeId, `More than ${HOLD_CHANGES_WAITING_MAX} requests for volume ${request.name} are waiting: try again`);
    }
    const asked: OpenPorts = { ...ports, ownership: ownershipOf(ports.find()) };
    for (;;) {
      const grant = await this.turns.inTurn(volumeId, (own) => this.grantNow(volumeId, client, request, asked, own));
      if (!('disputedMs' in grant)) return grant;
      // Other changes of the holds go on meanwhile. The OPEN is then decided again, because the holder may have settled or left.
      await ports.pause(grant.disputedMs);
    }
  }

  /**
   * Ends the hold of a client that has closed all handles granted up to `epoch`. If saving fails, this method throws, but the hold ends
   * nevertheless, and the next save includes the release.
   */
  async release(volumeId: string, client: ClientIdentity, epoch: number): Promise<void> {
    await this.turns.inTurn(volumeId, async () => {
      const entry = this.entryOf(volumeId);
      const left = withRelease(entry, client, epoch);
      if (left === entry) return;
      this.put(volumeId, left);
      await this.saveOf(volumeId);
    });
  }

  /**
   * Calls `prepare` in the turn of the volume, and then ends the hold of the node, unless `prepare` throws. Resolves with false if the node
   * does not hold the volume. Durable when the promise resolves.
   */
  endHold(volumeId: string, node: string, prepare: (hold: Hold) => Promise<void>): Promise<boolean> {
    return this.turns.inTurn(volumeId, async () => {
      const entry = this.entryOf(volumeId);
      const hold = entry.holds.find((one) => one.node === node);
      if (hold === undefined) return false;
      await prepare(hold);
      const now = this.entryOf(volumeId);
      // If the pool was lost and taken again meanwhile, its ledger may name another hold.
      if (!now.holds.includes(hold)) throw new RsError('E_HELD', `The holders of the volume have changed meanwhile: try again`, { node });
      await this.change(volumeId, { ...now, epoch: now.epoch + 1, holds: now.holds.filter((one) => one !== hold) }, node);
      return true;
    });
  }

  /**
   * Ends holds of a replica in the turn of its volume, and then executes `after` in the same turn. `losers` chooses the holds to end, and
   * may throw. `revoke` resolves when no request under these holds is running. The change is durable before `after` begins. If any step
   * before `after` fails, the holds stay.
   */
  async endHolds<T>(
    volumeId: string,
    losers: (holds: readonly Hold[]) => readonly Hold[],
    revoke: (losers: readonly Hold[], epoch: number) => Promise<void>,
    after: () => Promise<T>,
  ): Promise<T> {
    this.checkWaiting(volumeId);
    return this.turns.inTurn(volumeId, async () => {
      const { epoch, holds } = this.entryOf(volumeId);
      const ended = losers(holds);
      await revoke(ended, epoch);
      const entry = this.entryOf(volumeId);
      const left = entry.holds.filter((hold) => !ended.includes(hold));
      if (ended.length > 0) await this.change(volumeId, { ...entry, epoch: entry.epoch + 1, holds: left }, ended[0]?.node ?? '');
      return after();
    });
  }

  /**
   * Records that the client has recovered all its writes (H3). Resolves with true when the record is durable, or with false if the client
   * has lost the hold.
   */
  async settle(volumeId: string, client: ClientIdentity, epoch: number, incarnation: string): Promise<boolean> {
    return this.turns.inTurn(volumeId, async () => {
      const settled = withSettled(this.entryOf(volumeId), client, epoch, incarnation);
      if (settled !== null) await this.change(volumeId, settled, client.node);
      return settled !== null;
    });
  }

  /**
   * Executes `work` in the turn of the volume if the client has the right to write under a grant up to `epoch`; otherwise resolves with null.
   * No hold of the volume changes until `work` has ended. Throws E_LIMIT if too many changes wait.
   */
  async asWriter<T>(volumeId: string, client: ClientIdentity, epoch: number, work: () => Promise<T>): Promise<T | null> {
    this.checkWaiting(volumeId);
    return this.turns.inTurn(volumeId, async () => {
      const own = this.entryOf(volumeId).holds.find((hold) => isOf(hold, client) && hold.epoch <= epoch);
      return own === undefined || own.readonly ? null : work();
    });
  }

  private checkWaiting(volumeId: string): void {
    if ((this.turns.of(volumeId)?.waiting ?? 0) >= HOLD_CHANGES_WAITING_MAX)
      throw new RsError('E_LIMIT', `More than ${HOLD_CHANGES_WAITING_MAX} requests for the volume are waiting: try again`);
  }

  private lostAlready(entry: VolumeHolds, client: ClientIdentity, request: OpenRequest, ports: GrantPorts): Refusal | null {
    const volume = ports.find();
    if (volume === null) return null;
    const decision = decideOpen(entry, volume, client, request, ports.incarnation(volume), ports.role());
    return decision.kind === 'refused' && decision.status === STATUS.TAKEN ? decision : null;
  }

  /**
   * Grants the volume with the settings that are in force once the hold has been saved. If the volume or its incarnation changes
   * during the save, the OPEN is decided again. If the OPEN is then refused, its new hold ends.
   */
  private async grantNow(
    id: string,
    client: ClientIdentity,
    request: OpenRequest,
    ports: OpenPorts,
    own: HoldChanges,
  ): Promise<Grant | Disputed> {
    const before = this.entryOf(id);
    for (let tries = OPEN_TRIES_MAX; tries > 0; tries--) {
      const grant = await this.decideAndGive(id, client, request, ports, own);
      if ('disputedMs' in grant) return grant;
      const now = grant.granted ? ports.find() : null;
      if (grant.granted && now !== null && isAsServed(grant, now, ports)) return { ...grant, volume: now };
      if (grant.granted) continue;
      await this.withdraw(id, client, before, ports);
      return grant;
    }
    await this.withdraw(id, client, before, ports);
    return this.refuse(id, `Volume ${request.name} changes again and again: try again`);
  }

  /** Ends the hold that a refused OPEN has begun. Keeps a hold that the client had before this OPEN, or has got at another server. */
  private async withdraw(id: string, client: ClientIdentity, before: VolumeHolds, ports: OpenPorts): Promise<void> {
    const entry = this.entryOf(id);
    if (entry === before || ownershipOf(ports.find()) !== ports.ownership || before.holds.some((hold) => isOf(hold, client))) return;
    const left = withRelease(entry, client, entry.epoch);
    if (left === entry) return;
    this.put(id, left);
    await this.saveOf(id);
  }

  private async decideAndGive(
    id: string,
    client: ClientIdentity,
    request: OpenRequest,
    ports: OpenPorts,
    own: HoldChanges,
  ): Promise<Grant | Disputed> {
    if (!ports.isWanted()) return this.refuse(id, `The session ended before volume ${request.name} was opened`, STATUS.SHUTTING_DOWN, []);
    const volume = ports.find();
    if (volume?.id !== id) return this.unknownVolume(id, request);
    // The session may have begun before the pool was opened, and the ledger of the pool may name a later instance.
    if (!this.isCurrent(client))
      return this.refuse(id, `Instance ${client.instance} of node ${client.node} was replaced by a later one`, STATUS.TAKEN);
    const entry = this.entryOf(id);
    const opening =
      refusedReplica(volume, entry, client, request, (mirror) => ports.promiseOf(mirror)) ??
      decideOpen(entry, volume, client, request, ports.incarnation(volume), ports.role());
    if (opening.kind === 'refused') {
      this.logRefusal(volume, client, opening.sentence);
      return this.refuse(id, opening.sentence, opening.status, opening.holders);
    }
    if (opening.losers.length === 0 && !opening.needsSync) return this.give(volume, client, opening, ports);
    const disputedMs = ownershipOf(volume) === ports.ownership ? ports.disputedMs(volume) : null;
    if (disputedMs === null) return this.movedPool(id);
    if (disputedMs > 0 && endsDistantWriter(opening)) return this.disputed(volume, opening, disputedMs);
    if (opening.losers.length > 0) own.takeOver = { taker: client, entry };
    const lost = await this.endOthers(volume, opening, ports);
    if (lost !== null) return this.refuse(id, lost, STATUS.IO_ERROR);
    // During the revocation and the sync, the configuration may have changed, or the client may have left.
    const still = ports.find();
    if (still?.id !== id) return this.unknownVolume(id, request);
    if (ownershipOf(still) !== ports.ownership) return this.movedPool(id);
    // The pool may also have been lost and taken again, with another holder in its ledger. No writer may begin beside that one.
    if (this.entryOf(id) !== entry) return { disputedMs: 0 };
    if (!ports.isWanted())
      return this.refuse(id, `The session ended before volume ${volume.name} was taken over`, STATUS.SHUTTING_DOWN, []);
    return this.give(still, client, opening, ports);
  }

  private disputed({ name }: ServedVolume, { client: { node, address }, losers }: Opening, disputedMs: number): Disputed {
    const from = losers.length > 0 ? nodesOf(losers) : `an older instance of ${node}`;
    this.log.info(
      `Volume ${name} is taken over by ${node} at ${address} from ${from} in ${printDuration(Math.ceil(disputedMs / 1_000) * 1_000)}: ` +
        'until then, the earlier owner of its pool may still answer requests',
      { volume: name },
    );
    return { disputedMs };
  }

  /** Performs steps 1 and 2 of H2: revokes the old grants and syncs the volume. Returns the reason if a step fails, otherwise null. */
  private async endOthers(volume: ServedVolume, opening: Opening, ports: GrantPorts): Promise<string | null> {
    const { client, losers } = opening;
    const { name, id } = volume;
    const why = `Volume ${name} is taken over by ${client.node} at ${client.address}`;
    const { epoch } = this.entryOf(id);
    if (losers.length > 0) this.log.info(`${why} from ${nodesOf(losers)}: it is closed there first`, { volume: name });
    const flushed = await Promise.all(losers.map((loser) => ports.revokeHold(volume, loser, epoch, why)));
    if (!opening.needsSync) return null;
    const from = losers.length > 0 ? nodesOf(losers) : `an older instance of ${client.node}`;
    let reason: string | null = flushed.every(Boolean) ? null : `Volume ${name}: a flush failed while it was being closed`;
    try {
      await ports.sync(volume);
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      // After a time-out, the storage has not lost writes yet. If the slow sync fails later, the storage starts a new incarnation then.
      if (code === 'E_TIMEOUT' && reason === null)
        return `Volume ${name} was not taken from ${from}. ${message}: try again when the storage answers`;
      reason = message;
    }
    if (reason === null) return null;
    const sentence = `Volume ${name} was not taken from ${from}, which may have lost acknowledged writes. ${reason}`;
    this.log.error(`${sentence}; ${client.node} at ${client.address} had asked for it`, { volume: name });
    await ports.incarnationEnded(volume);
    return sentence;
  }

  /**
   * Performs steps 3 and 4 of H2: saves the new hold and grants the volume. The change takes effect in memory at once, and is durable when
   * the promise resolves.
   */
  private async give(volume: ServedVolume, client: ClientIdentity, opening: Opening, ports: GrantPorts): Promise<Grant> {
    const { id, name } = volume;
    const { losers, replaced, readonly } = opening;
    // Read the incarnation only now, because the crash of a worker may have started a new incarnation.
    const incarnation = ports.incarnation(volume);
    const isElsewhere = replaced !== null && replaced.machine !== client.machine;
    const opened = withOpening(this.entryOf(id), opening, incarnation, this.wallMs());
    const isMarked = volume.snapshotOf === undefined || opened.isSnapshot === true;
    const changed: VolumeHolds = isMarked ? opened : { ...opened, isSnapshot: true };
    await this.inHome(id, volume.pool?.ids[0], (isForced) =>
      this.change(id, changed, client.node, (notes) => (replaced === null ? notes : withReplaced(notes, client, replaced)), isForced),
    );
    const who = `${client.node} (instance ${client.instance}) at ${client.address}`;
    if (replaced !== null) {
      const from = isElsewhere ? ` on another machine at ${replaced.address}` : '';
      this.log.info(`${who} has volume ${name} in place of its instance ${replaced.instance}${from}`, { volume: name });
    }
    if (losers.length > 0) {
      const from = losers.map(({ node }) => node);
      this.log.warn(`${who} has taken volume ${name} over from ${nodesOf(losers)}, epoch ${changed.epoch}`, {
        audit: true,
        volume: name,
        ...eventOf(`volume ${name}`, `held by ${from.join(', ')}`, `held by ${client.node}`, 'It was taken over'),
      });
      ports.tookOver(volume, client.node, from);
    }
    this.refusals.delete(`${id} ${client.node}`);
    const told = grantFor(changed, volume, opening);
    assert(told !== null, `The hold of volume ${name} is missing after its OPEN`);
    return { granted: true, volume, readonly, incarnation, ...told };
  }

  /** Logs a refusal, unless it repeats the last refusal that was logged for this client and volume. */
  private logRefusal({ id, name }: ServedVolume, { node, address }: Claimant, sentence: string): void {
    const key = `${id} ${node}`;
    if (this.refusals.get(key) === sentence) return;
    if (this.refusals.size >= HOLD_REFUSALS_REMEMBERED_MAX) this.refusals.clear();
    this.refusals.set(key, sentence);
    this.log.warn(`Node ${node} at ${address} is refused: ${sentence}`, { volume: name });
  }

  /** Refuses an OPEN that would end holds under a later ownership of the pool than the one under which it was received. */
  private movedPool(volumeId: string): Grant {
    return this.refuse(volumeId, statusEntry(STATUS.MOVED).sentence, STATUS.MOVED, []);
  }

  private unknownVolume(volumeId: string, request: OpenRequest): Grant {
    return this.refuse(volumeId, `The server no longer has a volume ${request.name} for this client`, STATUS.UNKNOWN_VOLUME, []);
  }

  private refuse(
    volumeId: string,
    sentence: string,
    status: Status = STATUS.HELD,
    holders: readonly Holder[] = this.holdersOf(volumeId),
  ): Grant {
    return { granted: false, status, sentence, holders };
  }
}

/** Returns true if the served volume still equals the granted volume. The sizes may differ, because a held volume may grow. */
function isAsServed({ volume, incarnation }: Extract<Grant, { granted: true }>, now: ServedVolume, ports: GrantPorts): boolean {
  const isSame = now === volume || isDeepStrictEqual({ ...now, sizeBytes: 0 }, { ...volume, sizeBytes: 0 });
  return isSame && ports.incarnation(now) === incarnation;
}

/** Returns a text that differs for each ownership of the shared pool of the volume. */
function ownershipOf(volume: ServedVolume | null): string {
  const { ids: [id = ''] = [], ownership } = volume?.pool ?? {};
  return ownership === undefined ? '' : `${id} ${ownership.generation}`;
}

function nodesOf(holds: readonly Hold[]): string {
  return holds.map(({ node }) => node).join(', ');
}
