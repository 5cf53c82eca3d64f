// The server's end of probe connections, scripted by a test. The server proves its identity, answers PINGs, WRITEs and READs, and records
// the frames that it receives.

import { wholeFrame } from '../auth/handshake-frames.ts';
import { buildWelcome, refuseFrame, ServerHandshake } from '../auth/handshake-server.ts';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { PROBE_SLOTS, PROBE_WINDOW_BYTES } from '../explorer/limits.ts';
import { SEGMENT_BYTES } from '../link/limits.ts';
import { Connection } from '../link/connection.ts';
import { FEATURE } from '../wire/features.ts';
import { ANSWER, frameName, OP } from '../wire/frames.ts';
import type { Header } from '../wire/header.ts';
import { Ping } from '../wire/messages.ts';
import { CountingBufferPool, CountingOutputPool } from './counting-pools.ts';
import type { MemoryEnd } from './memory-transport.ts';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';

export interface ProbeServerWays {
  readonly features: readonly string[];
  readonly versions: readonly number[];
  readonly namespaceid: number;
  readonly serverid: number;
  readonly nodekey: string;
  /** Called for each request; returns false to let the server answer the request as usual. */
  readonly handles: (connection: Connection, header: Header) => boolean;
}

const NOTHING = Buffer.alloc(SEGMENT_BYTES);

export class ProbeServer {
  readonly interfaces = [{ name: 'if1', address: '192.168.45.10', port: 5000 }];
  /** Names of the frames received on all connections. If a name occurs several times in a row, it is listed once. */
  readonly heard: string[] = [];
  readonly nodes: string[] = [];
  openConnections = 0;
  /** Highest slot that a request has used. */
  mostSlot = 0;
  /** True if a WRITE contained bytes other than zero. */
  hasLeaked = false;
  private readonly ways: ProbeServerWays;
  private readonly random: SeededRandom;

  constructor(ways: Partial<ProbeServerWays>, random: SeededRandom) {
    const usual = { features: [FEATURE.PROBE], versions: [1], namespaceid: 200, serverid: 1, nodekey: '0xbig2', handles: () => false };
    this.ways = { ...usual, ...ways };
    this.random = random;
  }

  accept(end: MemoryEnd): void {
    const { namespaceid, serverid, features, versions, nodekey } = this.ways;
    const identity = { namespaceid, server: 'big-9', serverid, instance: '9'.repeat(32), serverkey: null, versions, features };
    const handshake = new ServerHandshake(identity, this.random.bytes);
    let step = 0;
    this.openConnections++;
    const pools = { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() };
    const connection = new Connection(end, pools, {
      bodyBegins: () => undefined,
      frame: (header, body, offset) => {
        const name = frameName(header.op);
        if (this.heard.at(-1) !== name) this.heard.push(name);
        if (step < 2) this.prove(connection, handshake, step++, wholeFrame(header, body, offset), nodekey);
        else if (!this.ways.handles(connection, header)) this.serve(connection, header, body, offset);
      },
      received: () => connection.encoder.flush(),
      drained: () => undefined,
      closed: () => void this.openConnections--,
    });
  }

  private prove(connection: Connection, handshake: ServerHandshake, step: number, frame: Buffer, nodekey: string): void {
    const outcome = step === 0 ? handshake.onHello(frame, () => nodekey) : handshake.onProof(frame, () => null, null);
    if (outcome.kind === 'refuse') {
      connection.encoder.raw(refuseFrame(outcome));
      connection.finish(outcome.sentence);
    } else if (outcome.kind === 'challenge') {
      this.nodes.push(outcome.hello.node);
      connection.encoder.raw(outcome.frame);
    } else {
      const welcome = { session: Buffer.alloc(16), path: 0, slots: PROBE_SLOTS, windowBytes: PROBE_WINDOW_BYTES, generation: 1 };
      const { welcomeKey, transcript } = outcome;
      connection.encoder.raw(buildWelcome(welcomeKey, transcript, { ...welcome, interfaces: this.interfaces }));
    }
  }

  private serve({ encoder }: Connection, header: Header, body: Buffer, offset: number): void {
    const { op, slot, seq, lba, count } = header;
    this.mostSlot = Math.max(this.mostSlot, slot);
    if (op === OP.PING) {
      const { number, clockMs } = Ping.decode(body, offset, header.length);
      encoder.message(OP.PONG, 0, 0, 0, 0, 0, Ping.encode({ number, clockMs, heard: number, oldestMs: 0, generation: 1 }));
    } else if (op === OP.WRITE) {
      const bytes = count * SECTOR_BYTES;
      this.hasLeaked ||= body.compare(NOTHING, 0, bytes, offset, offset + bytes) !== 0;
      encoder.io(OP.WRITE | ANSWER, 0, 0, slot, seq, lba, count);
    } else if (op === OP.READ) {
      encoder.beginIo(count * SECTOR_BYTES);
      encoder.endIo(OP.READ | ANSWER, 0, 0, slot, seq, lba, count, count * SECTOR_BYTES);
    }
  }
}
