// One server as this client knows it: its trunk, what it calls itself, what it offers. It exists from the first CHALLENGE on; which of the
// configured addresses lead to it is learned there. Invariants: its list is that of the current session, or marked as old by `isListed`;
// its interfaces are the newest that it has named; what is attached is never smaller than its list said.

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '@rsio/protocol/lib/clock';
import { RsError } from '@rsio/protocol/lib/errors';
import { END_POINTS_REMEMBERED_MAX } from '@rsio/protocol/limits';
import type { Attachment } from '@rsio/protocol/trunk/attachment';
import type { LivenessTimes } from '@rsio/protocol/trunk/failover';
import { Opener } from '@rsio/protocol/trunk/opener';
import { callSession } from '@rsio/protocol/trunk/session-call';
import { Trunk } from '@rsio/protocol/trunk/trunk';
import { OP } from '@rsio/protocol/wire/frames';
import { decodeListAnswer } from '@rsio/protocol/wire/message-codec';
import type { Challenge, ListAnswer, ServerInterface, VolumeEntry } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { endPointKey } from './route-plan.ts';

export interface ServerEvents {
  sessionBegan(server: Server, again: boolean): void;
  opened(server: Server, attachment: Attachment, again: boolean, newLife: boolean): void;
  openFailed(server: Server, attachment: Attachment, status: number, sentence: string): void;
  openWaits(server: Server, attachment: Attachment, sentence: string): void;
  /** An attached volume is larger than its `fromBytes`. */
  grown(server: Server, attachment: Attachment, fromBytes: number): void;
}

export interface ServerPorts extends ServerEvents {
  /** It has named other interfaces than before. */
  interfacesChanged(server: Server): void;
}

/** Adds a key; past END_POINTS_REMEMBERED_MAX that which was added longest ago is forgotten. */
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
  /** Its list has been read in this session. */
  isListed = false;
  /** Those that it has named last. */
  interfaces: readonly ServerInterface[] = [];
  /** End points that it has ever named, as far as they are remembered. */
  readonly named = new Set<string>();
  /** End points at which it has proved itself. */
  readonly metAt = new Set<string>();
  readonly trunk: Trunk;
  readonly opener: Opener;
  private readonly clock: Clock;
  private readonly ports: ServerPorts;
  /** Of its list in this session: the newest heard of, and that of `interfaces`. */
  private newestGeneration = 0;
  private interfacesGeneration = 0;
  private listAsked = false;
  private listWaiters: (() => void)[] = [];

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
        this.askList();
        this.opener.openAll();
        ports.sessionBegan(this, again);
      },
      listChanged: (generation) => {
        this.newestGeneration = Math.max(this.newestGeneration, generation);
        this.askList();
      },
      interfacesTold: (interfaces, generation) => this.takeInterfaces(interfaces, generation),
    });
    this.opener = new Opener(this.trunk, clock, {
      opened: (attachment, again, newLife) => {
        ports.opened(this, attachment, again, newLife);
        this.growAttached();
      },
      failed: (attachment, status, sentence) => ports.openFailed(this, attachment, status, sentence),
      waits: (attachment, sentence) => ports.openWaits(this, attachment, sentence),
    });
  }

  get isConnected(): boolean {
    return this.trunk.paths.length > 0;
  }

  /** A connection presents itself as this server, which is not proved yet. Throws when another one seems to use the same id. */
  meet({ server, instance }: Challenge): void {
    const { session, paths, isHeard } = this.trunk;
    if (session === null || session.serverInstance === instance) return;
    if (server !== this.name && paths.length > 0) {
      throw new RsError(
        'E_PROTOCOL',
        `Servers ${this.name} and ${server} both claim serverid ${this.serverid}: give each its own in rssrvcfg`,
      );
    }
    // One that was started anew has ended its old process, and so the old paths.
    if (isHeard) {
      throw new RsError(
        'E_PROTOCOL',
        `Server ${server} (serverid ${this.serverid}) answers here as another process than on its paths that live: if it stays so, two servers have this serverid, give each its own in rssrvcfg`,
      );
    }
  }

  /** It has proved itself at an end point, under this name. */
  proved(name: string, endPoint: string): void {
    this.name = name;
    remember(this.metAt, endPoint);
  }

  /** Reads the list anew; resolves when it is there, or after `waitMs`. */
  refresh(waitMs: number): Promise<void> {
    if (!this.isConnected) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.clock.after(waitMs, resolve);
      this.listWaiters.push(() => {
        timer.cancel();
        resolve();
      });
      this.askList();
    });
  }

  private askList(): void {
    if (this.listAsked) return;
    this.listAsked = true;
    const generation = this.newestGeneration;
    callSession(this.trunk, { op: OP.LIST, attachment: null }, ({ status, bodies }) => {
      this.listAsked = false;
      if (status === STATUS.OK) this.takeList(bodies.map((body) => decodeListAnswer(body, 0, body.length)));
      for (const waiter of this.listWaiters.splice(0)) waiter();
      // It changed again while the question was on its way.
      if (this.newestGeneration > generation) this.askList();
    });
  }

  private takeList(parts: readonly ListAnswer[]): void {
    this.volumes = parts.flatMap(({ volumes }) => volumes);
    this.isListed = true;
    this.growAttached();
    const [first] = parts;
    if (first !== undefined) this.takeInterfaces(first.interfaces, first.generation);
  }

  /** What is attached is as large as the list says: an answer to OPEN may be older than a list that came over another path. */
  private growAttached(): void {
    if (!this.isListed) return;
    for (const attachment of this.trunk.attachments) {
      const { volume } = attachment;
      const listed = this.volumes.find(({ id }) => id === volume?.id);
      if (volume !== null && listed !== undefined && attachment.grow(listed.sizeBytes))
        this.ports.grown(this, attachment, volume.sizeBytes);
    }
  }

  /** An older list, which came over a slower path, changes nothing; nor does one without interfaces: it has at least that of the path. */
  private takeInterfaces(interfaces: readonly ServerInterface[], generation: number): void {
    if (interfaces.length === 0 || generation < this.interfacesGeneration) return;
    this.interfacesGeneration = generation;
    const isSame = isDeepStrictEqual(interfaces, this.interfaces);
    this.interfaces = interfaces;
    for (const { address, port } of interfaces) remember(this.named, endPointKey(address, port));
    if (!isSame) this.ports.interfacesChanged(this);
  }
}
