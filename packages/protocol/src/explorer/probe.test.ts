// Tests probes of an in-memory server: the measurements, and the text of every failure. Also tests that a probe ends, and sends only the
// requests that a probe may send. Rules: G12.

import { describe, expect, test } from 'vitest';
import { HEADER_BYTES } from '../wire/limits.ts';
import {
  PROBE_AHEAD_MIN_BYTES,
  PROBE_AHEAD_MS,
  PROBE_ANSWER_TIMEOUT_MS,
  PROBE_BURST_MS,
  PROBE_SLOTS,
  PROBE_TIME_MAX_MS,
  PROBE_WINDOW_BYTES,
} from './limits.ts';
import type { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryNetwork, type MemoryRoute } from '../testing/memory-network.ts';
import { IDEAL_LINK, type LinkShape } from '../testing/memory-transport.ts';
import { ProbeServer, type ProbeServerWays } from '../testing/probe-server.ts';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Connection } from '../link/connection.ts';
import type { Connector, PathTransport } from '../link/path-transport.ts';
import { FEATURE } from '../wire/features.ts';
import { ANSWER, OP } from '../wire/frames.ts';
import type { Header } from '../wire/header.ts';
import { Farewell, Ping } from '../wire/messages.ts';
import { examine } from './examine.ts';
import type { ByteCounters, MachineInterface } from './interfaces.ts';
import { probeCandidate } from './probe.ts';
import type { ProbeExpectation, ProbeLogin, ProbePorts, ProbeReport } from './probe-report.ts';

const LOGIN: ProbeLogin = { nodename: 'big-2', nodekey: '0xbig2', serverkey: null };
const EXPECTED: ProbeExpectation = { namespaceid: 200, serverid: 1 };
const CANDIDATE = {
  local: { name: 'if0', address: '192.168.45.20', prefixLength: 24 },
  remote: { name: 'if1', address: '192.168.45.10', port: 5000 },
};
const NEAR: LinkShape = { ...IDEAL_LINK, travelMs: () => 20 };

function card(device: string, address: string): MachineInterface {
  const fixed = { prefixLength: 24, broadcast: null, mtuBytes: 1500, linkMbps: 1000, hasCarrier: true, isLoopback: false };
  return { device, address, ...fixed };
}

class Scene {
  readonly clock = new FakeClock();
  readonly random = new SeededRandom(1);
  readonly server: ProbeServer;
  readonly network: MemoryNetwork;
  readonly route: MemoryRoute;
  counted: ReadonlyMap<string, ByteCounters>[] = [];
  machine: readonly MachineInterface[] = [card('eth0', '192.168.45.20'), card('eth1', '192.168.46.20')];

  constructor(ways: Partial<ProbeServerWays> = {}, shape: LinkShape = NEAR) {
    this.server = new ProbeServer(ways, this.random);
    this.network = new MemoryNetwork(this.clock, shape, (end) => this.server.accept(end));
    this.route = this.network.addRoute('192.168.45.20', '192.168.45.10');
  }

  get ports(): ProbePorts {
    const { clock, random, network, machine } = this;
    const counters = (): ReadonlyMap<string, ByteCounters> => this.counted.shift() ?? new Map<string, ByteCounters>();
    return { connector: network, clock, random: random.bytes, sockets: null, namespacekey: null, machine, counters };
  }

  /** Advances the clock until the probe is done. No socket or timer may stay open. */
  async until<T>(running: Promise<T>): Promise<T> {
    let isDone = false;
    const ended = Promise.allSettled([running]).finally(() => {
      isDone = true;
    });
    for (let passedMs = 0; !isDone && passedMs < 10 * PROBE_TIME_MAX_MS; passedMs++) {
      await new Promise(setImmediate);
      if (!isDone) this.clock.advance(1);
    }
    await ended;
    this.clock.advance(PROBE_TIME_MAX_MS);
    expect([this.clock.timersPending, this.server.openConnections]).toEqual([0, 0]);
    return running;
  }

  probe(login: ProbeLogin | null = LOGIN, expected: ProbeExpectation = EXPECTED): Promise<ProbeReport> {
    return this.until(probeCandidate(CANDIDATE, login, expected, this.ports));
  }
}

/** Connects over a link that moves the given number of bytes per millisecond in each direction, one packet after another. */
class SlowLink implements Connector {
  private readonly inner: Connector;
  private readonly clock: FakeClock;
  private readonly bytesPerMs: number;

  constructor(inner: Connector, clock: FakeClock, bytesPerMs: number) {
    this.inner = inner;
    this.clock = clock;
    this.bytesPerMs = bytesPerMs;
  }

  connect(...[local, address, port, opened, failed]: Parameters<Connector['connect']>): { cancel(): void } {
    return this.inner.connect(local, address, port, (transport) => opened(this.slowed(transport)), failed);
  }

  private slowed(transport: PathTransport): PathTransport {
    const there = this.lane();
    const back = this.lane();
    const outer: PathTransport = {
      events: null,
      localAddress: transport.localAddress,
      remoteAddress: transport.remoteAddress,
      remotePort: transport.remotePort,
      get cipher() {
        return transport.cipher;
      },
      startTls: (key, secured) => there(0, () => transport.startTls(key, () => back(0, secured))),
      send: (buffer, start, lengthBytes, done) =>
        there(lengthBytes, () => {
          transport.send(Buffer.from(buffer.subarray(start, start + lengthBytes)), 0, lengthBytes, () => undefined);
          done();
        }),
      destroy: (isReset) => there(0, () => transport.destroy(isReset)),
      end: () => there(0, () => transport.end()),
    };
    transport.events = {
      onBytes: (buffer, offset, lengthBytes) => {
        const bytes = Buffer.from(buffer.subarray(offset, offset + lengthBytes));
        back(lengthBytes, () => outer.events?.onBytes(bytes, 0, lengthBytes));
      },
      onClosed: (reason) => back(0, () => outer.events?.onClosed(reason)),
    };
    return outer;
  }

  private lane(): (lengthBytes: number, passed: () => void) => void {
    let freeMs = 0;
    return (lengthBytes, passed) => {
      freeMs = Math.max(freeMs, this.clock.monotonicMs()) + lengthBytes / this.bytesPerMs;
      this.clock.after(freeMs - this.clock.monotonicMs(), passed);
    };
  }
}

describe('measured', () => {
  test('with login data: everything', async () => {
    const scene = new Scene();
    const report = await scene.probe();
    expect(report).toMatchObject({
      failure: null,
      failureCode: null,
      connectMs: 20,
      handshakeMs: 80,
      server: {
        server: 'big-9',
        serverid: 1,
        instance: '9'.repeat(32),
        isProved: true,
        interfaces: scene.server.interfaces,
        keyUsed: null,
        clockOffMs: null,
      },
      roundTripMs: 40,
      device: 'eth0',
      findings: [],
    });
    // A burst moves one window for each round trip, except for the first round trips.
    const perSecond = PROBE_WINDOW_BYTES * 25;
    for (const rate of [report.writeBytesPerSecond ?? 0, report.readBytesPerSecond ?? 0]) {
      expect(rate).toBeLessThan(perSecond);
      expect(rate).toBeGreaterThan(perSecond / 3);
    }
    expect(scene.server.heard).toEqual(['HELLO', 'PROOF', 'PING', 'WRITE', 'READ', 'BYE']);
    expect([scene.server.nodes, scene.server.mostSlot, scene.server.hasLeaked]).toEqual([['big-2'], PROBE_SLOTS - 1, false]);
  });

  test("without login data: the server's identity, under a random node name, without authentication", async () => {
    const scene = new Scene();
    const report = await scene.probe(null);
    expect(report.server).toMatchObject({ server: 'big-9', isProved: false, interfaces: null });
    expect([report.failure, report.handshakeMs, report.roundTripMs]).toEqual([null, 40, null]);
    expect(scene.server.heard).toEqual(['HELLO']);
    expect(scene.server.nodes[0]).toMatch(/^probe-[0-9a-f]{12}$/);
  });

  test.each([1200, 120])('a link of %d bytes/ms is not filled for seconds', async (bytesPerMs) => {
    const slow = new Scene({}, IDEAL_LINK);
    const connector = new SlowLink(slow.network, slow.clock, bytesPerMs);
    const report = await slow.until(probeCandidate(CANDIDATE, LOGIN, EXPECTED, { ...slow.ports, connector }));
    for (const rate of [report.writeBytesPerSecond ?? 0, report.readBytesPerSecond ?? 0]) {
      expect(rate).toBeGreaterThan(bytesPerMs * 900);
      expect(rate).toBeLessThanOrEqual(bytesPerMs * 1001);
    }
    const drainMs = Math.max(PROBE_AHEAD_MS, PROBE_AHEAD_MIN_BYTES / bytesPerMs);
    expect(slow.clock.monotonicMs() - PROBE_TIME_MAX_MS).toBeLessThan(2 * (PROBE_BURST_MS + drainMs) + 50);
  });

  test('a server without support for probes is not asked to begin a session', async () => {
    const scene = new Scene({ features: [FEATURE.DIGEST] });
    const report = await scene.probe();
    expect([report.failure, report.server?.isProved, scene.server.heard]).toEqual([null, false, ['HELLO']]);
    expect(report.findings.map(({ kind }) => kind)).toEqual(['not-measured']);
  });
});

describe('failures', () => {
  const answerWith =
    (status: number, shift: { slot: number; seq: number; count: number }): ProbeServerWays['handles'] =>
    ({ encoder }, { op, slot, seq, lba, count }) => {
      if (op !== OP.WRITE) return false;
      encoder.io(OP.WRITE | ANSWER, 0, status, slot + shift.slot, seq + shift.seq, lba, count + shift.count);
      return true;
    };
  const right = { slot: 0, seq: 0, count: 0 };

  test.each<[string, Partial<ProbeServerWays>, ProbeLogin | null, RegExp, string]>([
    ['another key', {}, { ...LOGIN, nodekey: 'x' }, /^Server refused the connection: .*does not accept this node's proof/, 'E_AUTH'],
    ['another namespace', { namespaceid: 7 }, LOGIN, /serves namespaceid 7, not 200/, 'E_NAMESPACE'],
    ['another namespace, asked without login', { namespaceid: 7 }, null, /serves namespaceid 7, not 200/, 'E_NAMESPACE'],
    ['another version', { versions: [2] }, LOGIN, /speaks protocol version 2, the client 1/, 'E_VERSION'],
    ['another server', { serverid: 3 }, LOGIN, /^Server big-9 answers there with serverid 3 instead of 1/, 'E_CONFIG'],
    ['an error in place of data', { handles: answerWith(1, right) }, LOGIN, /with status 1/, 'E_PROTOCOL'],
    ['an answer in an unused slot', { handles: answerWith(0, { ...right, slot: 200 }) }, LOGIN, /unrequested frame/, 'E_PROTOCOL'],
    ['an answer of another seq', { handles: answerWith(0, { ...right, seq: 1 }) }, LOGIN, /unrequested frame/, 'E_PROTOCOL'],
    ['an answer of another length', { handles: answerWith(0, { ...right, count: 1 }) }, LOGIN, /unrequested frame/, 'E_PROTOCOL'],
    ['a second answer, to nothing', { handles: twice }, LOGIN, /unrequested frame/, 'E_PROTOCOL'],
    ['an answer to another request', { handles: wrongOp }, LOGIN, /unrequested frame/, 'E_PROTOCOL'],
    ['falling silent on PING', { handles: (_, { op }) => op === OP.PING }, LOGIN, /^No answer to a PING within 3000 ms/, 'E_TIMEOUT'],
    ['falling silent on READ', { handles: (_, { op }) => op === OP.READ }, LOGIN, /^No answer to READs for 3000 ms: /, 'E_TIMEOUT'],
    ['a farewell', { handles: bye }, LOGIN, /^The server ended the probe: Enough \[2J of that$/, 'E_RESET'],
    ['a reset', { handles: reset }, LOGIN, /^The connection ended: ECONNRESET/, 'E_RESET'],
  ])('%s', async (_what, ways, login, failure, code) => {
    const report = await new Scene(ways).probe(login);
    expect(report.failure).toMatch(failure);
    expect(report.failureCode).toBe(code);
    expect(report.failure).not.toMatch(/\p{Cc}/u);
    expect(report.connectMs).toBe(20);
  });

  test('a server that keeps sending other answers cannot prolong a probe forever', async () => {
    const scene = new Scene({ handles: (connection, { op }) => op === OP.PING && (chatter(connection, scene.clock), true) });
    const report = await scene.probe();
    expect([report.failureCode, report.failure]).toEqual([
      'E_TIMEOUT',
      'The probe did not end within 10000 ms: the server answers too slowly',
    ]);
  });

  test('values measured before a failure stay', async () => {
    const report = await new Scene({ handles: (_, { op }) => op === OP.READ }).probe();
    expect([report.server?.isProved, report.roundTripMs, report.readBytesPerSecond]).toEqual([true, 40, null]);
    expect(report.writeBytesPerSecond).toBeGreaterThan(0);
  });

  test.each([
    ['refused', /^No connection: ECONNREFUSED/],
    ['silent', /^No connection: ETIMEDOUT: no answer/],
  ] as const)('%s connections', async (reach, failure) => {
    const scene = new Scene();
    scene.route.reach = reach;
    const report = await scene.probe();
    expect([report.failureCode, report.connectMs, report.server]).toEqual(['E_UNREACHABLE', null, null]);
    expect(report.failure).toMatch(failure);
  });

  test('a probe does not wait for a connector that never ends', async () => {
    const scene = new Scene();
    let isCancelled = false;
    const connector = { connect: () => ({ cancel: () => void (isCancelled = true) }) };
    const report = await scene.until(probeCandidate(CANDIDATE, LOGIN, EXPECTED, { ...scene.ports, connector }));
    expect([report.failureCode, isCancelled]).toEqual(['E_UNREACHABLE', true]);
  });

  test.each([
    ['says nothing', [], 'E_TIMEOUT', /^No answer within 3000 ms: the peer is not rssrv, or it hangs$/],
    ['speaks another protocol', [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], 'E_RESET', /^The connection ended: /],
    ['sends invalid frames', [Buffer.alloc(HEADER_BYTES, 0xff)], 'E_RESET', /no such frame/],
  ])('a target that accepts and %s', async (_what, says, code, failure) => {
    const scene = new Scene();
    const network = new MemoryNetwork(scene.clock, NEAR, (end) => {
      end.events = { onBytes: () => undefined, onClosed: () => undefined };
      for (const bytes of says) end.send(bytes, 0, bytes.length, () => undefined);
    });
    network.addRoute('192.168.45.20', '192.168.45.10');
    const report = await scene.until(probeCandidate(CANDIDATE, LOGIN, EXPECTED, { ...scene.ports, connector: network }));
    expect([report.failureCode, report.connectMs, report.server]).toEqual([code, 20, null]);
    expect(report.failure).toMatch(failure);
    expect(scene.clock.monotonicMs()).toBeLessThan(PROBE_ANSWER_TIMEOUT_MS + 2 * PROBE_TIME_MAX_MS);
  });

  test('a bug of our own is not reported as a network failure', async () => {
    const scene = new Scene();
    const connector = {
      connect: () => {
        throw new TypeError('broken');
      },
    };
    await expect(scene.until(probeCandidate(CANDIDATE, LOGIN, EXPECTED, { ...scene.ports, connector }))).rejects.toThrow(TypeError);
  });
});

describe('the device', () => {
  /** Returns counters for the three times at which a probe reads them: before the WRITEs, between the two bursts, and after the READs. */
  function counters(...steps: Record<string, [sentBytes: number, receivedBytes: number]>[]): ReadonlyMap<string, ByteCounters>[] {
    return steps.map(
      (step) => new Map(Object.entries(step).map(([device, [sentBytes, receivedBytes]]) => [device, { sentBytes, receivedBytes }])),
    );
  }

  const MUCH = 1e9;

  test('that carried the data is the one that has the address', async () => {
    const scene = new Scene();
    scene.counted = counters({ eth0: [0, 0], eth1: [0, 0] }, { eth0: [MUCH, 5], eth1: [9, 9] }, { eth0: [MUCH, MUCH], eth1: [9, 9] });
    expect(await scene.probe()).toMatchObject({ leavesBy: 'eth0', arrivesBy: 'eth0', findings: [] });
  });

  test('that has the address is reported, although a bridge above it counts more', async () => {
    const scene = new Scene();
    scene.counted = counters(
      { eth0: [0, 0], br0: [0, 0] },
      { eth0: [MUCH, 5], br0: [MUCH + 9, 5] },
      { eth0: [MUCH, MUCH], br0: [MUCH, MUCH + 9] },
    );
    expect(await scene.probe()).toMatchObject({ leavesBy: 'eth0', arrivesBy: 'eth0', findings: [] });
  });

  test('is a different one', async () => {
    const scene = new Scene();
    scene.counted = counters({ eth0: [0, 0], eth1: [0, 0] }, { eth0: [9, 9], eth1: [MUCH, 5] }, { eth0: [9, MUCH], eth1: [MUCH, 5] });
    const { leavesBy, arrivesBy, findings } = await scene.probe();
    expect([leavesBy, arrivesBy]).toEqual(['eth1', 'eth0']);
    expect(findings.map(({ sentence }) => sentence)).toEqual(['Path if0 -> 192.168.45.10 leaves by eth1, not by eth0']);
  });

  test('is a different one for received data only', async () => {
    const scene = new Scene();
    scene.counted = counters({ eth0: [0, 0], eth1: [0, 0] }, { eth0: [MUCH, 5], eth1: [0, 5] }, { eth0: [MUCH, 5], eth1: [0, MUCH] });
    const { findings } = await scene.probe();
    expect(findings.map(({ sentence }) => sentence)).toEqual([
      'Traffic from the server on path if0 -> 192.168.45.10 arrives by eth1, not by eth0',
    ]);
  });

  test('is not judged if the server is this machine or the counters are unclear', async () => {
    const scene = new Scene();
    scene.counted = counters({ eth0: [0, 0] }, { eth0: [5, 5] }, { eth0: [9, 9] });
    expect(await scene.probe()).toMatchObject({ leavesBy: null, arrivesBy: null, findings: [] });
    const own = new Scene();
    own.machine = [...own.machine, card('eth9', '192.168.45.10')];
    own.counted = counters({ lo: [0, 0] }, { lo: [MUCH, MUCH] }, { lo: [2 * MUCH, 2 * MUCH] });
    expect(await own.probe()).toMatchObject({ leavesBy: null, arrivesBy: null, findings: [] });
  });
});

describe('examine', () => {
  const locals = [CANDIDATE.local, { name: 'if1', address: '192.168.46.20', prefixLength: 24 }];
  const remotes = [
    CANDIDATE.remote,
    { name: 'if2', address: '192.168.46.10', port: 5000 },
    { name: 'if3', address: '10.9.9.9', port: 5000 },
  ];

  test('probes one after the other, gives a reason for the rest, and reports that both share one cable', async () => {
    const scene = new Scene();
    scene.network.addRoute('192.168.46.20', '192.168.46.10');
    let countedBytes = 0;
    const counters = (): Map<string, ByteCounters> => {
      countedBytes += 1e9;
      return new Map([['eth0', { sentBytes: countedBytes, receivedBytes: countedBytes }]]);
    };
    const most: number[] = [];
    const reported: string[] = [];
    const result = await scene.until(
      examine({
        locals,
        remotes,
        choice: 'auto',
        login: LOGIN,
        expected: EXPECTED,
        ports: { ...scene.ports, counters: () => (most.push(scene.server.openConnections), counters()) },
        onReport: ({ candidate }, done, total) => reported.push(`${candidate.local.name} ${candidate.remote.name} ${done}/${total}`),
      }),
    );
    expect([reported, Math.max(...most)]).toEqual([['if0 if1 1/2', 'if1 if2 2/2'], 1]);
    expect(result.reports.map(({ leavesBy, device }) => [device, leavesBy])).toEqual([
      ['eth0', 'eth0'],
      ['eth1', 'eth0'],
    ]);
    expect(result.leftOut.map(({ remote, reason }) => [remote?.name, reason])).toEqual([
      ['if3', 'not on a common subnet with any interface of the client'],
    ]);
    expect(result.findings.map(({ sentence }) => sentence)).toEqual(['Both paths leave by eth0']);
  });

  test('two addresses on one card share it intentionally', async () => {
    const scene = new Scene();
    scene.machine = [card('eth0', '192.168.45.20'), card('eth0', '192.168.46.20')];
    scene.network.addRoute('192.168.46.20', '192.168.46.10');
    let countedBytes = 0;
    const counters = (): ReadonlyMap<string, ByteCounters> => {
      countedBytes += 1e9;
      return new Map([['eth0', { sentBytes: countedBytes, receivedBytes: countedBytes }]]);
    };
    const options = { locals, remotes, choice: 'auto', login: LOGIN, expected: EXPECTED, ports: { ...scene.ports, counters } } as const;
    const { reports, findings } = await scene.until(examine(options));
    expect([reports.map(({ leavesBy }) => leavesBy), findings]).toEqual([['eth0', 'eth0'], []]);
  });

  test('a refused key is not tried again', async () => {
    const scene = new Scene();
    scene.network.addRoute('192.168.46.20', '192.168.46.10');
    const login = { ...LOGIN, nodekey: 'wrong' };
    const options = { locals, remotes, choice: 'auto', login, expected: EXPECTED, ports: scene.ports } as const;
    const { reports } = await scene.until(examine(options));
    expect(reports.map(({ failureCode }) => failureCode)).toEqual(['E_AUTH', 'E_AUTH']);
    expect(scene.server.heard).toEqual(['HELLO', 'PROOF', 'HELLO']);
  });

  test('a key that one server refuses is tried at another server', async () => {
    const [scene, other] = [new Scene(), new Scene()];
    const login = { ...LOGIN, nodekey: 'wrong', refusals: new Map<string, RsError>() };
    await scene.probe({ ...login, refusals: login.refusals });
    login.refusals.set('another instance', login.refusals.get('9'.repeat(32))!);
    login.refusals.delete('9'.repeat(32));
    expect((await other.probe(login)).failureCode).toBe('E_AUTH');
    expect([login.refusals.size, other.server.heard]).toEqual([2, ['HELLO', 'PROOF']]);
  });

  test('one failing candidate does not end it', async () => {
    const scene = new Scene();
    const options = { locals, remotes, choice: 'auto', login: null, expected: EXPECTED, ports: scene.ports } as const;
    const { reports, findings } = await scene.until(examine(options));
    expect([reports.map(({ failureCode }) => failureCode), findings]).toEqual([[null, 'E_UNREACHABLE'], []]);
  });
});

function wrongOp({ encoder }: Connection, { op, slot, seq, lba, count }: Header): boolean {
  if (op !== OP.WRITE) return false;
  encoder.io(OP.FLUSH | ANSWER, 0, 0, slot, seq, lba, count);
  return true;
}

function twice({ encoder }: Connection, { op, slot, seq, lba, count }: Header): boolean {
  if (op !== OP.WRITE) return false;
  encoder.io(OP.WRITE | ANSWER, 0, 0, slot, seq, lba, count);
  encoder.io(OP.WRITE | ANSWER, 0, 0, slot, seq, lba, 0);
  return true;
}

/** Sends an unsolicited PONG twice a second. */
function chatter(connection: Connection, clock: FakeClock): void {
  if (connection.isClosed) return;
  const pong = Ping.encode({ number: 0, clockMs: 0, heard: 0, oldestMs: 0, generation: 0 });
  connection.encoder.message(OP.PONG, 0, 0, 0, 0, 0, pong);
  connection.encoder.flush();
  clock.after(500, () => chatter(connection, clock));
}

function bye(connection: Connection, { op }: Header): boolean {
  if (op !== OP.WRITE) return false;
  connection.encoder.message(OP.BYE, 0, 0, 0, 0, 0, Farewell.encode({ code: 'E_LIMIT', sentence: 'Enough\u001b[2J of that' }));
  connection.finish('enough');
  return true;
}

function reset(connection: Connection, { op }: Header): boolean {
  if (op === OP.WRITE) connection.close('enough', true);
  return op === OP.WRITE;
}

test('an address that a discovery datagram names and the authenticated server does not list is not a path, and nothing is measured', async () => {
  const scene = new Scene();
  const elsewhere = { ...CANDIDATE, remote: { ...CANDIDATE.remote, address: '192.168.45.66' } };
  scene.network.addRoute('192.168.45.20', '192.168.45.66');
  const expected = { ...EXPECTED, isNamed: true };
  const report = await scene.until(probeCandidate(elsewhere, LOGIN, expected, scene.ports));
  expect(report.failure).toMatch(/^Server big-9 authenticates at 192.168.45.66 but does not list that address: /);
  expect([report.failureCode, report.roundTripMs, scene.server.heard]).toEqual(['E_CONFIG', null, ['HELLO', 'PROOF', 'BYE']]);
  expect(await scene.probe(LOGIN, expected)).toMatchObject({ failure: null });
});
