// Tests the server's end of a probe over a connection in memory: the answers of the server, and every bound. test/integration shows with
// real processes that a probe touches no session, hold or volume. Rules: G12. docs/PROTOCOL.md, Probe connections.

import { describe, expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { PROBE_BYTES_MAX, PROBE_SLOTS, PROBE_TIME_MAX_MS, PROBE_TURN_BYTES } from '@rsio/protocol/explorer/limits';
import { SEGMENT_BYTES } from '@rsio/protocol/link/limits';
import { HEADER_BYTES, MAC_BYTES } from '@rsio/protocol/wire/limits';
import type { Timer } from '@rsio/base/lib/clock';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryLink } from '@rsio/protocol/testing/memory-transport';
import { OP } from '@rsio/protocol/wire/frames';
import { Farewell, Ping, OpenRequest, Welcome } from '@rsio/protocol/wire/messages';
import { ProbeSession } from './probe-session.ts';
import { AT, RawPath } from '../testing/raw-client.ts';

const SEGMENT_SECTORS = SEGMENT_BYTES / SECTOR_BYTES;

/** As in Node.js, a timer of this clock fires after at least 1 ms, even if its delay is 0. */
class TurnClock extends FakeClock {
  override after(delayMs: number, fire: () => void): Timer {
    return super.after(Math.max(1, delayMs), fire);
  }

  override soon(fire: () => void): void {
    super.after(0, fire);
  }
}

class Scene {
  readonly clock = new TurnClock();
  readonly link = new MemoryLink(this.clock);
  readonly pools = { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() };
  readonly ends: string[] = [];
  moved = 0;
  readonly session: ProbeSession;
  readonly client: RawPath;
  welcome: Buffer | null = null;

  constructor(digest = false) {
    const admission = { welcomeKey: '00', transcript: '00', digest, interfaces: [AT], generation: 7 };
    this.session = new ProbeSession(this.link.server, admission, {
      clock: this.clock,
      pools: this.pools,
      closed: (reason, bytes) => {
        this.ends.push(reason);
        this.moved = bytes;
      },
    });
    this.client = new RawPath(this.link);
    const { events: handler } = this.client.connection;
    this.client.connection.events = {
      ...handler,
      frame: (header, body, offset) => {
        if (header.op === OP.WELCOME) {
          this.welcome = Buffer.from(body.subarray(offset, offset + header.length));
          this.client.connection.encoder.digest = digest;
          this.client.connection.decoder.digest = digest;
        }
        handler.frame(header, body, offset);
      },
    };
    this.turn();
  }

  turn(): void {
    for (let times = 0; times < 4; times++) this.clock.advance(1);
  }

  /** Returns the frames that answer `request`. */
  asks(request: (client: RawPath) => void): string[] {
    this.client.heard.length = 0;
    request(this.client);
    this.turn();
    return this.client.heard;
  }

  isGivenBack(): boolean {
    return this.pools.bodies.lent.size === 0;
  }
}

test('WELCOME names no session, and a PING is answered with its number', () => {
  const scene = new Scene();
  const { welcome } = scene;
  expect(Welcome.decode(welcome!, 0, welcome!.length - MAC_BYTES)).toMatchObject({
    session: Buffer.alloc(16),
    path: 0,
    slots: PROBE_SLOTS,
    interfaces: [AT],
    generation: 7,
  });
  const ping = Ping.encode({ number: 5, clockMs: 1.5, heard: 0, oldestMs: 0, generation: 0 });
  scene.client.message(OP.PING, { slot: 0, seq: 0 }, ping);
  scene.turn();
  const pong = scene.client.bodies[0]!;
  expect(Ping.decode(pong, 0, pong.length)).toEqual({ number: 5, clockMs: 1.5, heard: 1, oldestMs: 0, generation: 7 });
});

describe.each([false, true])('with digest %s', (digest) => {
  test('a READ returns zeros, whatever the buffers contained; a WRITE is accepted', () => {
    const scene = new Scene(digest);
    const used = scene.pools.outputs.take();
    used.bytes.fill(0xa5);
    scene.pools.outputs.giveBack(used);
    expect(scene.asks((client) => client.io(OP.WRITE, { slot: 3, seq: 9 }, 8, SEGMENT_SECTORS, 0))).toEqual(['WRITE answer 3/9 status 0']);
    scene.client.bodies.length = 0;
    expect(scene.asks((client) => client.io(OP.READ, { slot: 15, seq: 1 }, 8, SEGMENT_SECTORS, 0))).toEqual(['READ answer 15/1 status 0']);
    expect(scene.client.bodies[0]?.equals(Buffer.alloc(SEGMENT_BYTES))).toBe(true);
    expect(scene.ends).toEqual([]);
    expect(scene.isGivenBack()).toBe(true);
  });
});

test('a slot can be reused once it is answered, and its seq means nothing', () => {
  const scene = new Scene();
  for (let times = 0; times < 3; times++) {
    expect(scene.asks((client) => client.io(OP.READ, { slot: 0, seq: 4 }, 0, 1, 0))).toEqual(['READ answer 0/4 status 0']);
  }
});

test('data is sent in turns, and no more than the client accepts', () => {
  const scene = new Scene();
  const mostBytes = PROBE_TURN_BYTES + SEGMENT_BYTES + PROBE_SLOTS * HEADER_BYTES;
  const sends: { atMs: number; bytes: number }[] = [];
  const send = scene.link.server.send.bind(scene.link.server);
  scene.link.server.send = (buffer, start, lengthBytes, done) => {
    sends.push({ atMs: scene.clock.monotonicMs(), bytes: lengthBytes });
    send(buffer, start, lengthBytes, done);
  };
  scene.link.stand('back', true);
  const { encoder } = scene.client.connection;
  for (let slot = 0; slot < PROBE_SLOTS; slot++) encoder.io(OP.READ, 0, 0, slot, 1, 0, SEGMENT_SECTORS);
  encoder.flush();
  const sentBytes = (atMs?: number): number =>
    sends.reduce((sum, one) => sum + (atMs === undefined || one.atMs === atMs ? one.bytes : 0), 0);
  scene.clock.advance(100);
  expect(sentBytes()).toBeLessThanOrEqual(mostBytes);
  scene.link.stand('back', false);
  scene.clock.advance(100);
  expect(scene.client.heard).toHaveLength(PROBE_SLOTS);
  const perTurn = [...new Set(sends.map(({ atMs }) => atMs))].map(sentBytes);
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(mostBytes);
});

test('more concurrent small WRITEs than slots end the probe because they would delay the listener', () => {
  const scene = new Scene();
  const { encoder } = scene.client.connection;
  const write = (count: number): void => {
    for (let times = 0; times < count; times++) {
      encoder.beginIo(SECTOR_BYTES);
      encoder.endIo(OP.WRITE, 0, 0, times % PROBE_SLOTS, 1, 0, 1, SECTOR_BYTES);
    }
    encoder.flush();
    scene.turn();
  };
  write(PROBE_SLOTS);
  write(PROBE_SLOTS);
  expect([scene.client.heard.length, scene.ends]).toEqual([2 * PROBE_SLOTS, []]);
  write(PROBE_SLOTS + 1);
  expect(scene.ends).toEqual([`Protocol error of the client: More than ${PROBE_SLOTS} requests came at once`]);
});

test('a probe ends after its time, with a message', () => {
  const scene = new Scene();
  scene.clock.advance(PROBE_TIME_MAX_MS);
  expect(scene.client.heard).toEqual(['BYE 0']);
  const bye = scene.client.bodies[0]!;
  expect(Farewell.decode(bye, 0, bye.length)).toMatchObject({ code: 'E_LIMIT', sentence: expect.stringContaining('10000 ms') });
  expect(scene.ends).toHaveLength(1);
  expect(scene.clock.timersPending).toBe(0);
});

test('a probe ends after its bytes, with a message', () => {
  const scene = new Scene();
  scene.session['connection'].receivedBytes = PROBE_BYTES_MAX;
  scene.client.io(OP.WRITE, { slot: 0, seq: 1 }, 0, 1, 0);
  scene.turn();
  expect(scene.ends).toEqual([`A probe may move ${PROBE_BYTES_MAX} bytes`]);
  expect(scene.client.heard).toEqual(['WRITE answer 0/1 status 0', 'BYE 0']);
});

test('the client reports its end, and nothing is left', () => {
  const scene = new Scene();
  scene.client.message(OP.BYE, { slot: 0, seq: 0 }, Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'Measured' }));
  scene.turn();
  expect(scene.ends).toEqual(['The client said: Measured']);
  expect(scene.clock.timersPending).toBe(0);
  expect(scene.link.isOver).toBe(true);
});

describe('a request that does not belong to a probe ends it', () => {
  const slot0 = { slot: 0, seq: 1 };
  test.each<readonly [string, (client: RawPath) => void]>([
    ['LIST', (client) => client.message(OP.LIST, slot0, Buffer.alloc(0))],
    ['OPEN', (client) => client.message(OP.OPEN, slot0, OpenRequest.encode({ name: 'oracle', universe: 0, readonly: false }))],
    ['FLUSH', (client) => client.io(OP.FLUSH, slot0, 0, 0, 0)],
    ['DISCARD', (client) => client.io(OP.DISCARD, slot0, 0, 1, 0)],
    ['ZERO', (client) => client.io(OP.ZERO, slot0, 0, 1, 0)],
    ['FENCE', (client) => client.message(OP.FENCE, { slot: 0, seq: 0 }, Buffer.alloc(0), 0, 0)],
    [
      'PONG',
      (client) =>
        client.message(OP.PONG, { slot: 0, seq: 0 }, Ping.encode({ number: 1, clockMs: 0, heard: 0, oldestMs: 0, generation: 0 })),
    ],
    ['a PING that is none', (client) => client.message(OP.PING, { slot: 0, seq: 0 }, Buffer.from([0xc0]))],
    ['a handle', (client) => client.io(OP.READ, slot0, 0, 1, 1)],
    ['a handle to write to', (client) => client.io(OP.WRITE, slot0, 0, 1, 1)],
    ['a flag', (client) => client.io(OP.WRITE, slot0, 0, 1, 0, 1)],
    ['no sector', (client) => client.io(OP.READ, slot0, 0, 0, 0)],
    ['a READ that is too large', (client) => client.io(OP.READ, slot0, 0, SEGMENT_SECTORS + 1, 0)],
    ['a WRITE that is too large', (client) => client.io(OP.WRITE, slot0, 0, SEGMENT_SECTORS + 1, 0)],
    ['a slot past its own', (client) => client.io(OP.READ, { slot: PROBE_SLOTS, seq: 1 }, 0, 1, 0)],
  ])('%s', (_what, request) => {
    const scene = new Scene();
    request(scene.client);
    scene.turn();
    expect(scene.client.heard).toEqual([]);
    expect(scene.ends).toHaveLength(1);
    expect(scene.client.closedReason).not.toBeNull();
    expect(scene.isGivenBack()).toBe(true);
    expect(scene.clock.timersPending).toBe(0);
  });

  test('more READs than slots', () => {
    const scene = new Scene();
    scene.link.stand('back', true);
    for (let times = 0; times < 3 * PROBE_SLOTS; times++) scene.client.io(OP.READ, { slot: 0, seq: 1 }, 0, SEGMENT_SECTORS, 0);
    scene.turn();
    expect(scene.ends).toEqual([`Protocol error of the client: More than ${PROBE_SLOTS} READs are waiting`]);
  });

  test('answers that the client never reads', () => {
    const scene = new Scene();
    scene.link.stand('back', true);
    const ping = Ping.encode({ number: 1, clockMs: 0, heard: 0, oldestMs: 0, generation: 0 });
    while (scene.ends.length === 0) {
      for (let pings = 0; pings < PROBE_SLOTS; pings++) scene.client.connection.encoder.message(OP.PING, 0, 0, 0, 0, 0, ping);
      scene.client.connection.encoder.flush();
      scene.clock.advance(1);
    }
    expect(scene.ends).toEqual(['The client does not read its answers']);
  });
});
