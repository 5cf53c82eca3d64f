// The server under test, as cases use it: unproven connections, the shared session of the first node, sessions of other nodes, and the only
// volume that cases write to. In the shared session, each case has its own path and its own slots. The cases make the assertions.
// Invariants: the handles and connections of a case are closed after the case. The first sectors of the volume contain MARK unless a case
// has destroyed them.

import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { SLOTS } from '@rsio/protocol/wire/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { Farewell, Ping, type Hello, type OpenAnswer } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { type RawAddress, RawClient, type RawIdentity } from '../../support/peers/raw-peer.ts';
import type { Need } from './case.ts';
import { equals, holds, sameBytes } from './check.ts';

export interface TargetOptions {
  readonly address: string;
  readonly port: number;
  readonly namespaceid: number;
  readonly serverkey: string | null;
  /** Key with which the client signs discovery. Null: the key is not known, and discovery is not signed. */
  readonly namespacekey: string | null;
  /** The nodes that may log in. Most cases use only the first node. */
  readonly nodes: readonly { readonly node: string; readonly nodekey: string }[];
  readonly volumes: {
    /** Volume that cases write to, of at least VOLUME_MIN_SECTORS sectors. */
    readonly plain: string;
    /** Volume that no client may write to. */
    readonly constant: string | null;
    readonly blocks: string | null;
    /** Volume that the first node may not open. */
    readonly foreign: string | null;
    readonly shared: string | null;
    /** Volume of a pool that no client holds. The cases destroy the content of this volume. */
    readonly replica: string | null;
  };
  /** Whether a client may found records of mirrors at the server. */
  readonly isWitness: boolean;
  /**
   * Only for a server that the test has started. `reload` changes the server's list of interfaces. `restart` restarts the server, and
   * resolves with the time in ms that the old server took to end.
   */
  readonly control: { reload(): Promise<void>; restart(): Promise<number> } | null;
}

/** Number of sectors of an I/O. I/O of this size is aligned for both block sizes. */
export const BLOCK = 8;
export const MARK_SECTORS = 64;
/** First sector of the region in which cases may write anything. */
export const SCRATCH = 2048;
export const VOLUME_MIN_SECTORS = 4 * 2048;
/** Once the shared session has used this many slots, a new session replaces it. The remaining slots suffice for the largest case. */
const SLOTS_USED_MAX = SLOTS - 48;
const GOODBYE_MS = 50;
const KEEP_ALIVE_MS = 1_000;
const HEARTBEATS: ReadonlySet<number> = new Set([OP.PING, OP.PONG, OP.NOTIFY]);

export function filled(sectors: number, byte: number): Buffer {
  return Buffer.alloc(sectors * SECTOR_BYTES, byte);
}

/** Sends heartbeats as clients do, because a server closes a silent path and a case may take a long time. */
function keepAlive(path: RawClient): void {
  let number = 0;
  const ping = (): void => {
    number++;
    path.request({ op: OP.PING, body: Ping.encode({ number, clockMs: 0, heard: 0, oldestMs: 0, generation: 0 }) });
  };
  const timer = setInterval(ping, KEEP_ALIVE_MS);
  path.socket.once('close', () => clearInterval(timer));
}

interface Shared {
  readonly first: RawClient;
  nextSlot: number;
  plain: OpenAnswer | null;
}

export class Target {
  readonly options: TargetOptions;
  /** Instance number of each node. The instance number grows with every run, as the number of a client grows with every start. */
  private readonly instances: number[];
  private readonly isLoopback: boolean;
  private readonly origin = `127.${randomInt(1, 60)}`;
  private shared: Shared | null = null;
  private readonly opened = new Set<RawClient>();
  private unprovenCount = 0;

  constructor(options: TargetOptions) {
    this.options = options;
    this.instances = options.nodes.map(() => Date.now());
    this.isLoopback = options.address.startsWith('127.');
  }

  has(need: Need): boolean {
    const { nodes, namespacekey, volumes, control } = this.options;
    switch (need) {
      case 'second node':
        return nodes.length > 1;
      case 'third node':
        return nodes.length > 2;
      case 'addresses':
        return this.isLoopback;
      case 'namespacekey':
        return namespacekey !== null;
      case 'read-only volume':
        return volumes.constant !== null;
      case '4096-byte volume':
        return volumes.blocks !== null;
      case 'foreign volume':
        return volumes.foreign !== null;
      case 'shared volume':
        return volumes.shared !== null;
      case 'replica volume':
        return volumes.replica !== null;
      case 'witness':
        return this.options.isWitness;
      case 'control':
        return control !== null;
    }
  }

  /**
   * Returns the addresses for an unproven connection. On loopback, each connection gets its own source address. Because the server
   * counts failures by address, the failures of one case then affect no other case.
   */
  place(): RawAddress {
    const { address, port } = this.options;
    if (!this.isLoopback) return { address, port };
    const number = this.unprovenCount++;
    return { address, port, from: `${this.origin}.${1 + Math.floor(number / 250)}.${1 + (number % 250)}` };
  }

  identity(index = 0, hello: Partial<Hello> = {}): RawIdentity {
    const { nodes, namespaceid, serverkey } = this.options;
    const node = nodes[index];
    holds(node !== undefined, `The suite was given no node ${index + 1}`);
    const instance = this.instances[index] ?? 0;
    return { ...node, namespaceid, serverkey, hello: { instance, machine: `conformance-${node.node}`, ...hello } };
  }

  /** Gives the node at `index` the next instance number. The server regards the new number as a restart of the node. */
  newInstance(index: number): void {
    this.instances[index] = (this.instances[index] ?? 0) + 1;
  }

  /** Opens a connection that has sent nothing yet. */
  async connectUnproven(identity: RawIdentity = this.identity(), place: RawAddress = this.place()): Promise<RawClient> {
    return this.keep(await RawClient.connect(place, identity));
  }

  /** Begins a separate session of a node other than the first. */
  async login(index: number): Promise<RawClient> {
    return this.keep(await RawClient.begin(this.place(), this.identity(index)));
  }

  /** Adds a path to a session; `dead`: paths that the client reports as dead. */
  async join(session: RawClient, dead: readonly number[] = []): Promise<RawClient> {
    return this.keep(await RawClient.login(this.place(), session.identity, session, dead));
  }

  /** Adds a path to the shared session for this case, with its own slot. */
  async path(): Promise<RawClient> {
    const path = await this.join((await this.session()).first);
    path.homeSlot = this.slot();
    return path;
  }

  /** The first path of the shared session. A case must not lose this path. */
  async first(): Promise<RawClient> {
    return (await this.session()).first;
  }

  /** A slot that no request of the session has used. */
  slot(): number {
    holds(this.shared !== null, 'There is no session to take a slot of');
    return this.shared.nextSlot++;
  }

  /** Opens the volume for writing in the shared session, unless it is already open. */
  async plain(): Promise<OpenAnswer> {
    const session = await this.session();
    if (session.plain === null) {
      const answer = await session.first.open(this.options.volumes.plain);
      holds(answer.sizeBytes >= VOLUME_MIN_SECTORS * SECTOR_BYTES, `The volume has ${answer.sizeBytes} bytes: give a larger one`);
      const { handle } = answer;
      const wrote = await session.first.call({ op: OP.WRITE, handle, count: MARK_SECTORS, body: filled(MARK_SECTORS, 1) });
      equals('The status of the first WRITE', wrote.handle, STATUS.OK);
      session.plain = answer;
    }
    return session.plain;
  }

  async handle(): Promise<number> {
    return (await this.plain()).handle;
  }

  /** Size of the volume in sectors. */
  async end(): Promise<number> {
    return (await this.plain()).sizeBytes / SECTOR_BYTES;
  }

  /** Closes the volume, so that its hold ends. The next case that needs the volume opens it again. */
  async release(): Promise<void> {
    // Opens the volume first if it is not open. An earlier session may have left a hold of the volume, and only a CLOSE ends this hold.
    const { handle } = await this.plain();
    const session = await this.session();
    session.plain = null;
    const answer = await session.first.call({ op: OP.CLOSE, handle });
    equals('The status of CLOSE', answer.handle, STATUS.OK);
  }

  /** A case must call this if it has ended the shared session or is about to end it. */
  leave(): void {
    this.shared = null;
  }

  /** Expects that the shared session is unharmed: its first path is up and receives only heartbeats, and the volume still has MARK. */
  async unharmed(): Promise<void> {
    if (this.shared === null) return;
    const { first, plain } = this.shared;
    holds(first.ending === null, `The first path of the session was ${first.ending ?? ''}`);
    if (plain === null) await first.call({ op: OP.LIST });
    else {
      const read = await first.call({ op: OP.READ, handle: plain.handle, count: MARK_SECTORS });
      sameBytes(`The mark in sectors 0 + ${MARK_SECTORS}`, read.body, filled(MARK_SECTORS, 1));
    }
    const left = first.frames.filter(({ op }) => !HEARTBEATS.has(op)).length;
    equals('Frames on the first path that nobody asked for', left, 0);
  }

  /** Called after each case: closes the connections of the case, and replaces the shared session if it has too few unused slots left. */
  tidy(): void {
    for (const client of this.opened) client.close();
    this.opened.clear();
    if (this.shared !== null && this.shared.nextSlot > SLOTS_USED_MAX) {
      this.shared.first.close();
      this.leave();
    }
  }

  /**
   * Called after a failed case. The next case then starts a new shared session. If the failed case has left a hold of the second node, ends
   * this hold.
   */
  async abandon(): Promise<void> {
    this.shared?.first.close();
    this.leave();
    if (!this.has('second node')) return;
    try {
      const other = await this.login(1);
      const { handle } = await other.open(this.options.volumes.plain, true);
      await other.call({ op: OP.CLOSE, handle });
    } catch {
      // Ignores the error: either the node holds nothing, or the server cannot be reached. If the server cannot be reached, the next case
      // fails.
    } finally {
      this.tidy();
    }
  }

  /** Called after the last case: zeroes the written sectors, closes all handles and sends BYE. */
  async finish(): Promise<void> {
    this.tidy();
    const { handle, sizeBytes } = await this.plain();
    const { first } = await this.session();
    const zero = { op: OP.ZERO, handle, count: SCRATCH };
    for (let lba = 0; lba < VOLUME_MIN_SECTORS; lba += SCRATCH) await first.call({ ...zero, lba });
    await first.call({ ...zero, lba: sizeBytes / SECTOR_BYTES - BLOCK, count: BLOCK });
    await this.release();
    first.request({ op: OP.BYE, body: Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'The conformance suite ends' }) });
    await Promise.race([first.ended(), sleep(GOODBYE_MS)]);
    first.close();
    this.leave();
  }

  keep(client: RawClient): RawClient {
    this.opened.add(client);
    return client;
  }

  private async session(): Promise<Shared> {
    if (this.shared !== null) return this.shared;
    const first = await RawClient.begin({ address: this.options.address, port: this.options.port }, this.identity());
    keepAlive(first);
    this.shared = { first, nextSlot: 1, plain: null };
    return this.shared;
  }
}
