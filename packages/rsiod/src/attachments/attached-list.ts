// Reattaches the volumes that were attached when the previous daemon stopped, each as soon as its server offers it, and has the record saved
// (attached-record.ts). Invariant: a volume is reattached only with the same id and from the same server, or from the owner of
// its shared pool, unless the administrator has detached the volume or another client holds it. Invariant: the record is saved before an attach or detach returns its outcome.

import { sleep } from '@rsio/base/lib/waiting';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { VOLUMES_AT_ONCE } from '../sys/limits.ts';
import { REACH_LOOK_MS, RESTORE_POLL_MS, RESTORE_RETRY_MS, START_REACH_MS } from './limits.ts';
import { TAKE } from '@rsio/protocol/wire/messages';
import type { AttachArguments } from './attach-request.ts';
import type { KeptVolume } from './attached-file.ts';
import { type Attached, type AttachedRecord, type Awaited, type Listed, outOfReach } from './attached-record.ts';
import type { AttachedVolumes } from './attached-volumes.ts';
import { isApplied, isLeftHeld, isMeant, leftToOthers } from './choices.ts';
import { chooseVolume, type HeldOffer, isCalledLike, isOffer, labelOf, type Offer } from './offers.ts';
import { ownersOf } from './pool-owner.ts';
import { isSnapshot, servedNameParts } from '@rsio/base/lib/volume-name';
import type { Frontends } from '../frontends/frontends.ts';
import type { VolumeIdentity } from '../volumes/frontend-volume.ts';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import type { Order } from './owners.ts';
import type { Reports } from './reports.ts';

interface Offered extends Offer {
  readonly from: { readonly serverid: number };
  readonly config: { readonly nodename: string };
  readonly holders: HeldOffer['holders'];
  readonly mirror: string | null;
  readonly poolGeneration: number | null;
  readonly poolId: string | null;
}

/** What the list needs of `Attachments`. */
interface Attaching {
  readonly offers: readonly Offered[];
  attach(...order: AttachArguments): Promise<AttachOutcome[]>;
  attachAgain(label: string, readOnly: boolean, server: string, id: string): Promise<AttachOutcome>;
  attachWanted(isVerbose: boolean): Promise<void>;
  detach(names: readonly string[], force: boolean, owner: string | null): Promise<AttachOutcome[]>;
  endOrder(ticket: string, isGone: boolean): Promise<void>;
  closeUnowned(label: string, isForced: boolean): Promise<void>;
}

interface ListParts<V extends Attached> {
  readonly clock: Clock;
  readonly log: Log;
  readonly record: AttachedRecord<V>;
  readonly attachments: Attaching;
  /** Removes the devices that an earlier process made for volumes that will not be reattached. */
  readonly frontends: Pick<Frontends, 'release' | 'releaseLeft'>;
  readonly reports: Pick<Reports, 'add'>;
  /** The applications of rsapp, which attaches their volumes. */
  readonly current: { readonly config: Pick<RscltConfig, 'applications'> };
  /** Maximum number of volumes that this process reattaches at a time. */
  readonly restoredAtOnce: number;
}

/** After these errors, rsiod does not reattach the volume, because another client may have written to the volume. */
const LOST_CODES: readonly string[] = ['E_HELD', 'E_TAKEN'];

export class AttachedList<V extends Attached> {
  private readonly parts: ListParts<V>;
  private readonly record: AttachedRecord<V>;
  private readonly volumes: AttachedVolumes<V>;
  /** Until this time, a detach waits for an unreachable server, because rsiod has just started and may not have connected yet. */
  private reachUntilMs = 0;
  private timer: Timer | null = null;

  constructor(parts: ListParts<V>) {
    this.parts = parts;
    this.record = parts.record;
    this.volumes = parts.record.volumes;
  }

  /** Reads which volumes the previous daemon had attached. If the record cannot be used, `warn` is called with the reason. */
  async load(warn: (sentence: string) => void): Promise<void> {
    if (await this.record.load(warn)) this.reachUntilMs = this.parts.clock.monotonicMs() + START_REACH_MS;
  }

  /**
   * First reattaches the volumes that were attached before the daemon started, each in its previous mode; then attaches the volumes that
   * the configuration wants attached.
   */
  async attachAll(isVerbose: boolean): Promise<void> {
    await this.restore();
    await this.parts.attachments.attachWanted(isVerbose);
    await this.record.save();
  }

  /** Releases the devices of volumes that the previous process was attaching or detaching when it exited. */
  async releaseUnknown(): Promise<void> {
    const isSame = (one: VolumeIdentity, other: VolumeIdentity): boolean => labelOf(one) === labelOf(other) && one.id === other.id;
    const isAwaited = (volume: VolumeIdentity): boolean => this.record.awaited.some((one) => isSame(one, volume));
    await this.parts.frontends.releaseLeft('its volume was not attached', isAwaited);
  }

  /** Tries once to attach each awaited volume, and then resolves. If a volume cannot be attached yet, a timer starts the next attempt. */
  async restore(): Promise<void> {
    if (this.record.isClosed) return;
    this.timer?.cancel();
    this.timer = null;
    const { clock, restoredAtOnce } = this.parts;
    const nowMs = clock.monotonicMs();
    await severalAtOnce([...this.record.waiting], restoredAtOnce, async (one) => {
      if (one.underWay !== null || !this.record.isAwaited(one)) return;
      const found = this.look(one);
      if (found.reason !== null) this.wait(one, found.reason);
      else if (nowMs >= one.notBeforeMs) await (one.underWay = this.bringBack(one, found).finally(() => (one.underWay = null)));
    });
    await Promise.all(this.record.waiting.flatMap(({ underWay }) => underWay ?? []));
    await this.closeUnowned();
    // The file is written once, after all attempts. During the attempts, the file lists the newly attached volumes as awaited, which is
    // safe: the next daemon reattaches both kinds alike.
    if (this.record.hasChanged) await this.record.save();
    this.lookLater();
  }

  private lookLater(): void {
    const isNeeded = this.record.waiting.length > 0 || this.unowned.length > 0;
    if (isNeeded && !this.record.isClosed) this.timer ??= this.parts.clock.after(RESTORE_POLL_MS, () => void this.restore());
  }

  /** The labels of attached volumes without an owner: an order has ended, and the volume could not be closed then. */
  private get unowned(): string[] {
    return this.volumes.list.filter((one) => !this.record.isOwned(one)).map(labelOf);
  }

  private async closeUnowned(): Promise<void> {
    const { attachments, log } = this.parts;
    await severalAtOnce(this.unowned, VOLUMES_AT_ONCE, async (label) => {
      await attachments.closeUnowned(label, true).catch((thrown: unknown) => log.debug(`${label}: ${toRsError(thrown).message}`));
      this.record.hasChanged = true;
    });
  }

  /** Like `Attachments.attach`. */
  async attach(...order: AttachArguments): Promise<AttachOutcome[]> {
    const outcomes = await this.parts.attachments.attach(...order);
    await this.record.save();
    return outcomes;
  }

  /**
   * Attaches a volume for an order, until `endOrder`. An awaited volume is first attached again, in its previous mode. What only orders of
   * an earlier process had is closed first, so that its server keeps no hold that would refuse this order.
   */
  async attachFor(order: Order, name: string, readOnly: boolean, server: string | null): Promise<AttachOutcome> {
    const one = this.record.waiting.length === 0 ? null : this.awaitedOf(name);
    if (one !== null && !(order.isAlone && this.record.isOwned(one))) await this.broughtBack(one);
    const [outcome] = await this.attach([name], readOnly, server, TAKE.NO, 'name', order);
    return outcome ?? failure(name, new Error('No outcome'));
  }

  /** Ends an order (`Attachments.endOrder`). If its volume cannot be closed now, this is tried again until it succeeds. */
  async endOrder(ticket: string, isGone: boolean): Promise<void> {
    try {
      await this.parts.attachments.endOrder(ticket, isGone);
    } finally {
      await this.record.save();
      this.lookLater();
    }
  }

  /**
   * Detaches volumes. An awaited volume is only removed from the list, so that it is not reattached. `owner`: as for `Attachments.detach`.
   */
  async detach(names: readonly string[], force: boolean, owner: string | null): Promise<AttachOutcome[]> {
    const all = (): string[] => [...this.volumes.list, ...this.record.waiting].map(labelOf);
    // Names are handled one at a time, because several names may mean the same volume.
    const outcomes = await severalAtOnce(names.length > 0 ? names : all(), names.length > 0 ? 1 : VOLUMES_AT_ONCE, (name) =>
      this.detachOne(name, force, owner),
    );
    await this.record.save();
    return outcomes;
  }

  /** Called when the daemon is stopping. */
  stop(): void {
    this.record.close();
    this.timer?.cancel();
    this.timer = null;
  }

  /**
   * Finds out whether a server offers the volume. `server`: the name of that server. `reason`: why the volume cannot be attached now; null
   * if the volume can be attached.
   */
  private look(one: Awaited): { server: string; reason: string | null; isSure?: boolean } {
    const label = labelOf(one);
    const near = this.parts.attachments.offers.filter(
      (offer) =>
        offer.namespace === one.namespace &&
        (offer.from.serverid === one.serverid || offer.mirror === one.id || (offer.poolGeneration !== null && isOffer(offer, one))),
    );
    // Servers do not list snapshots, so the volume of a snapshot is looked up. The id of the snapshot is checked after its OPEN.
    const named = near.filter((offer) => isCalledLike(offer, isSnapshot(one.name) ? volumeOf(one) : one));
    const same = named.filter((offer) => isOffer(offer, one));
    const [owners = []] = ownersOf(same).values();
    const found = owners[one.failures % owners.length] ?? same.find(({ isConnected }) => isConnected) ?? same[0];
    if (found?.isConnected === true) return { server: found.server, reason: null, isSure: owners.length <= 1 };
    const server = found?.server ?? one.server;
    const [other] = named;
    if (found === undefined && other?.isConnected === true) {
      const remedy = `rsconfig -a ${label} attaches this one, rsconfig -d ${label} detaches the old one`;
      return {
        server,
        reason: `Server ${other.server} offers another volume of this name, with id ${other.id} instead of ${one.id}: ${remedy}`,
      };
    }
    if (found === undefined && near.some(({ isConnected }) => isConnected))
      return { server, reason: `Server ${server} does not offer it now` };
    return { server, reason: outOfReach(server) };
  }

  /**
   * `isSure`: a server that is not the owner may refuse without checking who owns the pool. The volume is lost only if the refusing server
   * is the only one that claims it.
   */
  private async bringBack(one: Awaited, { server, isSure = true }: { server: string; isSure?: boolean }): Promise<void> {
    const { clock, attachments } = this.parts;
    const label = labelOf(one);
    const { error } = await attachments.attachAgain(label, one.readonly, server, one.id);
    // A detach during this attempt has removed the volume from the list. The detach waits for the end of the attempt, and then detaches the
    // volume.
    if (!this.record.isAwaited(one)) return;
    if (error === null || (isSure && LOST_CODES.includes(error.code))) {
      this.record.forget(one);
      if (error !== null && !this.record.isOwned(one)) this.parts.log.info(`${label}, which an order had: ${error.message}`);
      else if (error !== null) {
        this.volumes.owners.drop(label);
        const remedy = isApplied(one, this.parts.current.config.applications)
          ? 'rsapp attaches it when it is to run here'
          : 'attach it with rsconfig -a';
        this.report(one, 'given-up', `${error.message}: ${remedy}`);
        await this.parts.frontends.release(one, error.message, true);
      } else await this.closeUnowned();
      this.record.hasChanged = true;
      return;
    }
    one.failures++;
    one.notBeforeMs = clock.monotonicMs() + RESTORE_RETRY_MS;
    this.wait(one, error.message);
  }

  /** Reports a reason only if it differs from the last one. An unreachable server is not reported here, because its paths report it. */
  private wait(one: Awaited, reason: string): void {
    if (one.reason === reason) return;
    one.reason = reason;
    if (reason !== outOfReach(one.server)) this.report(one, 'awaited', reason);
  }

  private report(one: KeptVolume, to: string, reason: string): void {
    this.parts.reports.add(`volume ${labelOf(one)}`, 'attached before', to, reason);
    this.parts.log.warn(`${labelOf(one)}, attached before this daemon was started: ${reason}`);
  }

  private async detachOne(name: string, force: boolean, owner: string | null): Promise<AttachOutcome> {
    try {
      const one = this.awaitedOf(name);
      if (one === null) return owner === null ? await this.detachHeld(name, force) : await this.detachAttached(name, force, owner);
      const label = labelOf(one);
      const leftNow = (): AttachOutcome | null => (owner === null ? null : leftToOthers(this.volumes.owners, label, owner));
      const early = leftNow();
      if (early !== null) return early;
      if (!force) await this.untilInReach(one);
      await this.broughtBack(one);
      const isAttached = this.volumes.list.some((volume) => labelOf(volume) === label && volume.id === one.id);
      if (isAttached) return await this.detachAttached(label, force, owner);
      // Somebody may have asked for it meanwhile.
      const late = leftNow();
      if (late !== null) return late;
      await this.parts.frontends.release(one, 'detached by rsconfig -d', force);
      this.record.forget(one);
      this.volumes.owners.drop(label);
      if (!isSnapshot(one.name)) this.volumes.detached.add(`${label} ${one.id}`);
      this.parts.log.info(`${label} is not attached again: detached by rsconfig -d (${one.reason})`);
      return { volume: label, done: true, already: false, device: null, error: null };
    } catch (thrown) {
      return failure(name, thrown);
    }
  }

  private async detachAttached(name: string, force: boolean, owner: string | null): Promise<AttachOutcome> {
    return (await this.parts.attachments.detach([name], force, owner))[0] ?? failure(name, new Error('No outcome'));
  }

  /**
   * Detaches a volume that is not awaited. If an earlier process detached the volume while the server was unreachable, the server may still
   * keep this node's hold. The volume is then attached and detached once more, because only CLOSE ends a hold.
   */
  private async detachHeld(name: string, force: boolean): Promise<AttachOutcome> {
    const { attachments } = this.parts;
    // The configuration may have attached volumes since `record` was last called.
    this.record.noteAttached();
    const outcome = await this.detachAttached(name, force, null);
    const left = attachments.offers.find((offer) => isMeant(offer, name) && isLeftHeld(offer) && !this.record.hasHad(offer));
    if (!outcome.already || left === undefined) return outcome;
    // The volume is attached read-only, because nothing will be written to it before the detach.
    const [attached] = await attachments.attach([labelOf(left)], true, left.server, TAKE.NO);
    return attached?.error === null ? await this.detachAttached(labelOf(left), force, null) : outcome;
  }

  private async untilInReach(one: Awaited): Promise<void> {
    const { clock } = this.parts;
    while (!this.record.isClosed && this.record.isAwaited(one) && this.isAway(one) && clock.monotonicMs() < this.reachUntilMs)
      await sleep(clock, REACH_LOOK_MS);
  }

  private isAway(one: Awaited): boolean {
    const { server, reason } = this.look(one);
    return one.underWay === null && reason === outOfReach(server);
  }

  /**
   * Attaches an awaited volume before it is detached. Only CLOSE ends the hold that the earlier daemon left at the server (H1), and only an
   * attached volume can be closed.
   */
  private async broughtBack(one: Awaited): Promise<void> {
    const found = this.look(one);
    if (this.record.isClosed || !this.record.isAwaited(one)) return;
    if (found.reason !== null && one.underWay === null) this.wait(one, found.reason);
    else await (one.underWay ??= this.bringBack(one, found).finally(() => (one.underWay = null)));
  }

  /** Returns the awaited volume that a name means, or null if the name means no volume or an attached volume. Throws E_AMBIGUOUS. */
  private awaitedOf(name: string): Awaited | null {
    try {
      chooseVolume(this.record.waiting.map(asOffer), name, null);
    } catch (thrown) {
      if (toRsError(thrown).code === 'E_UNKNOWN_VOLUME') return null;
    }
    const { label, offers } = chooseVolume([...this.volumes.list, ...this.record.waiting].map(asOffer), name, null);
    return this.record.waiting.find((one) => labelOf(one) === label && one.id === offers[0]?.id) ?? null;
  }
}

function volumeOf({ namespace, name, universe }: Listed): Pick<Listed, 'namespace' | 'name' | 'universe'> {
  return { namespace, name: servedNameParts(name).volume, universe };
}

function asOffer({ namespace, name, universe, id }: Listed): Offer {
  return { namespace, name, universe, id, server: '', isConnected: true };
}

function failure(volume: string, thrown: unknown): AttachOutcome {
  const { code, message } = toRsError(thrown);
  return { volume, done: false, already: false, device: null, error: { code, message } };
}
