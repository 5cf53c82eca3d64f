// Keeps the list of volumes that were attached when the previous daemon stopped. Each volume on the list is "awaited" until its server
// offers it, and is then reattached. Invariant: a volume is reattached only with the same id and from the same server, or from the owner of
// its shared pool, unless the administrator has detached the volume or another client holds it. Invariant: the list is saved before an attach or detach returns its outcome.

import { sleep } from '@rsio/base/lib/waiting';
import type { AttachOutcome, AwaitedView } from '@rsio/api/rsiod/methods';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { VOLUMES_AT_ONCE } from '../sys/limits.ts';
import { DETACHED_KEPT_MAX, REACH_LOOK_MS, RESTORE_POLL_MS, RESTORE_RETRY_MS, START_REACH_MS } from './limits.ts';
import { isSameBoot } from '@rsio/protocol/client-identity';
import { TAKE } from '@rsio/protocol/wire/messages';
import type { AttachArguments } from './attach-request.ts';
import type { AttachedContent, AttachedStore, KeptVolume } from './attached-file.ts';
import { isApplied, isLeftHeld, isMeant, leftToOthers } from './choices.ts';
import { chooseVolume, type HeldOffer, isCalledLike, isOffer, labelOf, type Offer } from './offers.ts';
import { ownersOf } from './pool-owner.ts';
import { isSnapshot, servedNameParts } from '@rsio/base/lib/volume-name';
import type { EarlierAudience } from '../gates/from-programs.ts';
import type { Audience } from '../volumes/frontend-volume.ts';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import { type Order, type Owners, UNRECORDED } from './owners.ts';

type Listed = Pick<KeptVolume, 'namespace' | 'name' | 'universe' | 'id'>;

interface Attached extends Listed {
  /** True if the volume was requested read-only; the next daemon requests the volume in the same mode. */
  readonly wantsReadonly: boolean;
  readonly shownTo?: Audience | undefined;
}

interface Offered extends Offer {
  readonly from: { readonly serverid: number };
  readonly config: { readonly nodename: string };
  readonly holders: HeldOffer['holders'];
  readonly mirror: string | null;
  readonly poolGeneration: number | null;
  readonly poolId: string | null;
}

export interface AttachingPart<V extends Attached> {
  readonly list: readonly V[];
  readonly offers: readonly Offered[];
  readonly detached: Set<string>;
  readonly owners: Owners;
  attach(...order: AttachArguments): Promise<AttachOutcome[]>;
  attachAgain(label: string, readOnly: boolean, server: string, id: string): Promise<AttachOutcome>;
  detach(names: readonly string[], force: boolean, owner: string | null): Promise<AttachOutcome[]>;
  endOrder(ticket: string, isGone: boolean): Promise<void>;
  closeUnowned(label: string, isForced: boolean): Promise<void>;
}

export interface AttachedListPorts<V extends Attached> {
  readonly clock: Clock;
  readonly log: Log;
  /** Creates the object that stores the list; `current` returns the list to save. */
  readonly store: (current: () => AttachedContent) => AttachedStore;
  /** Maximum number of volumes that this process reattaches at a time. */
  readonly restoredAtOnce: number;
  /** Boot of the machine, as in its identity. After a reboot, only the configuration decides which volumes are attached. */
  readonly boot: string;
  readonly attachments: AttachingPart<V>;
  /** Returns the volume's server; null if the server is no longer configured. */
  serverOf(volume: V): { readonly serverid: number; readonly name: string } | null;
  /**
   * Removes the devices that an earlier process made for a volume that will not be reattached. Without `force`, the function throws
   * E_IN_USE if the devices are in use.
   */
  release(volume: Listed, why: string, force: boolean): Promise<void>;
  note(object: string, from: string, to: string, reason: string): void;
  /** The applications of rsapp, which attaches their volumes. */
  applications(): readonly { readonly volumes: readonly string[] }[];
}

interface Awaited extends KeptVolume {
  reason: string;
  notBeforeMs: number;
  /** Number of failed attempts. If servers offer the volume in several pools, each attempt goes to the owner of the next pool. */
  failures: number;
  /** The current attempt to attach the volume; null if there is none. */
  underWay: Promise<void> | null;
}

/** After these errors, rsiod does not reattach the volume, because another client may have written to the volume. */
const LOST_CODES: readonly string[] = ['E_HELD', 'E_TAKEN'];

export class AttachedList<V extends Attached> {
  private readonly ports: AttachedListPorts<V>;
  private readonly file: AttachedStore;
  private waiting: Awaited[] = [];
  /**
   * Labels and ids of the volumes that this daemon process has attached. The process closes these volumes itself, so a server's list that
   * still names this client as their holder is out of date.
   */
  private readonly had = new Set<string>();
  /** Until this time, a detach waits for an unreachable server, because rsiod has just started and may not have connected yet. */
  private reachUntilMs = 0;
  private timer: Timer | null = null;
  /** True if a volume has left the list of awaited volumes since the file was last written. */
  private hasChanged = false;
  /**
   * Content of the file from the moment when the daemon begins to stop; null before that moment. Volumes that the daemon detaches while it
   * stops must not count as detached by the administrator.
   */
  private atEnd: AttachedContent | null = null;

  constructor(ports: AttachedListPorts<V>) {
    this.ports = ports;
    this.file = ports.store(() => this.atEnd ?? this.content());
  }

  get awaited(): AwaitedView[] {
    // What only orders had is attached again for no one.
    const wanted = this.waiting.filter((one) => this.isOwned(one));
    return wanted.map(({ namespace, name, universe, id, readonly, server, reason }) => {
      return { namespace, name, universe, id, readonly, server, reason };
    });
  }

  /** Who had the volume before a restart, if it is being attached again. */
  audienceOf(volume: Listed): EarlierAudience {
    const before = this.waiting.find((one) => keyOf(one) === keyOf(volume));
    return before === undefined ? null : (before.shownTo ?? 'unknown');
  }

  /** Reads which volumes the previous daemon had attached. If the file cannot be used, `warn` is called with the reason. */
  async load(warn: (sentence: string) => void): Promise<void> {
    const { clock, log, boot, attachments } = this.ports;
    const content = await this.file.load(warn);
    if (content === null) return;
    if (!isSameBoot(content.boot, boot)) {
      const labels = content.attached.map(labelOf).join(', ');
      if (labels !== '') log.info(`Attached before the machine was booted, and not attached again for that: ${labels}`);
      return;
    }
    for (const key of content.detached) attachments.detached.add(key);
    this.reachUntilMs = clock.monotonicMs() + START_REACH_MS;
    this.waiting = content.attached.map((kept) => {
      return { ...kept, reason: outOfReach(kept.server), notBeforeMs: 0, failures: 0, underWay: null };
    });
    for (const one of this.waiting)
      for (const name of one.owners ?? [UNRECORDED.name]) {
        const id = isSnapshot(one.name) ? '' : one.id;
        attachments.owners.settle(attachments.owners.claim(labelOf(one), id, { kind: 'lasting', name }));
      }
    const [again, left] = [this.waiting.filter((one) => this.isOwned(one)), this.waiting.filter((one) => !this.isOwned(one))];
    if (again.length > 0) log.info(`Attached before, to be attached again: ${again.map(labelOf).join(', ')}`);
    if (left.length > 0) log.info(`Attached before by orders, to be closed: ${left.map(labelOf).join(', ')}`);
  }

  /** Tries once to attach each awaited volume, and then resolves. If a volume cannot be attached yet, a timer starts the next attempt. */
  async restore(): Promise<void> {
    if (this.atEnd !== null) return;
    this.timer?.cancel();
    this.timer = null;
    const { clock, restoredAtOnce } = this.ports;
    const nowMs = clock.monotonicMs();
    await severalAtOnce([...this.waiting], restoredAtOnce, async (one) => {
      if (one.underWay !== null || !this.waiting.includes(one)) return;
      const found = this.look(one);
      if (found.reason !== null) this.wait(one, found.reason);
      else if (nowMs >= one.notBeforeMs) await (one.underWay = this.bringBack(one, found).finally(() => (one.underWay = null)));
    });
    await Promise.all(this.waiting.flatMap(({ underWay }) => underWay ?? []));
    await this.closeUnowned();
    // The file is written once, after all attempts. During the attempts, the file lists the newly attached volumes as awaited, which is
    // safe: the next daemon reattaches both kinds alike.
    if (this.hasChanged) await this.record();
    this.lookLater();
  }

  private lookLater(): void {
    const isNeeded = this.waiting.length > 0 || this.unowned.length > 0;
    if (isNeeded && this.atEnd === null) this.timer ??= this.ports.clock.after(RESTORE_POLL_MS, () => void this.restore());
  }

  private isOwned(one: Listed): boolean {
    return !this.ports.attachments.owners.isFree(labelOf(one));
  }

  /** The labels of attached volumes without an owner: an order has ended, and the volume could not be closed then. */
  private get unowned(): string[] {
    return this.ports.attachments.list.filter((one) => !this.isOwned(one)).map(labelOf);
  }

  private async closeUnowned(): Promise<void> {
    const { attachments, log } = this.ports;
    await severalAtOnce(this.unowned, VOLUMES_AT_ONCE, async (label) => {
      await attachments.closeUnowned(label, true).catch((thrown: unknown) => log.debug(`${label}: ${toRsError(thrown).message}`));
      this.hasChanged = true;
    });
  }

  /** Like `Attachments.attach`. */
  async attach(...order: AttachArguments): Promise<AttachOutcome[]> {
    const outcomes = await this.ports.attachments.attach(...order);
    await this.record();
    return outcomes;
  }

  /**
   * Attaches a volume for an order, until `endOrder`. An awaited volume is first attached again, in its previous mode. What only orders of
   * an earlier process had is closed first, so that its server keeps no hold that would refuse this order.
   */
  async attachFor(order: Order, name: string, readOnly: boolean, server: string | null): Promise<AttachOutcome> {
    const one = this.waiting.length === 0 ? null : this.awaitedOf(name);
    if (one !== null && !(order.isAlone && this.isOwned(one))) await this.broughtBack(one);
    const [outcome] = await this.attach([name], readOnly, server, TAKE.NO, 'name', order);
    return outcome ?? failure(name, new Error('No outcome'));
  }

  /** Ends an order (`Attachments.endOrder`). If its volume cannot be closed now, this is tried again until it succeeds. */
  async endOrder(ticket: string, isGone: boolean): Promise<void> {
    try {
      await this.ports.attachments.endOrder(ticket, isGone);
    } finally {
      await this.record();
      this.lookLater();
    }
  }

  /**
   * Detaches volumes. An awaited volume is only removed from the list, so that it is not reattached. `owner`: as for `Attachments.detach`.
   */
  async detach(names: readonly string[], force: boolean, owner: string | null): Promise<AttachOutcome[]> {
    const all = (): string[] => [...this.ports.attachments.list, ...this.waiting].map(labelOf);
    // Names are handled one at a time, because several names may mean the same volume.
    const outcomes = await severalAtOnce(names.length > 0 ? names : all(), names.length > 0 ? 1 : VOLUMES_AT_ONCE, (name) =>
      this.detachOne(name, force, owner),
    );
    await this.record();
    return outcomes;
  }

  async record(): Promise<void> {
    if (this.atEnd !== null) return;
    this.hasChanged = false;
    for (const volume of this.ports.attachments.list) this.had.add(keyOf(volume));
    for (const key of this.had) if (this.had.size > DETACHED_KEPT_MAX) this.had.delete(key);
    const attached = new Set(this.ports.attachments.list.map(labelOf));
    // An attached volume replaces an awaited volume with the same label.
    this.waiting = this.waiting.filter((one) => !attached.has(labelOf(one)));
    await this.file.save();
  }

  /** Called when the daemon is stopping. The next daemon reattaches the volumes that are attached or awaited now. */
  stop(): void {
    this.atEnd ??= this.content();
    this.timer?.cancel();
    this.timer = null;
  }

  /**
   * Finds out whether a server offers the volume. `server`: the name of that server. `reason`: why the volume cannot be attached now; null
   * if the volume can be attached.
   */
  private look(one: Awaited): { server: string; reason: string | null; isSure?: boolean } {
    const label = labelOf(one);
    const near = this.ports.attachments.offers.filter(
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
    const { clock, attachments } = this.ports;
    const label = labelOf(one);
    const { error } = await attachments.attachAgain(label, one.readonly, server, one.id);
    // A detach during this attempt has removed the volume from the list. The detach waits for the end of the attempt, and then detaches the
    // volume.
    if (!this.waiting.includes(one)) return;
    if (error === null || (isSure && LOST_CODES.includes(error.code))) {
      this.waiting = this.waiting.filter((other) => other !== one);
      if (error !== null && !this.isOwned(one)) this.ports.log.info(`${label}, which an order had: ${error.message}`);
      else if (error !== null) {
        attachments.owners.drop(label);
        const remedy = isApplied(one, this.ports.applications())
          ? 'rsapp attaches it when it is to run here'
          : 'attach it with rsconfig -a';
        this.report(one, 'given-up', `${error.message}: ${remedy}`);
        await this.ports.release(one, error.message, true);
      } else await this.closeUnowned();
      this.hasChanged = true;
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
    this.ports.note(`volume ${labelOf(one)}`, 'attached before', to, reason);
    this.ports.log.warn(`${labelOf(one)}, attached before this daemon was started: ${reason}`);
  }

  private async detachOne(name: string, force: boolean, owner: string | null): Promise<AttachOutcome> {
    const { attachments } = this.ports;
    try {
      const one = this.awaitedOf(name);
      if (one === null) return owner === null ? await this.detachHeld(name, force) : await this.detachAttached(name, force, owner);
      const label = labelOf(one);
      const leftNow = (): AttachOutcome | null => (owner === null ? null : leftToOthers(attachments.owners, label, owner));
      const early = leftNow();
      if (early !== null) return early;
      if (!force) await this.untilInReach(one);
      await this.broughtBack(one);
      const isAttached = attachments.list.some((volume) => labelOf(volume) === label && volume.id === one.id);
      if (isAttached) return await this.detachAttached(label, force, owner);
      // Somebody may have asked for it meanwhile.
      const late = leftNow();
      if (late !== null) return late;
      await this.ports.release(one, 'detached by rsconfig -d', force);
      this.waiting = this.waiting.filter((other) => other !== one);
      attachments.owners.drop(label);
      if (!isSnapshot(one.name)) attachments.detached.add(`${label} ${one.id}`);
      this.ports.log.info(`${label} is not attached again: detached by rsconfig -d (${one.reason})`);
      return { volume: label, done: true, already: false, device: null, error: null };
    } catch (thrown) {
      return failure(name, thrown);
    }
  }

  private async detachAttached(name: string, force: boolean, owner: string | null): Promise<AttachOutcome> {
    return (await this.ports.attachments.detach([name], force, owner))[0] ?? failure(name, new Error('No outcome'));
  }

  /**
   * Detaches a volume that is not awaited. If an earlier process detached the volume while the server was unreachable, the server may still
   * keep this node's hold. The volume is then attached and detached once more, because only CLOSE ends a hold.
   */
  private async detachHeld(name: string, force: boolean): Promise<AttachOutcome> {
    const { attachments } = this.ports;
    // The configuration may have attached volumes since `record` was last called.
    for (const volume of attachments.list) this.had.add(keyOf(volume));
    const outcome = await this.detachAttached(name, force, null);
    const left = attachments.offers.find((offer) => isMeant(offer, name) && isLeftHeld(offer) && !this.had.has(keyOf(offer)));
    if (!outcome.already || left === undefined) return outcome;
    // The volume is attached read-only, because nothing will be written to it before the detach.
    const [attached] = await attachments.attach([labelOf(left)], true, left.server, TAKE.NO);
    return attached?.error === null ? await this.detachAttached(labelOf(left), force, null) : outcome;
  }

  private async untilInReach(one: Awaited): Promise<void> {
    const { clock } = this.ports;
    while (this.atEnd === null && this.waiting.includes(one) && this.isAway(one) && clock.monotonicMs() < this.reachUntilMs)
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
    if (this.atEnd !== null || !this.waiting.includes(one)) return;
    if (found.reason !== null && one.underWay === null) this.wait(one, found.reason);
    else await (one.underWay ??= this.bringBack(one, found).finally(() => (one.underWay = null)));
  }

  /** Returns the awaited volume that a name means, or null if the name means no volume or an attached volume. Throws E_AMBIGUOUS. */
  private awaitedOf(name: string): Awaited | null {
    try {
      chooseVolume(this.waiting.map(asOffer), name, null);
    } catch (thrown) {
      if (toRsError(thrown).code === 'E_UNKNOWN_VOLUME') return null;
    }
    const { label, offers } = chooseVolume([...this.ports.attachments.list, ...this.waiting].map(asOffer), name, null);
    return this.waiting.find((one) => labelOf(one) === label && one.id === offers[0]?.id) ?? null;
  }

  private content(): AttachedContent {
    const { boot, attachments } = this.ports;
    const owned = (volume: Listed): string[] => attachments.owners.lastingOf(labelOf(volume));
    const attached = attachments.list.flatMap((volume): KeptVolume[] => {
      const server = this.ports.serverOf(volume);
      const { namespace, name, universe, id, wantsReadonly: asksReadonly } = volume;
      return server === null
        ? []
        : [
            {
              namespace,
              name,
              universe,
              id,
              readonly: asksReadonly,
              serverid: server.serverid,
              server: server.name,
              owners: owned(volume),
              ...audienceIn(volume),
            },
          ];
    });
    const labels = new Set(attached.map(labelOf));
    const waiting = this.waiting.flatMap((one): KeptVolume[] => {
      const { namespace, name, universe, id, readonly, serverid, server } = one;
      return labels.has(labelOf(one))
        ? []
        : [{ namespace, name, universe, id, readonly, serverid, server, owners: owned(one), ...audienceIn(one) }];
    });
    return { boot, attached: [...attached, ...waiting], detached: [...attachments.detached].slice(-DETACHED_KEPT_MAX) };
  }
}

function audienceIn({ shownTo }: { readonly shownTo?: Audience | undefined }): Pick<KeptVolume, 'shownTo'> {
  return shownTo === undefined || shownTo === 'orders' ? {} : { shownTo };
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

function keyOf(volume: Listed): string {
  return `${labelOf(volume)} ${volume.id}`;
}

function outOfReach(server: string): string {
  return `Server ${server} is not in reach`;
}
