// The attached volumes: attaching, detaching, and what waits to be attached as soon as its server is there. Doors show what is here.
// Invariant: a volume is in the list from the moment the server has opened it until it is flushed and closed (or lost).

import type { AttachOutcome } from '@rsio/protocol/control/methods';
import type { ClientNamespaceConfig, StallPolicy } from '@rsio/protocol/config/types';
import type { Clock } from '@rsio/protocol/lib/clock';
import { type ErrorCode, RsError, toRsError } from '@rsio/protocol/lib/errors';
import type { Log } from '@rsio/protocol/lib/log';
import { ATTACH_WAIT_MS, DETACH_WAIT_MS, STOP_WAIT_MS } from '@rsio/protocol/limits';
import { Attachment } from '@rsio/protocol/trunk/attachment';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { Door } from './doors/door.ts';
import type { Namespace } from './namespace.ts';
import { chooseVolume, type Choice, distinctVolumes, labelOf, type Offer } from './offers.ts';
import type { Server } from './server.ts';
import type { StallWord } from './stall.ts';
import { Volume } from './volume.ts';

export interface ServerOffer extends Offer {
  readonly from: Server;
  readonly config: ClientNamespaceConfig;
}

export interface AttachmentsPorts {
  readonly clock: Clock;
  readonly log: Log;
  namespaces(): readonly Namespace[];
  doors(): readonly Door[];
  /** The device a person uses: block node or NBD URI; null: the volume has no door. */
  deviceOf(volume: Volume): string | null;
  /** What the stall policy made of a volume. */
  stalled(volume: Volume, word: StallWord): void;
}

interface Wish {
  resolve(): void;
  reject(error: RsError): void;
}

const NOTHING = Buffer.alloc(0);

const CODES: Readonly<Record<number, ErrorCode>> = {
  [STATUS.HELD]: 'E_HELD',
  [STATUS.UNKNOWN_VOLUME]: 'E_UNKNOWN_VOLUME',
  [STATUS.NO_RIGHTS]: 'E_RIGHTS',
  [STATUS.TAKEN]: 'E_TAKEN',
};

export class Attachments {
  private readonly ports: AttachmentsPorts;
  private readonly volumes: Volume[] = [];
  private readonly leaving = new Set<Volume>();
  private readonly opening = new Map<string, Promise<Volume>>();
  private readonly wishes = new Map<Attachment, Wish>();
  /** Volumes that a person has detached, and not attached again since: the start is over for them. */
  private readonly detached = new Set<string>();

  constructor(ports: AttachmentsPorts) {
    this.ports = ports;
  }

  /** Attached volumes. */
  get list(): readonly Volume[] {
    return this.volumes;
  }

  /** Those that doors may show: attached, not being detached, not `device = none`. */
  get shown(): Volume[] {
    return this.volumes.filter((volume) => !this.leaving.has(volume) && this.ports.deviceOf(volume) !== null);
  }

  get offers(): ServerOffer[] {
    return this.ports.namespaces().flatMap((namespace) =>
      [...namespace.servers.values()].flatMap((from) =>
        from.volumes.map(({ name, universe, id }) => ({
          namespace: namespace.config.name,
          server: from.name,
          isConnected: from.isConnected,
          name,
          universe,
          id,
          from,
          config: namespace.config,
        })),
      ),
    );
  }

  /** Attaches by name, or all; one outcome each, in order. */
  async attach(names: readonly string[], readOnly: boolean, server: string | null): Promise<AttachOutcome[]> {
    const outcomes: AttachOutcome[] = [];
    if (names.length === 0) {
      const { offers } = this;
      const all = distinctVolumes(server === null ? offers : offers.filter((offer) => offer.server === server));
      for (const choice of all) outcomes.push(await this.attachOne(choice.label, () => this.unambiguous(choice, all), readOnly));
    }
    for (const name of names) outcomes.push(await this.attachOne(name, () => chooseVolume(this.offers, name, server), readOnly));
    return outcomes;
  }

  /**
   * Attaches what the configuration wants attached at start and is not; quiet about what is not there yet. `before`: another
   * configuration has just taken the place of this one; what that wanted too, a person may have detached meanwhile.
   */
  async attachWanted(before: readonly ClientNamespaceConfig[] = []): Promise<void> {
    for (const choice of distinctVolumes(this.offers)) {
      const [offer] = choice.offers;
      if (offer === undefined || this.find(choice) !== undefined || !isWanted(offer)) continue;
      const config = before.find(({ name }) => name === offer.namespace);
      if (config !== undefined && isWanted({ ...offer, config })) continue;
      if (before.length === 0 && this.detached.has(keyOf(choice))) continue;
      const outcome = await this.attachOne(choice.label, () => chooseVolume(this.offers, choice.label, null), false);
      if (outcome.error !== null)
        this.ports.log.warn(`${outcome.volume} was not attached: ${outcome.error.message} [${outcome.error.code}]`);
    }
  }

  async detach(names: readonly string[], force: boolean): Promise<AttachOutcome[]> {
    const outcomes: AttachOutcome[] = [];
    const wanted = names.length > 0 ? names : this.volumes.map(labelOf);
    for (const name of wanted) outcomes.push(await this.detachOne(name, force));
    return outcomes;
  }

  /** Labels of what is attached of a namespace, or is just being attached or detached. */
  inUse(namespace: string): string[] {
    const opening = [...this.opening.keys()].map((key) => key.slice(0, key.lastIndexOf(' ')));
    const labels = [...this.volumes.filter((volume) => volume.namespace === namespace).map(labelOf), ...opening];
    return [...new Set(labels)].filter((label) => label.startsWith(`${namespace}:`));
  }

  /** The configuration has changed: attached volumes get the policies it gives them now. */
  configurationChanged(): void {
    const names = this.ports.namespaces().map(({ config }) => config.name);
    for (const key of this.detached) if (!names.some((name) => key.startsWith(`${name}:`))) this.detached.delete(key);
    for (const volume of this.volumes) {
      const namespace = this.ports.namespaces().find(({ config }) => config.name === volume.namespace);
      const policy = namespace === undefined ? volume.stall.policy : stallOf(namespace.config, volume.name);
      if (policy !== volume.stall.policy) volume.stall.setPolicy(policy);
    }
  }

  /** Detaches everything, as far as that goes within STOP_WAIT_MS. */
  async stop(): Promise<void> {
    const { clock, log } = this.ports;
    // Detaching takes volumes out of the list.
    const all = Promise.all([...this.volumes].map((volume) => this.detachOne(labelOf(volume), true)));
    const outcomes = await new Promise<AttachOutcome[] | null>((resolve, reject) => {
      const timer = clock.after(STOP_WAIT_MS, () => resolve(null));
      all.then(resolve, reject).finally(() => timer.cancel());
    });
    if (outcomes === null) log.warn(`Not everything could be detached within ${STOP_WAIT_MS / 1000} s: it stays held by this node`);
    for (const { volume, error } of outcomes ?? []) if (error !== null) log.warn(`${volume}: ${error.message}`);
  }

  // --- told by the servers

  opened(attachment: Attachment): void {
    this.wishes.get(attachment)?.resolve();
    this.wishes.delete(attachment);
  }

  failed(attachment: Attachment, status: number, sentence: string): void {
    const wish = this.wishes.get(attachment);
    this.wishes.delete(attachment);
    if (wish !== undefined) wish.reject(new RsError(CODES[status] ?? 'E_VOLUME', sentence, { status }));
    const at = this.volumes.findIndex((volume) => volume.attachment === attachment);
    if (at >= 0) this.volumes.splice(at, 1);
  }

  private async attachOne(name: string, choose: () => Choice<ServerOffer>, readOnly: boolean): Promise<AttachOutcome> {
    let label = name;
    try {
      const choice = choose();
      label = choice.label;
      const attached = this.find(choice);
      const volume = attached ?? (await this.openOnce(choice, readOnly));
      return { volume: label, done: true, already: attached !== undefined, device: this.ports.deviceOf(volume), error: null };
    } catch (thrown) {
      return failure(label, toRsError(thrown));
    }
  }

  /** Whoever asks for a volume that is just being opened waits for the same opening. */
  private openOnce(choice: Choice<ServerOffer>, readOnly: boolean): Promise<Volume> {
    const key = keyOf(choice);
    this.detached.delete(key);
    const underWay = this.opening.get(key);
    if (underWay !== undefined) return underWay;
    const opening = this.open(choice, readOnly).finally(() => this.opening.delete(key));
    this.opening.set(key, opening);
    return opening;
  }

  private async open(choice: Choice<ServerOffer>, readOnly: boolean): Promise<Volume> {
    const offer = choice.offers.find(({ isConnected }) => isConnected);
    if (offer === undefined) {
      throw new RsError(
        'E_NO_PATH',
        `No path to server ${choice.offers[0]?.server ?? '?'}, which offers ${choice.label}: rsconfig -m status -v says why`,
      );
    }
    const override = offer.config.volumes.find((volume) => volume.name === offer.name);
    const attachment = new Attachment(offer.name, offer.universe, readOnly || override?.readonly === true);
    const { from } = offer;
    const { clock, log } = this.ports;
    await new Promise<void>((resolve, reject) => {
      const timer = clock.after(ATTACH_WAIT_MS, () => {
        this.wishes.delete(attachment);
        from.opener.close(attachment, () => undefined);
        reject(
          new RsError(
            'E_TIMEOUT',
            `Server ${from.name} did not open ${choice.label} within ${ATTACH_WAIT_MS / 1000} s: rsconfig -m status -v says what is slow`,
          ),
        );
      });
      const settle = (then: () => void): void => {
        timer.cancel();
        then();
      };
      this.wishes.set(attachment, { resolve: () => settle(resolve), reject: (error) => settle(() => reject(error)) });
      from.opener.add(attachment);
    });
    const policy = stallOf(offer.config, offer.name);
    const said = (stalled: Volume, word: StallWord): void => this.ports.stalled(stalled, word);
    const volume = new Volume(offer.namespace, attachment, from.trunk, clock, policy, said);
    this.volumes.push(volume);
    log.info(`Attached ${choice.label} of server ${from.name}: ${volume.sizeBytes} bytes${volume.readonly ? ', read-only' : ''}`);
    return volume;
  }

  private async detachOne(name: string, force: boolean): Promise<AttachOutcome> {
    let label = name;
    try {
      const choice = chooseVolume(this.volumes.map(asOffer), name, null);
      label = choice.label;
      const volume = this.find(choice);
      if (volume === undefined || this.leaving.has(volume)) return { volume: label, done: true, already: true, device: null, error: null };
      await this.close(volume, label, force);
      return { volume: label, done: true, already: false, device: null, error: null };
    } catch (thrown) {
      const error = toRsError(thrown);
      // A name that is offered but not attached: it is detached already.
      if (
        error.code === 'E_UNKNOWN_VOLUME' &&
        distinctVolumes(this.offers.filter((offer) => labelOf(offer) === name || offer.name === name)).length > 0
      ) {
        return { volume: name, done: true, already: true, device: null, error: null };
      }
      return failure(label, error);
    }
  }

  private async close(volume: Volume, label: string, force: boolean): Promise<void> {
    const users = this.ports.doors().flatMap((door) => door.usersOf(volume));
    if (users.length > 0 && !force) throw new RsError('E_IN_USE', `It is in use by ${users.join(', ')}: end that first, or use --force`);
    if (volume.trunk.paths.length === 0 && !force) {
      throw new RsError(
        'E_NO_PATH',
        'There is no path to its server, which must be told: wait for one (rsconfig -m status -v), or use --force',
      );
    }
    this.leaving.add(volume);
    const isReachable = volume.attachment.standing !== 'halted';
    try {
      if (isReachable || !force) await this.flush(volume, label);
    } catch (error) {
      if (!force) {
        this.leaving.delete(volume);
        throw error;
      }
    }
    // What is still out could run later, over what the next attachment writes.
    if (force) volume.giveUp();
    const at = this.volumes.indexOf(volume);
    if (at >= 0) this.volumes.splice(at, 1);
    this.leaving.delete(volume);
    this.detached.add(`${label} ${volume.id}`);
    await this.closeAtServer(volume, label, isReachable).catch((error: unknown) => {
      if (!force) throw error;
    });
    this.ports.log.info(`Detached ${label}`);
  }

  /** An unreachable server is told when a path is back; nobody waits for that. */
  private async closeAtServer(volume: Volume, label: string, isReachable: boolean): Promise<void> {
    const server = this.serverOf(volume);
    if (server === undefined) return;
    if (isReachable) await this.within(`close ${label}`, (done) => server.opener.close(volume.attachment, done));
    else server.opener.close(volume.attachment, () => undefined);
  }

  private async flush(volume: Volume, label: string): Promise<void> {
    await this.within(`finish the I/O of ${label}`, (done) => volume.onIdle(done));
    const status = await new Promise<Status>((resolve, reject) => {
      if (volume.readonly) {
        resolve(STATUS.OK);
        return;
      }
      const timer = this.ports.clock.after(DETACH_WAIT_MS, () =>
        reject(new RsError('E_TIMEOUT', `The server did not flush ${label} within ${DETACH_WAIT_MS / 1000} s: try again, or use --force`)),
      );
      volume.submit({
        op: 'flush',
        positionBytes: 0,
        lengthBytes: 0,
        buffer: NOTHING,
        bufferOffset: 0,
        fua: false,
        keepAllocated: false,
        done: (flushed) => {
          timer.cancel();
          resolve(flushed);
        },
      });
    });
    if (status === STATUS.OK) return;
    throw new RsError(
      'E_VOLUME',
      `The last flush failed (${statusEntry(status).sentence}): what was written since the last good one may be lost; use --force to detach all the same`,
    );
  }

  private within(what: string, begin: (done: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.ports.clock.after(DETACH_WAIT_MS, () =>
        reject(new RsError('E_TIMEOUT', `The server did not ${what} within ${DETACH_WAIT_MS / 1000} s: try again, or use --force`)),
      );
      begin(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  private serverOf(volume: Volume): Server | undefined {
    return this.ports
      .namespaces()
      .flatMap((namespace) => [...namespace.servers.values()])
      .find((server) => server.trunk === volume.trunk);
  }

  private find(choice: Choice<Offer>): Volume | undefined {
    return this.volumes.find((volume) => labelOf(volume) === choice.label && volume.id === choice.offers[0]?.id);
  }

  private unambiguous(choice: Choice<ServerOffer>, all: readonly Choice<ServerOffer>[]): Choice<ServerOffer> {
    const rivals = all.filter((other) => other.label === choice.label);
    if (rivals.length === 1) return choice;
    return chooseVolume(
      rivals.flatMap((rival) => rival.offers),
      choice.label,
      null,
    );
  }
}

function keyOf({ label, offers }: Choice<Offer>): string {
  return `${label} ${offers[0]?.id ?? ''}`;
}

function asOffer(volume: Volume): Offer {
  const { namespace, name, universe, id } = volume;
  return { namespace, name, universe, id, server: '', isConnected: true };
}

function failure(volume: string, error: RsError): AttachOutcome {
  return { volume, done: false, already: false, device: null, error: { code: error.code, message: error.message } };
}

function stallOf(config: ClientNamespaceConfig, name: string): StallPolicy {
  return config.volumes.find((volume) => volume.name === name)?.stall ?? config.stall;
}

function isWanted({ config, name }: ServerOffer): boolean {
  const override = config.volumes.find((volume) => volume.name === name)?.attach ?? null;
  if (override !== null) return override;
  return config.attach === 'all' || (config.attach !== 'none' && config.attach.includes(name));
}
