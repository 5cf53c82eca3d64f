// One server as this client knows it: its trunk, name, volumes and interfaces. The object is created when a CHALLENGE first names the
// server. Invariant: An attached volume is never smaller than its size in the list.

import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { endPointKey } from '@rsio/base/lib/subnet';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import { LIST_WAIT_MS } from '@rsio/common/control/limits';
import { END_POINTS_REMEMBERED_MAX, LIST_WAITERS_MAX, VOLUME_LISTED_WAIT_MS, VOLUME_WAITERS_MAX } from './limits.ts';
import type { Attachment } from '@rsio/protocol/client/attachment';
import type { LivenessTimes } from '@rsio/protocol/client/paths/path-verdict';
import { Opener } from '@rsio/protocol/client/opener';
import { AdminCalls } from '@rsio/protocol/client/admin-calls';
import { RecordCalls } from '@rsio/protocol/client/record-calls';
import { callSession } from '@rsio/protocol/client/session-call';
import { Trunk } from '@rsio/protocol/client/trunk';
import { OP } from '@rsio/protocol/wire/frames';
import { type Challenge, ListAnswer, OpenAnswer, OpenRequest, type ServerInterface, type VolumeEntry } from '@rsio/protocol/wire/messages';
import { HOLDERS_NAMED_MAX } from '@rsio/protocol/wire/limits';
import { STATUS } from '@rsio/protocol/wire/status';

export interface ServerEvents {
  sessionBegan(server: Server, again: boolean): void;
  opened(server: Server, attachment: Attachment, again: boolean, newLife: boolean): void;
  openFailed(server: Server, attachment: Attachment, status: number, sentence: string): void;
  openWaits(server: Server, attachment: Attachment, sentence: string): void;
  /** Called when the server's list has arrived. */
  listed(server: Server): void;
  /** Called when an attached volume has grown from `fromBytes` to its current size. */
  grown(server: Server, attachment: Attachment, fromBytes: number): void;
}

export interface ServerPorts extends ServerEvents {
  readonly namespace: string;
  /** Returns the node name of this client at the server. */
  nodename(): string;
  /** Called when no path to the server receives data although requests are in flight. */
  allQuiet(server: Server): void;
  /** Called when the interfaces that the server reports have changed. */
  interfacesChanged(server: Server): void;
}

/** A hold id that no server ever grants. */
const NO_HOLD = 'none';

/** Adds a key, and removes the oldest keys beyond END_POINTS_REMEMBERED_MAX. */
export function remember(keys: Set<string>, key: string): void {
  keys.delete(key);
  keys.add(key);
  for (const oldest of keys) {
    if (keys.size <= END_POINTS_REMEMBERED_MAX) return;
    keys.delete(oldest);
  }
}

export class Server {
  readonly serverid: number;
  name: string;
  volumes: readonly VolumeEntry[] = [];
  private listedById: ReadonlyMap<string, VolumeEntry> = new Map();
  /** True if the client has received the server's list in this session. */
  isListed = false;
  interfaces: readonly ServerInterface[] = [];
  /** Keys of end points that the server has ever reported, at most END_POINTS_REMEMBERED_MAX. */
  readonly named = new Set<string>();
  /** Keys of end points at which the server has proved its identity, at most END_POINTS_REMEMBERED_MAX. */
  readonly metAt = new Set<string>();
  /** Changes whenever `named`, `metAt` or `isProved` may have changed. */
  endPointsRevision = 0;
  /** True once the server has proved its identity and therefore its name. */
  isProved = false;
  /** Text with the reason why this client must not connect to the server again; null if it may. */
  replaced: string | null = null;
  readonly trunk: Trunk;
  readonly opener: Opener;
  private readonly admin: AdminCalls;
  private readonly records: RecordCalls;
  private readonly clock: Clock;
  private readonly ports: ServerPorts;
  /** Newest generation of the list announced in this session. */
  private newestGeneration = 0;
  /** Generation of the list from which `interfaces` was taken. */
  private interfacesGeneration = 0;
  /** How often the server has proved its identity, on any path. */
  private proofCount = 0;
  private isListRequested = false;
  /**
   * Attachments whose first OPEN was in flight when a list arrived. The client verifies the handles of these attachments after the answer
   * to OPEN, because the list may be newer than the answer.
   */
  private readonly openedOver = new WeakSet<Attachment>();
  private readonly listWaiters = new Set<() => void>();
  private readonly volumeWaiters = new Set<() => void>();

  constructor(challenge: Challenge, times: LivenessTimes, clock: Clock, ports: ServerPorts) {
    this.serverid = challenge.serverid;
    this.name = challenge.server;
    this.clock = clock;
    this.ports = ports;
    this.trunk = new Trunk(clock, times, {
      sessionBegan: (again) => {
        this.isListed = false;
        this.newestGeneration = 0;
        this.interfacesGeneration = 0;
        this.requestList();
        this.opener.openAll();
        this.admin.sessionBegan();
        ports.sessionBegan(this, again);
      },
      listChanged: (generation) => {
        this.newestGeneration = Math.max(this.newestGeneration, generation);
        this.requestList();
      },
      allQuiet: () => ports.allQuiet(this),
      interfacesReported: (interfaces, generation) => this.takeInterfaces(interfaces, generation),
      replaced: (sentence) => this.replace(sentence),
      ended: (status, reason) => this.opener.end(status, reason),
    });
    this.admin = new AdminCalls(this.trunk, clock, randomUUID);
    this.records = new RecordCalls(clock, (aux, body, answered) =>
      callSession(this.trunk, { op: OP.IOCTL, attachment: null, aux, body }, answered),
    );
    this.opener = new Opener(this.trunk, clock, {
      opened: (attachment, again, newLife) => {
        ports.opened(this, attachment, again, newLife);
        if (this.isListed) this.takeListed(attachment);
        if (this.openedOver.delete(attachment) && this.isListed) this.verify(attachment);
      },
      grown: (attachment, fromBytes) => ports.grown(this, attachment, fromBytes),
      failed: (attachment, status, sentence) => ports.openFailed(this, attachment, status, sentence),
      waits: (attachment, sentence) => ports.openWaits(this, attachment, sentence),
    });
  }

  get namespace(): string {
    return this.ports.namespace;
  }

  /** Grows whenever the server connects, however briefly. */
  get proofs(): number {
    return this.proofCount;
  }

  get isConnected(): boolean {
    return this.trunk.paths.length > 0;
  }

  /**
   * Called when a connection to the server has failed. An error whose sender is unproven is ignored (R5), because some errors would end all
   * I/O permanently.
   */
  connectionFailed(error: RsError): void {
    if (error.context['proved'] !== true) return;
    if (error.code === 'E_REPLACED') this.replace(error.message);
    // E_DRAINING means that the server is up, but a storage call or the previous session has not ended yet.
    if (error.code === 'E_DRAINING') for (const { events: watcher } of this.trunk.attachments) watcher?.serverIsSlow(error.message);
  }

  /**
   * Called when another instance of this node has replaced this client at the server, so that all I/O fails and this client no longer
   * connects to the server.
   */
  replace(sentence: string): void {
    if (this.replaced !== null) return;
    this.replaced = `Server ${this.name} serves another rsiod instead of this one (${sentence}): if this machine must have the volumes, stop rsiod there and restart it here`;
    this.opener.failAll(STATUS.TAKEN, this.replaced);
  }

  /**
   * Called when a peer at `address` that is still unproven claims to be this server. Throws if another server seems to use the same serverid.
   * A server that was renamed is at an address of the earlier one. A copy under another name at another address may have older content.
   */
  meet({ server, instance }: Challenge, address: string): void {
    if (this.replaced !== null) throw new RsError('E_REPLACED', this.replaced);
    const { session, paths, isHeard, attachments } = this.trunk;
    if (session?.serverInstance === instance) return;
    if (server !== this.name && paths.length > 0) {
      throw new RsError(
        'E_PROTOCOL',
        `Servers ${this.name} and ${server} both claim serverid ${this.serverid}: give each its own in rssrvcfg`,
      );
    }
    const isHere = [...this.metAt, ...this.named].some((key) => key.startsWith(endPointKey(address, 0).slice(0, -1)));
    if (server !== this.name && !isHere && attachments.length > 0) {
      throw new RsError(
        'E_PROTOCOL',
        `Server ${server} at ${address} has the serverid ${this.serverid} of server ${this.name}, of which volumes are attached here: this may be a copy with older content. Stop the copy; if ${this.name} was renamed and moved there, detach its volumes first (rsconfig -d --force)`,
      );
    }
    if (session === null) return;
    // After a restart of the server, no old path receives data. An old path that receives data therefore suggests a second server with the
    // same serverid.
    if (isHeard) {
      throw new RsError(
        'E_PROTOCOL',
        `Server ${server} (serverid ${this.serverid}) answers here as another process than on its other paths: if this persists, two servers have this serverid, so give each its own in rssrvcfg`,
      );
    }
  }

  /** Called when the server has proved its identity and its name at an end point. `known`: end points at which an earlier process found it. */
  proved(name: string, endPoint: string, known: readonly string[]): void {
    this.name = name;
    this.proofCount++;
    if (!this.isProved || !this.metAt.has(endPoint)) this.endPointsRevision++;
    this.isProved = true;
    for (const key of known) remember(this.named, key);
    remember(this.metAt, endPoint);
  }

  /**
   * Requests the list. Resolves when the list has arrived, or after `waitMs`. If more than LIST_WAITERS_MAX callers are waiting, the oldest
   * caller's promise resolves early.
   */
  refresh(waitMs: number): Promise<void> {
    if (!this.isConnected) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        this.listWaiters.delete(finish);
        timer.cancel();
        resolve();
      };
      const timer = this.clock.after(waitMs, finish);
      this.listWaiters.add(finish);
      const [oldest] = this.listWaiters;
      if (this.listWaiters.size > LIST_WAITERS_MAX) oldest?.();
      this.requestList();
    });
  }

  /**
   * Resolves with true as soon as the list contains the volume, or with false after VOLUME_LISTED_WAIT_MS. The client need not poll,
   * because the server announces each change of its list. Throws E_LIMIT if too many requests wait.
   */
  async whenListed(id: string): Promise<boolean> {
    if (this.isListed && this.listedById.has(id)) return true;
    if (this.volumeWaiters.size >= VOLUME_WAITERS_MAX)
      throw new RsError('E_LIMIT', `${VOLUME_WAITERS_MAX} requests wait for new volumes of server ${this.name}: try again later`);
    return new Promise((resolve) => {
      const finish = (isListed: boolean): void => {
        this.volumeWaiters.delete(look);
        timer.cancel();
        resolve(isListed);
      };
      const look = (): void => {
        if (this.listedById.has(id)) finish(true);
      };
      const timer = this.clock.after(VOLUME_LISTED_WAIT_MS, () => finish(false));
      this.volumeWaiters.add(look);
      // A disconnected server sends its list when it is connected again.
      if (this.isConnected) this.requestList();
    });
  }

  /**
   * Asks the server why a volume is missing from its list. Resolves with null if the server gives no reason or does not answer in time. The
   * request is an OPEN that resumes a hold that does not exist (NO_HOLD). If a server of an earlier release grants this OPEN of a shared
   * volume, the client closes the handle at once.
   */
  whyMissing(name: string, universe: number): Promise<string | null> {
    if (!this.isConnected) return Promise.resolve(null);
    return new Promise((resolve) => {
      const timer = this.clock.after(LIST_WAIT_MS, () => resolve(null));
      const body = OpenRequest.encode({ name, universe, readonly: true, resume: NO_HOLD });
      callSession(this.trunk, { op: OP.OPEN, attachment: null, body }, ({ status, bodies, sentence }) => {
        timer.cancel();
        resolve(status === STATUS.VOLUME_UNAVAILABLE || status === STATUS.MOVED ? sentence : null);
        const [answer] = bodies;
        if (status !== STATUS.OK || answer === undefined) return;
        const { handle } = OpenAnswer.decode(answer, 0, answer.length);
        callSession(this.trunk, { op: OP.CLOSE, attachment: null, handle }, () => undefined);
      });
    });
  }

  /** Calls a method of the server's control interface with the rights of this client; see AdminCalls. */
  callAdmin(method: string, params: object, limitMs: number): Promise<unknown> {
    return this.admin.callAdmin(method, params, limitMs);
  }

  /**
   * Resolves with the gate record of a volume that this client may use, attached or not, or with null if the volume has none. Rejects with
   * E_UNREACHABLE if the server is not connected, and otherwise like RecordCalls.
   */
  readRecord(volumeId: string): Promise<Buffer | null> {
    if (this.isConnected) return this.records.read(volumeId);
    return Promise.reject(new RsError('E_UNREACHABLE', `Server ${this.name} is not connected: try again later`));
  }

  /** Asks the server, for each node, how long it has had no path from this node. Rejects like readRecord. */
  nodesSeen(id: string, nodes: readonly string[]): Promise<readonly (number | null)[]> {
    if (this.isConnected) return this.records.nodesSeen(id, nodes);
    return Promise.reject(new RsError('E_UNREACHABLE', `Server ${this.name} is not connected: try again later`));
  }

  private requestList(): void {
    if (this.isListRequested) return;
    this.isListRequested = true;
    const generation = this.newestGeneration;
    callSession(this.trunk, { op: OP.LIST, attachment: null }, ({ status, bodies }) => {
      this.isListRequested = false;
      try {
        // If the answer cannot be decoded, the exception closes the path that carried the answer, and the client keeps its current list.
        if (status === STATUS.OK) this.takeList(bodies.map((body) => ListAnswer.decode(body, 0, body.length)));
      } finally {
        for (const waiter of [...this.listWaiters]) waiter();
        // The list has changed while the request was in transit.
        if (this.newestGeneration > generation) this.requestList();
      }
    });
  }

  private takeList(parts: readonly ListAnswer[]): void {
    this.volumes = parts.flatMap(({ volumes }) => volumes);
    // If several volumes in the list have the same id, the map contains the first of them.
    this.listedById = new Map(this.volumes.toReversed().map((volume) => [volume.id, volume]));
    this.isListed = true;
    for (const look of [...this.volumeWaiters]) look();
    for (const attachment of this.trunk.attachments) this.takeListed(attachment);
    this.verifyAttached();
    const [first] = parts;
    if (first !== undefined) this.takeInterfaces(first.interfaces, first.generation);
    this.ports.listed(this);
  }

  /**
   * Takes what the list says about an attached volume. The volume grows to its size in the list, because the list may be newer than the
   * answer to OPEN.
   */
  private takeListed(attachment: Attachment): void {
    const { volume } = attachment;
    const listed = this.listedById.get(volume?.id ?? '');
    if (volume !== null && listed !== undefined && attachment.grow(listed.sizeBytes)) this.ports.grown(this, attachment, volume.sizeBytes);
    attachment.waitsForSpace = listed?.waitsForSpace === true;
    const text = listed?.heldBy ?? null;
    const sinceMs = attachment.heldBy?.sinceMs ?? this.clock.monotonicMs();
    attachment.heldBy = text === null ? null : { text, sinceMs };
  }

  /**
   * Verifies handles that may have been revoked, because a client without I/O would not notice the revocation. A handle is verified if the
   * list does not name this client as a holder of the volume, or lacks the volume. Lists never have snapshots. A handle is also verified if the replay log contains writes, because the
   * storage may have lost these writes. If the first OPEN of a volume is in flight, its handle is verified after the answer, because the
   * answer may be older than the list. When the client reopens a volume, SETTLED verifies the new handle.
   */
  private verifyAttached(): void {
    for (const attachment of this.trunk.attachments) {
      if (attachment.volume === null && attachment.isOpenRequested) this.openedOver.add(attachment);
      else this.verify(attachment);
    }
  }

  private verify(attachment: Attachment): void {
    const listed = attachment.volume === null ? undefined : this.listedById.get(attachment.volume.id);
    const isHeld = listed === undefined ? attachment.volume === null || isSnapshot(attachment.name) : this.isHolder(listed);
    if (!isHeld || attachment.log?.isEmpty === false) this.opener.verify(attachment);
  }

  /** Returns true if this client holds the volume according to the list. A list names only the first holders of a shared volume. */
  private isHolder({ shared, holders }: VolumeEntry): boolean {
    const isCut = shared && holders.length >= HOLDERS_NAMED_MAX;
    return isCut || holders.some(({ node }) => node === this.ports.nodename());
  }

  /**
   * Stores the interfaces that the server reports. Ignores a report that is older than the stored one; an older report can arrive later
   * over a slower path. Also ignores an empty report, because a valid report contains at least the interface of the path.
   */
  private takeInterfaces(interfaces: readonly ServerInterface[], generation: number): void {
    if (interfaces.length === 0 || generation < this.interfacesGeneration) return;
    this.interfacesGeneration = generation;
    const isSame = isDeepStrictEqual(interfaces, this.interfaces);
    this.interfaces = interfaces;
    for (const { address, port } of interfaces) {
      const key = endPointKey(address, port);
      if (!this.named.has(key)) this.endPointsRevision++;
      remember(this.named, key);
    }
    if (!isSame) this.ports.interfacesChanged(this);
  }
}
