// Hostile peers against a server's port: they make a fixed number of connections per second from many addresses, each with one kind of
// misbehaviour, and send datagrams. The callers judge the effects. Invariant: the peers hold a bounded number of connections, and none
// after `stop`.

import { randomBytes, randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import { ClientHandshake } from '@rsio/protocol/auth/handshake-client';
import { encodeDiscover } from '@rsio/protocol/explorer/discovery-datagram';
import { DISCOVERY_REQUEST_BYTES } from '@rsio/protocol/explorer/limits';
import { FEATURE } from '@rsio/protocol/wire/features';
import { type RawAddress, RawClient } from '../../support/peers/raw-peer.ts';
import { waitFor } from '../../support/programs/wait-for.ts';

export interface HostileTarget {
  readonly server: RawAddress;
  readonly namespaceid: number;
  /** Addresses of 127/8 from which the peers connect. */
  readonly from: readonly string[];
  /** A node that may log in. Peers that prove themselves use the key of this node. */
  readonly node: string;
  readonly nodekey: string;
}

/** Numbers of peers, by their results. */
export interface HostileCounts {
  connections: number;
  datagrams: number;
  failed: number;
  readonly byKind: Record<string, number>;
  /**
   * `challenged`: number of peers that got a CHALLENGE in a whole handshake. `welcomed`: number of peers with the right key that got a
   * WELCOME.
   */
  challenged: number;
  welcomed: number;
  /** Longest time in ms until the kernel reported a connection as established. */
  slowestConnectMs: number;
}

const TICK_MS = 20;
const MS_PER_SECOND = 1000;
const LOGIN_MS = 5000;
/**
 * GUESSERS: number of addresses for wrong proofs; the server soon refuses these addresses at once. INSIDERS: number of addresses for peers
 * with the right key. No other peers use these addresses, so that the handshakes of the insiders succeed.
 */
const GUESSERS = 4;
const INSIDERS = 4;
/** The peers hold at most this many connections open. When this number is reached, a further peer closes its connection at once. */
const HELD_MAX = 600;
const DATAGRAMS_PER_CONNECTION = 1;

type Kind = 'look-in' | 'silence' | 'garbage' | 'half-hello' | 'hello-storm' | 'wrong-proof' | 'proven-garbage' | 'probe-held';

/** Kinds of misbehaviour, each with its number per hundred connections. */
const SHARES: readonly (readonly [Kind, number])[] = [
  ['look-in', 35],
  ['silence', 10],
  ['garbage', 17],
  ['half-hello', 12],
  ['hello-storm', 12],
  ['wrong-proof', 10],
  ['proven-garbage', 2],
  ['probe-held', 2],
];
const KINDS = SHARES.flatMap(([kind, share]) => Array.from({ length: share }, () => kind));

export class HostilePeers {
  readonly counts: HostileCounts = { connections: 0, datagrams: 0, failed: 0, byKind: {}, challenged: 0, welcomed: 0, slowestConnectMs: 0 };
  private readonly target: HostileTarget;
  private readonly sockets = new Set<net.Socket>();
  private readonly udp: dgram.Socket[] = [];
  private timer: NodeJS.Timeout | null = null;
  /** Number of new connections per second. The number may change while the peers run. */
  perSecond = 0;
  private owed = 0;
  private lastMs = 0;
  /** Client whose session the peers with the right key join. */
  private insider: RawClient | null = null;

  constructor(target: HostileTarget) {
    this.target = target;
  }

  get held(): number {
    return this.sockets.size;
  }

  async start(perSecond: number): Promise<void> {
    const { from, node, nodekey, namespaceid } = this.target;
    // The login is repeated, because an earlier attack may still hold all places for unproven connections.
    this.insider = await waitFor(
      () => RawClient.login(this.target.server, { node, nodekey, namespaceid }),
      LOGIN_MS,
      'The insider is let in',
    );
    for (const address of from.slice(0, 4)) {
      const socket = dgram.createSocket('udp4');
      socket.on('error', () => undefined);
      await new Promise<void>((resolve) => socket.bind({ address }, resolve));
      this.udp.push(socket);
    }
    this.lastMs = performance.now();
    this.perSecond = perSecond;
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** Stops the attack. Resolves when the peers have closed all connections. */
  async stop(): Promise<HostileCounts> {
    if (this.timer !== null) clearInterval(this.timer);
    this.insider?.close();
    for (const socket of this.sockets) socket.resetAndDestroy();
    await Promise.all(this.udp.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
    return this.counts;
  }

  private tick(): void {
    const { perSecond } = this;
    const nowMs = performance.now();
    this.owed = Math.min(perSecond, this.owed + ((nowMs - this.lastMs) / MS_PER_SECOND) * perSecond);
    this.lastMs = nowMs;
    for (; this.owed >= 1; this.owed--) {
      this.connect(KINDS[randomInt(KINDS.length)]!);
      for (let datagram = 0; datagram < DATAGRAMS_PER_CONNECTION; datagram++) this.explore();
    }
  }

  private connect(wanted: Kind): void {
    const { server } = this.target;
    const kind = this.sockets.size >= HELD_MAX ? 'look-in' : wanted;
    this.counts.connections++;
    this.counts.byKind[kind] = (this.counts.byKind[kind] ?? 0) + 1;
    if (kind === 'wrong-proof' || kind === 'probe-held' || kind === 'proven-garbage') {
      this.greet(kind).catch(() => undefined);
      return;
    }
    const startMs = performance.now();
    const socket = net.connect({ host: server.address, port: server.port, localAddress: this.origin(kind) });
    this.hold(socket);
    socket.on('connect', () => {
      this.counts.slowestConnectMs = Math.max(this.counts.slowestConnectMs, performance.now() - startMs);
      this.say(socket, kind);
    });
  }

  private origin(kind: Kind): string {
    const { from } = this.target;
    if (kind === 'wrong-proof') return from[randomInt(GUESSERS)]!;
    const isInsider = kind === 'proven-garbage' || kind === 'probe-held';
    const first = GUESSERS + (isInsider ? 0 : INSIDERS);
    return from[randomInt(first, isInsider ? GUESSERS + INSIDERS : from.length)]!;
  }

  private hold(socket: net.Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => this.counts.failed++);
    socket.on('close', () => this.sockets.delete(socket));
    socket.resume();
  }

  private say(socket: net.Socket, kind: Kind): void {
    switch (kind) {
      case 'look-in':
        socket.destroy();
        return;
      case 'garbage':
        socket.write(randomBytes(randomInt(1, 4096)));
        return;
      case 'half-hello': {
        const hello = this.hello(randomName());
        socket.write(hello.subarray(0, randomInt(1, hello.length)));
        return;
      }
      case 'hello-storm':
        socket.write(Buffer.concat(Array.from({ length: 20 }, () => this.hello(randomName()))));
        return;
      default:
    }
  }

  private hello(node: string): Buffer {
    const { namespaceid } = this.target;
    const hello = { versions: [1], features: [], namespaceid, node, instance: 1, machine: 'm', boot: 'b', process: null, interface: 'if0' };
    return new ClientHandshake({ nodekey: 'x', serverkey: null, hello }, randomBytes).start();
  }

  /** Makes a whole handshake as a peer with a wrong or the right key. */
  private async greet(kind: Kind): Promise<void> {
    const { target, insider } = this;
    const isProbe = kind === 'probe-held';
    const identity = {
      node: target.node,
      nodekey: kind === 'wrong-proof' ? 'wrong key' : target.nodekey,
      namespaceid: target.namespaceid,
      hello: isProbe ? { features: [FEATURE.PROBE] } : {},
    };
    const client = await RawClient.connect({ ...target.server, from: this.origin(kind) }, identity);
    this.hold(client.socket);
    await client.greet();
    this.counts.challenged++;
    const join = kind === 'proven-garbage' && insider !== null ? insider.session : null;
    // If there is no session to join, the peer does nothing, because a new session would take a process and end the previous session of the
    // node.
    if (kind === 'proven-garbage' && join === null) return;
    client.prove(join, []);
    if (kind !== 'proven-garbage') return;
    await client.welcomedBy(join);
    this.counts.welcomed++;
    client.send(randomBytes(randomInt(16, 4096)));
  }

  private explore(): void {
    const { address, port } = this.target.server;
    const discover = { versions: [1], nonce: randomBytes(16), namespaceid: null, answerBytes: 0 };
    const datagram = randomInt(2) === 0 ? randomBytes(randomInt(1, 1400)) : encodeDiscover(discover, null, DISCOVERY_REQUEST_BYTES);
    this.counts.datagrams++;
    this.udp[randomInt(Math.max(1, this.udp.length))]?.send(datagram, port, address, () => undefined);
  }
}

function randomName(): string {
  return `node-${randomInt(1_000_000)}`;
}
