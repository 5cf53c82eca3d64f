// Attaches and detaches volumes, and makes the frontends show them. Invariant: a volume enters the list of attached volumes when its server
// has opened it, or when its mirror takes I/O. A volume leaves the list when it is lost, or after the final flush of a detach. A forced
// detach continues if this flush fails, and skips the flush while the volume has no path.

import { within } from '@rsio/base/lib/waiting';
import type { ClientNamespaceConfig, RscltConfig } from '@rsio/common/config/schema/types';
import { effectiveVolume, effectiveVolumeOf, namesToAttach } from '@rsio/common/config/effective-volume';
import { LOG_TOTAL_BYTES } from '@rsio/common/config/schema/limits';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import { severalAtOnce } from '@rsio/base/structures/concurrency';
import { Attachment } from '@rsio/protocol/client/attachment';
import { LogTotal } from '@rsio/protocol/client/replay/log-total';
import { SlabPool } from '@rsio/protocol/client/replay/replay-blocks';
import { ReplayLog } from '@rsio/protocol/client/replay/replay-log';
import { SingleTarget } from '@rsio/protocol/client/single-target';
import { TAKE_OVER_WAIT_MS } from '@rsio/protocol/link/limits';
import { TAKE, type Take } from '@rsio/protocol/wire/messages';
import type { Frontends } from '../frontends/frontends.ts';
import type { Namespaces } from '../network/namespaces.ts';
import { Mirrors, type MirrorsPorts } from '../mirrors/mirrors.ts';
import type { Server } from '../network/server.ts';
import { STOP_WAIT_MAX_MS, VOLUMES_AT_ONCE } from '../sys/limits.ts';
import { BusyPoll, processCpuMs } from '../volumes/busy-poll.ts';
import { provenChoice } from './snapshot-offers.ts';
import { olderSnapshots } from '../volumes/older-snapshots.ts';
import type { Audience } from '../volumes/frontend-volume.ts';
import { Volume, type VolumeEvent } from '../volumes/volume.ts';
import {
  isSameRequest,
  refuseOtherMode,
  type AttachArguments,
  type AttachRequest,
  type AttachedElsewhere,
  wantsReadonly,
} from './attach-request.ts';
import type { AttachedVolumes } from './attached-volumes.ts';
import { FarmMoves, type FarmMovesPorts } from './farm-moves.ts';
import {
  anotherSnapshot,
  asOffer,
  claimsOf,
  failure,
  findAttached,
  goneMeanwhile,
  isConfiguredReadonly,
  isMeant,
  isSnapshotChoice,
  isWanted,
  keyOf,
  leftToOthers,
  mayBeElsewhere,
  offersOf,
  refuseOverwriting,
  refuseUsed,
  wantedUnless,
} from './choices.ts';
import { ATTACH_WAIT_MS, MOVED_TRIES_MAX, REPLAY_SLABS_POOLED_MAX, STOP_VOLUME_MS, STOP_WAIT_MS } from './limits.ts';
import { Leaving } from './leaving.ts';
import { LogTrimmer } from './log-trimmer.ts';
import { Openings } from './openings.ts';
import { CONFIGURATION, type Owners, PERSON, type Claim, type Owner } from './owners.ts';
import {
  type OfferList,
  chooseById,
  chooseToAttach,
  chooseVolume,
  distinctVolumes,
  isCalledLike,
  labelOf,
  listOf,
  nameTaken,
  openable,
  serverFor,
  type Choice,
  type Offer,
  type ServerOffer,
  unambiguous,
  volumesOf,
  whyMissing,
} from './offers.ts';
import type { Reports } from './reports.ts';
import { keepHold, serverOf, serverWith } from './volume-servers.ts';

// Logs names that the configuration wants attached but that no server offers in universe 0, although another universe has a volume with
// that name. A name without a universe means universe 0. Invariant: each such name is logged once until the volume is offered. No more
// names are remembered than the configuration contains.
class MissingNames {
  private readonly log: Pick<Log, 'warn'>;
  private logged: ReadonlySet<string> = new Set();

  constructor(log: Pick<Log, 'warn'>) {
    this.log = log;
  }

  look(namespaces: readonly ClientNamespaceConfig[], offers: readonly Offer[]): void {
    const missing = new Map(namespaces.flatMap((config) => missingOf(config, offers)));
    for (const [label, others] of missing) {
      if (this.logged.has(label)) continue;
      const remedy = `rsconfig -a ${label} says why; ${others} is another volume, which attach = NAME@UNIVERSE means`;
      this.log.warn(`${label} is not attached although the configuration says so, because no server offers it: ${remedy}`);
    }
    this.logged = new Set(missing.keys());
  }
}

/** Returns pairs: the label of a volume in universe 0 that no server offers, and the volumes with the same name in other universes. */
function missingOf(config: ClientNamespaceConfig, offers: readonly Offer[]): (readonly [string, string])[] {
  return namesToAttach(config).flatMap((name) => {
    const named = offers.filter((offer) => offer.namespace === config.name && offer.name === name);
    const isMissing = named.length > 0 && named.every(({ universe }) => universe !== 0);
    return isMissing ? [[labelOf({ namespace: config.name, name, universe: 0 }), listOf(distinctVolumes(named))] as const] : [];
  });
}

// Design.
// This class owns the list of attached volumes, and the order of the steps by which a volume enters and leaves the list. Other modules do
// the steps: offers.ts chooses the volume that a name means, openings.ts and mirrors/ open it, frontends/ show it, final-flush.ts flushes
// it. Attaches by commands, by the configuration and after a restart use the same steps.
//
//   attach (command) | attachWanted (key `attach`) | attachAgain (attached before a restart)
//     | offers.ts: which volume? If it is attached already: done, or E_IN_USE in another mode
//     v
//   opening ------ granted, or the mirror serves -----> attached ----> shown by its frontends
//     | one at a time for each volume:                   |    |              | no device can be made:
//     | an equal request shares the result,              |    |              v it is detached by force
//     | another one waits for its end                    |    '-- lost: refused for good, or taken --> out of the list
//     v                                                  v
//   error: E_HELD, E_TIMEOUT ...             leaving, one at a time for each volume
//                                              1  in use, or no path: refused without force
//                                              2  hide the device, refuse users' new I/O
//                                              3  last flush; if it fails without force: I/O is admitted, the device is shown again
//                                              4  out of the list
//                                              5  CLOSE, or the end of a mirror; without force, a failure is still an error
//
// The set `detached` contains the volumes (but no snapshots) that a command has detached or that this client has lost. `attachWanted` skips
// these volumes until a command attaches them again.
//
// Rules of docs/PROTOCOL.md: CLOSE ends the hold (H1). A forced detach abandons the requests in flight, so that the server executes none of
// them after a later attach (E1, S11). A mirror is recorded as cleanly detached only after its last flush (M13). If a snapshot has been
// replaced by another snapshot with the same name, the new snapshot is not reattached in place of the old one (N3).
//
// owners.ts records who has each volume, from before its OPEN until its end; leaving.ts closes a volume for an order that has ended only if
// nobody else has it. An attach of a volume that is being detached waits for the end of the detach, and then opens the volume again.
//
// Never done here:
// - No volume is taken over unless a request names it. The configuration and a restart never take over.
// - Two volumes of one namespace, name and universe are never attached together.
// - No code waits for an OPEN, a final flush or a CLOSE without a time limit. `stop` has one limit for all of them.

export interface AttachmentsPorts extends FarmMovesPorts, Pick<MirrorsPorts, 'instance' | 'random'> {
  readonly namespaces: Pick<Namespaces, 'list'>;
  readonly offers: Pick<OfferList, 'list'>;
  readonly volumes: AttachedVolumes;
  readonly frontends: Frontends;
  readonly reports: Reports;
  /** The volumes of the data processes; null if this process itself attaches the volumes that the configuration wants. */
  readonly elsewhere: AttachedElsewhere | null;
  /** Decides who may use a volume that a lasting owner has. */
  shownTo?(volume: Volume): Promise<Audience | undefined>;
  /** False in a data process, because the main process attaches what the configuration wants, and refuses orders for it. */
  readonly attachesWanted?: boolean;
  /** The servers from which volumes were attached. */
  readonly origins: Openings['origins'];
}

interface Opening {
  readonly namespace: string | null;
  readonly label: string;
  readonly request: AttachRequest;
  readonly volume: Promise<Volume>;
}

export class Attachments {
  private readonly ports: AttachmentsPorts;
  private readonly volumes: Volume[];
  private readonly turns = new WeakMap<Volume, number>();
  /** The id in the server's offer. For a snapshot, this is the id of its volume. */
  private readonly offeredIds = new WeakMap<Volume, string>();
  private turnsGiven = 0;
  private readonly notify = (volume: Volume, event: VolumeEvent): void => this.ports.reports.stalled(volume, event);
  private readonly leaving: Leaving;
  private readonly opening = new Map<string, Opening>();
  readonly owners: Owners;
  private readonly openings: Openings;
  private readonly missing: MissingNames;
  /** See `AttachedVolumes`. */
  readonly detached: Set<string>;
  private readonly slabs = new SlabPool(REPLAY_SLABS_POOLED_MAX);
  readonly logTotal = new LogTotal(LOG_TOTAL_BYTES);
  readonly busyPoll: BusyPoll;
  readonly logTrimmer: LogTrimmer;
  readonly mirrors: Mirrors;
  readonly farm: FarmMoves;

  constructor(ports: AttachmentsPorts) {
    this.ports = ports;
    ({ list: this.volumes, owners: this.owners, detached: this.detached } = ports.volumes);
    this.openings = new Openings(ports.clock, ports.origins);
    this.missing = new MissingNames(ports.log);
    this.busyPoll = new BusyPoll({ clock: ports.clock, nextTurn: setImmediate, cpuMs: processCpuMs });
    this.mirrors = new Mirrors({
      clock: ports.clock,
      log: ports.log,
      random: () => ports.random(),
      instance: ports.instance,
      newLog: (sizeBytes) => this.replayLogOf(sizeBytes),
      settings: (namespace, name) =>
        effectiveVolumeOf({ namespaces: ports.namespaces.list.map(({ config }) => config) }, { namespace, name }),
      ended: (target) => {
        this.drop((volume) => volume.target === target);
        // Otherwise the next process would attach the mirror again as soon as it is free.
        void ports.record.save();
      },
      grown: (target) => this.volumes.forEach((volume) => void (volume.target === target && ports.frontends.grown(volume))),
      note: (...event) => ports.reports.add(...event),
    });
    this.leaving = new Leaving({
      ports,
      volumes: this.volumes,
      owners: this.owners,
      mirrors: this.mirrors,
      detached: this.detached,
      serverOf: (volume) => this.serverOf(volume),
    });
    this.logTrimmer = new LogTrimmer(ports.clock, this.logTotal, () => this.volumes);
    this.farm = new FarmMoves(ports, this, (volume) => this.offeredIds.get(volume) ?? volume.id);
  }

  /** Applies the values of the section [defaults]. */
  configure({ logTotalBytes, busyPollUs }: Pick<RscltConfig, 'logTotalBytes' | 'busyPollUs'>): void {
    this.logTotal.limitBytes = logTotalBytes;
    this.busyPoll.limitUs = busyPollUs;
  }

  get list(): readonly Volume[] {
    return this.volumes;
  }

  get offers(): readonly ServerOffer[] {
    return this.ports.offers.list;
  }

  /**
   * Attaches the named volumes, or all offered volumes if no name is given. Returns one outcome for each name or offered volume, in order.
   * A take-over requires names.
   */
  async attach(...[names, readOnly, server, take = TAKE.NO, by, owner = PERSON]: AttachArguments): Promise<AttachOutcome[]> {
    const ask: AttachRequest = { readOnly, take, by: by ?? (names.length > 0 ? 'name' : 'any'), isPlaced: server !== null };
    const attachNamed = async (name: string): Promise<AttachOutcome> => {
      const outcome = await this.attachOne(name, () => chooseToAttach(this.offers, name, server), ask, owner);
      if (outcome.error?.code !== 'E_UNKNOWN_VOLUME') return outcome;
      const why = await whyMissing(this.ports.namespaces.list, this.offers, name, server);
      return why === null ? outcome : failure(name, new RsError('E_VOLUME', why));
    };
    // All take-overs start at once, because each may take TAKE_OVER_WAIT_MS and the caller waits for all of them.
    if (take !== TAKE.NO) return await Promise.all(names.map(attachNamed));
    if (names.length > 0) return await severalAtOnce(names, VOLUMES_AT_ONCE, attachNamed);
    const all = volumesOf(this.offers, server);
    return await severalAtOnce(all, VOLUMES_AT_ONCE, (choice) => this.attachOne(choice.label, () => unambiguous(choice, all), ask, owner));
  }

  /** Attaches the volume with this id for a gate. */
  async takeOver(label: string, id: string, take: Take): Promise<AttachOutcome> {
    const ask: AttachRequest = { readOnly: false, take, by: 'name' };
    return await this.attachOne(label, () => chooseById(this.offers, label, id), ask, { kind: 'lasting', name: 'gate' });
  }

  /** Attaches a volume for the owners that it has already; if it has none, the caller closes it. */
  async attachAgain(label: string, readOnly: boolean, server: string, id: string): Promise<AttachOutcome> {
    const ask: AttachRequest = { readOnly, take: TAKE.NO, by: 'before', id };
    return await this.attachOne(label, () => chooseToAttach(this.offers, label, server), ask, null);
  }

  /**
   * Attaches the volumes that the configuration wants attached. Called at startup, on a reload and whenever a session with a server begins.
   * Skips volumes that the administrator has detached or another client has taken; if `isVerbose` is true, each skipped volume is logged. A
   * volume that no server offers yet is skipped, and logged only if a volume in another universe has its name.
   */
  async attachWanted(isVerbose: boolean): Promise<void> {
    const { elsewhere, attachesWanted = true } = this.ports;
    if (!attachesWanted) return;
    const isThere = (choice: Choice<ServerOffer>): boolean => this.find(choice) !== undefined || elsewhere?.has(choice.label) === true;
    const missing = distinctVolumes(openable(this.offers)).filter((choice) => isWanted(choice) && !isThere(choice));
    this.missing.look(
      this.ports.namespaces.list.map(({ config }) => config),
      this.offers,
    );
    const wanted = missing.filter((choice) => wantedUnless(this.ports, this.detached)?.has(keyOf(choice)) !== true);
    for (const choice of isVerbose ? missing.filter((one) => !wanted.includes(one)) : []) {
      this.ports.log.info(
        `${choice.label} is not attached although the configuration says so, because it was detached since: rsconfig -a ${choice.label}`,
      );
    }
    const ask: AttachRequest = { readOnly: false, take: TAKE.NO, by: 'any' };
    const owner = CONFIGURATION;
    const attachHere = (label: string): Promise<AttachOutcome> =>
      this.attachOne(label, () => chooseVolume(this.offers, label, null), ask, owner);
    const labels = wanted.map(({ label }) => label);
    const order = { readOnly: false, server: null, take: 'no', by: 'any', owner } as const;
    const outcomes = await (elsewhere?.attach(labels, order) ?? severalAtOnce(labels, VOLUMES_AT_ONCE, attachHere));
    for (const { volume, error } of outcomes)
      if (error !== null) this.ports.log.warn(`${volume} was not attached: ${error.message} [${error.code}]`);
  }

  /** `owner`: the lasting owner that no longer wants the volumes; null: nobody does. */
  async detach(names: readonly string[], force: boolean, owner: string | null): Promise<AttachOutcome[]> {
    return await severalAtOnce(names.length > 0 ? names : this.list.map(labelOf), VOLUMES_AT_ONCE, (name) =>
      this.detachOne(name, force, owner),
    );
  }

  /**
   * Ends an order, and closes its volume unless somebody else has it. `isGone`: the command was killed, so that nobody waits for the
   * programs that it has left. Throws the errors of a detach.
   */
  async endOrder(ticket: string, isGone: boolean): Promise<void> {
    const label = this.owners.end(ticket);
    if (label !== null) await this.leaving.leaveUnowned(label, isGone);
  }

  /** Closes the volume with this label if it is attached, and nobody has it. Throws the errors of a detach. */
  async closeUnowned(label: string, isForced: boolean): Promise<void> {
    await this.leaving.leaveUnowned(label, isForced);
  }

  /** Returns the labels of the volumes in a namespace that are attached, being attached or being detached. */
  inUse(namespace: string): string[] {
    const isIn = (one: { readonly namespace: string | null }): boolean => one.namespace === namespace;
    const opening = [...this.opening.values()].filter(isIn).map(({ label }) => label);
    return [...new Set([...this.volumes.filter(isIn).map(labelOf), ...opening])];
  }

  /**
   * Applies the stall policies of a changed configuration to the attached volumes. Removes the entries in `detached` whose namespace is no
   * longer configured.
   */
  configurationChanged(): void {
    const names = this.ports.namespaces.list.map(({ config }) => config.name);
    for (const key of this.detached) if (!names.some((name) => key.startsWith(`${name}:`))) this.detached.delete(key);
    for (const volume of this.volumes) {
      const namespace = this.ports.namespaces.list.find(({ config }) => config.name === volume.namespace);
      const policy = namespace === undefined ? volume.stall.policy : effectiveVolume(namespace.config, volume.name).stall;
      if (policy !== volume.stall.policy) volume.stall.setPolicy(policy);
    }
    this.mirrors.settingsChanged();
  }

  /** Detaches as many volumes as possible within STOP_WAIT_MS plus STOP_VOLUME_MS for each volume, at most STOP_WAIT_MAX_MS. */
  async stop(): Promise<void> {
    const { clock, log } = this.ports;
    // The list is copied, because detaching removes volumes from it.
    const all = Promise.all([...this.volumes].map((volume) => this.detachOne(labelOf(volume), true, null)));
    const waitMs = Math.min(STOP_WAIT_MS + STOP_VOLUME_MS * this.volumes.length, STOP_WAIT_MAX_MS);
    const outcomes = await within(clock, waitMs, all, () => null);
    this.logTrimmer.stop();
    if (outcomes === null) log.warn(`Some volumes could not be detached within ${waitMs / 1000} s: this node still holds them`);
    for (const { volume, error } of outcomes ?? []) if (error !== null) log.warn(`${volume}: ${error.message}`);
  }

  // --- events of the servers

  opened(attachment: Attachment, newLife: boolean): void {
    keepHold(this.ports.namespaces.list, attachment);
    this.openings.opened(attachment);
    this.mirrors.opened(attachment, newLife);
  }

  failed(attachment: Attachment, status: number, sentence: string): void {
    if (this.mirrors.failed(attachment, status, sentence)) return;
    this.openings.failed(attachment, status, sentence);
    this.drop(({ target }) => target.attachments.includes(attachment));
  }

  private drop(isIt: (volume: Volume) => boolean): void {
    const at = this.volumes.findIndex(isIt);
    // Another client may have written to the volume, so rsiod no longer attaches the volume automatically.
    for (const volume of at < 0 ? [] : this.volumes.splice(at, 1)) {
      if (!isSnapshot(volume.name)) this.detached.add(`${labelOf(volume)} ${volume.id}`);
      this.owners.drop(labelOf(volume));
      void this.ports.frontends.drop(volume);
    }
  }

  /**
   * If the server answers that it no longer owns the pool of the volume, and another server has become the owner of its pool by then,
   * the volume is attached from there. `owner`: null if the volume has its owners already.
   */
  private async attachOne(
    name: string,
    choose: () => Choice<ServerOffer>,
    asked: AttachRequest,
    owner: Owner | null,
    tries = 1,
  ): Promise<AttachOutcome> {
    let label = name;
    let claims: ReadonlySet<string> = new Set();
    let claim: Claim | null = null;
    try {
      const choice = choose();
      label = choice.label;
      claims = claimsOf(choice.offers);
      const isOfSnapshot = isSnapshotChoice(choice);
      claim = owner === null ? null : this.owners.claim(label, isOfSnapshot ? '' : (choice.offers[0]?.id ?? ''), owner);
      if (owner?.kind === 'order' && owner.isAlone) refuseOverwriting(choice, wantedUnless(this.ports, this.detached));
      // What was attached before has its owners already.
      const isAutomatic = owner === null || (owner.kind === 'lasting' && owner.name === CONFIGURATION.name);
      const ask = { ...asked, readOnly: asked.readOnly || isOfSnapshot, isAutomatic };
      const attached = this.opening.has(keyOf(choice)) ? undefined : await this.findStaying(choice);
      const volume = attached ?? (await this.openOnce(choice, ask));
      refuseOtherMode(label, volume.wantsReadonly, ask, isConfiguredReadonly(choice));
      this.leaving.admit(volume);
      if (volume.shownTo === 'orders' && this.owners.lastingOf(label).length > 0) await this.show(volume, label);
      else if (!this.volumes.includes(volume)) throw goneMeanwhile(label);
      if (claim !== null) this.owners.settle(claim);
      return { volume: label, done: true, already: attached !== undefined, device: this.ports.frontends.deviceOf(volume), error: null };
    } catch (thrown) {
      const error = toRsError(thrown);
      if (claim !== null) this.owners.giveUp(claim);
      const hasMoved =
        error.code === 'E_MOVED' && tries < MOVED_TRIES_MAX && [...claimsOf(offersOf(choose))].some((one) => !claims.has(one));
      return hasMoved ? await this.attachOne(name, choose, asked, owner, tries + 1) : failure(label, error);
    }
  }

  /** Returns the attached volume; undefined if it is not attached. If it is being detached, the function waits for the end of the detach. */
  private async findStaying(choice: Choice<ServerOffer>): Promise<Volume | undefined> {
    for (;;) {
      const found = this.find(choice);
      const leaving = found && this.leaving.of(found);
      if (leaving === undefined) return found;
      await leaving.catch(() => undefined);
    }
  }

  /**
   * If an equal request is already opening the volume, the new request shares its result. If a different request is opening the volume, the
   * new request first waits for the end of that request.
   */
  private async openOnce(choice: Choice<ServerOffer>, ask: AttachRequest): Promise<Volume> {
    const key = keyOf(choice);
    for (let other = this.opening.get(key); other !== undefined; other = this.opening.get(key)) {
      if (isSameRequest(other.request, ask)) return await other.volume;
      const attached = await other.volume.catch(() => null);
      if (attached !== null) return attached;
    }
    const volume = this.open(choice, ask).finally(() => this.opening.delete(key));
    const namespace = choice.offers[0]?.config.name ?? null;
    this.opening.set(key, { namespace, label: choice.label, request: ask, volume });
    const opened = await volume;
    this.detached.delete(key);
    return opened;
  }

  private async open(choice: Choice<ServerOffer>, ask: AttachRequest): Promise<Volume> {
    const [named] = choice.offers;
    const rival = this.volumes.find((volume) => named !== undefined && isCalledLike(volume, named));
    const isOpening = [...this.opening.values()].some(({ label }) => label === choice.label);
    if (rival !== undefined || isOpening) throw nameTaken(choice, rival === undefined ? null : (this.serverOf(rival)?.name ?? null));
    const replaced = choice.offers.find(({ from }) => from.replaced !== null)?.from.replaced ?? null;
    if (replaced !== null && !choice.offers.some(({ isConnected }) => isConnected)) throw new RsError('E_REPLACED', replaced);
    const turn = this.turnsGiven++;
    const mirror = named?.mirror ?? null;
    const volume =
      mirror === null || isSnapshotChoice(choice) ? await this.openSingle(choice, ask) : await this.openMirror(choice, mirror, ask);
    this.turns.set(volume, turn);
    const before = this.volumes.findLastIndex((other) => (this.turns.get(other) ?? 0) < turn);
    this.volumes.splice(before + 1, 0, volume);
    this.farm.look();
    volume.renewed = () => this.ports.frontends.incarnationChanged(volume);
    await this.show(volume, choice.label);
    this.ports.log.info(
      `Attached ${choice.label} of ${volume.serverText}: ${volume.sizeBytes} bytes${volume.readonly ? ', read-only' : ''}`,
    );
    return volume;
  }

  private async openMirror(choice: Choice<ServerOffer>, mirror: string, ask: AttachRequest): Promise<Volume> {
    const [{ label }, { config, name, universe, from }] = [choice, choice.offers[0]!];
    const settings = effectiveVolume(config, name);
    const namespace = this.ports.namespaces.list.find((one) => one.config.name === config.name);
    if (namespace === undefined) throw new RsError('E_NO_PATH', `Server ${from.name} was removed from the configuration`);
    const takesOver = ask.take !== TAKE.NO;
    const readonly = wantsReadonly(ask, settings.readonly);
    const waitMs = takesOver ? TAKE_OVER_WAIT_MS : ATTACH_WAIT_MS;
    const isAutomatic = ask.isAutomatic === true;
    const { io } = await this.mirrors.attach({ namespace, mirror, name, universe, label, readonly, takesOver, isAutomatic, waitMs });
    const volume = new Volume(config, io, this.ports.clock, settings.stall, this.notify, () => `the servers of mirror ${label}`);
    volume.busyPoll = this.busyPoll;
    return volume;
  }

  private async openSingle(choice: Choice<ServerOffer>, ask: AttachRequest): Promise<Volume> {
    const offered = isSnapshotChoice(choice) ? await provenChoice(choice) : choice;
    const { offer, attachment } = await openFirst(offered, this.offers, ask, this.openings, (sizeBytes) => this.replayLogOf(sizeBytes));
    const [settings, { from }] = [effectiveVolume(offer.config, offer.name), offer];
    const otherId = isSnapshotChoice(choice) && ask.id !== undefined && attachment.volume?.id !== ask.id;
    if (otherId) {
      from.opener.close(attachment, () => undefined);
      throw new RsError('E_VOLUME', `Server ${from.name} has another snapshot of this name now: ${anotherSnapshot(choice.label)}`);
    }
    const target = new SingleTarget(attachment, from.trunk);
    const sourceText = (): string => `server ${(serverWith(this.ports.namespaces.list, target) ?? from).name}`;
    const volume = new Volume(offer.config, target, this.ports.clock, settings.stall, this.notify, sourceText);
    volume.busyPoll = this.busyPoll;
    this.offeredIds.set(volume, offer.id);
    if (isSnapshotChoice(choice)) volume.olderSnapshots = await olderSnapshots(from.trunk, attachment, this.ports.clock);
    return volume;
  }

  /**
   * Shows the volume to its users: to the order alone, or to programs of this machine or hosts of its gates. If a frontend cannot make the volume's device,
   * the volume is detached, unless an order has it. What only orders had is shown to nobody else while something that an order has left uses it.
   */
  private async show(volume: Volume, label: string): Promise<void> {
    const [isForOrders, wasForOrders] = [this.owners.lastingOf(label).length === 0, volume.shownTo === 'orders'];
    volume.shownTo = isForOrders ? 'orders' : await this.ports.shownTo?.(volume);
    if (wasForOrders && !isForOrders) await refuseUsed(volume, this.ports.frontends);
    try {
      await this.ports.frontends.show(volume);
    } catch (thrown) {
      if (this.owners.ordersOf(label).length === 0) await this.leaving.leave(volume, label, true, 'unshown');
      else volume.shownTo = 'orders';
      throw thrown;
    }
    if (!this.volumes.includes(volume)) throw goneMeanwhile(label);
  }

  private replayLogOf(sizeBytes: number): ReplayLog | null {
    return sizeBytes === 0 ? null : new ReplayLog(sizeBytes, this.slabs, this.logTotal);
  }

  private async detachOne(name: string, force: boolean, owner: string | null): Promise<AttachOutcome> {
    let label = name;
    try {
      const choice = chooseVolume(this.volumes.map(asOffer), name, null);
      label = choice.label;
      const volume = this.find(choice);
      const left = owner === null ? null : leftToOthers(this.owners, label, owner);
      if (left !== null) return left;
      const isDetached = volume !== undefined && (await this.leaving.leave(volume, label, force, 'asked'));
      return { volume: label, done: true, already: !isDetached, device: null, error: null };
    } catch (thrown) {
      const error = toRsError(thrown);
      // A volume that is offered but not attached counts as already detached.
      const offered = this.offers.filter((offer) => isMeant(offer, name));
      if (error.code !== 'E_UNKNOWN_VOLUME' || offered.length === 0) return failure(label, error);
      // The configuration must not attach it a moment later.
      for (const choice of distinctVolumes(offered)) if (isWanted(choice)) this.detached.add(keyOf(choice));
      return { volume: name, done: true, already: true, device: null, error: null };
    }
  }

  /** The server of the volume; for a mirror, a server of one of its replicas. */
  serverOf(volume: Volume): Server | undefined {
    return serverOf(this.ports.namespaces.list, volume);
  }

  private find(choice: Choice<Offer>): Volume | undefined {
    return findAttached(this.volumes, choice, this.offeredIds);
  }
}

// Sends the first OPEN of a volume to the server that is chosen for it (offers.ts). Only an OPEN shows in which pool a volume lies. If
// servers offer the volume in several shared pools, the owner of each pool is therefore tried, at most MOVED_TRIES_MAX owners. Invariant:
// each try ends before the next one begins. Rules: F9.
/** `all`: every offer, including those that are not in `choice`. Throws the errors of `serverFor`, `Openings.open` and `VolumeOrigins.check`. */
async function openFirst(
  choice: Choice<ServerOffer>,
  all: readonly ServerOffer[],
  ask: AttachRequest,
  openings: Openings,
  replayLogOf: (sizeBytes: number) => ReplayLog | null,
): Promise<{ offer: ServerOffer; attachment: Attachment }> {
  const [first] = choice.offers;
  openings.origins.check(choice, all, ask.isPlaced === true, ask.by === 'before');
  // The whole list is searched once for each volume, because a start may open a thousand volumes.
  const same = all.filter(({ namespace, id }) => namespace === first?.namespace && id === first.id);
  const pools = claimsOf(same).size;
  let reason: RsError | null = null;
  for (let tries = 0; ; tries++) {
    try {
      const offer = serverFor(choice, same, first?.config.nodename ?? '', tries);
      const settings = effectiveVolume(offer.config, offer.name);
      const isReadonly = wantsReadonly(ask, settings.readonly);
      const replayLog = isReadonly ? null : replayLogOf(settings.logSizeBytes);
      const attachment = new Attachment(offer.name, offer.universe, isReadonly, ask.take, replayLog);
      await openings.open(offer.from, attachment, choice.label);
      await openings.origins.attached(offer);
      return { offer, attachment };
    } catch (thrown) {
      const error = toRsError(thrown);
      // Report the owner's reason, not the fact that another server is not the owner.
      if (reason === null || reason.code === 'E_MOVED' || reason.code === 'E_UNKNOWN_VOLUME') reason = error;
      if (tries + 1 >= Math.min(pools, MOVED_TRIES_MAX) || !mayBeElsewhere(error)) throw reason;
    }
  }
}
