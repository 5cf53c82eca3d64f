// Tests, with a scripted server, the effect of a server's list on attached volumes, whether the list or the answer to OPEN arrives first.
// Volumes grow and never shrink. If the list does not name this client as the holder, the handle is verified. namespace.test.ts tests
// interfaces, old lists and empty lists. Rules: C2.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { quietLog } from '@rsio/base/log/log';
import { LIST_WAIT_MS } from '@rsio/common/control/limits';
import { PATH_SETTLED_MS } from '@rsio/protocol/client/limits';
import { LIST_WAITERS_MAX, VOLUME_LISTED_WAIT_MS, VOLUME_WAITERS_MAX } from './limits.ts';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { type HeardFrame, type ScriptedPath, ScriptedServer } from '@rsio/protocol/testing/scripted-server';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { Attachment } from '@rsio/protocol/client/attachment';
import { OP } from '@rsio/protocol/wire/frames';
import { type Challenge, encodeListAnswers, type Holder, IOCTL, OpenAnswer, RecordAnswer, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { describe, expect, test } from 'vitest';
import { Namespace } from './namespace.ts';
import type { Server } from './server.ts';

const MIB = 1 << 20;
const US: Holder = { node: 'node', address: '192.168.10.1', sinceMs: 0 };
const VENUS: Holder = { node: 'venus', address: '192.168.10.2', sinceMs: 0 };
const VOLUME = { id: 'id', blockSizeBytes: 512, readonly: false, shared: false, waitsForSpace: false } as const;

class Scene {
  readonly clock = new FakeClock();
  readonly random = new SeededRandom(1);
  readonly scripted = new ScriptedServer(this.random);
  readonly network = new MemoryNetwork(this.clock, IDEAL_LINK, (end) => this.scripted.accept(end));
  readonly attachment = new Attachment('oracle', 0, false, TAKE.NO, null);
  readonly said: string[] = [];
  private readonly answered = new Set<HeardFrame>();
  readonly server: Server;

  constructor() {
    this.scripted.answersPings = true;
    this.network.addRoute('192.168.10.1', '192.168.10.9');
    const text = `[interface if0]\naddress = 192.168.10.1/24\n[namespace n]\nnamespaceid = 1\nnodename = node\nnodekey = ${this.scripted.nodekey}\n[server big-9]\naddress = 192.168.10.9\n`;
    const config = parseRscltConfig(text, 'rscltcfg');
    const locals = config.interfaces.map(({ name, address, prefixLength, portGiven }) => ({ name, address, prefixLength, portGiven }));
    const namespace = new Namespace(
      { whole: config, config: config.namespaces[0]!, locals },
      { instance: 1, machine: 'm', boot: 'b', process: 'p', dataProcess: 0 },
      {
        clock: this.clock,
        log: quietLog,
        connector: this.network,
        random: this.random.bytes,
        pools: { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() },
        events: {
          sessionBegan: () => {},
          opened: () => {},
          openFailed: () => {},
          openWaits: () => {},
          listed: () => {},
          grown: (_server, { volume }, fromBytes) => this.said.push(`${fromBytes / MIB} > ${(volume?.sizeBytes ?? 0) / MIB}`),
        },
        serverCount: () => 0,
        hasDataProcesses: false,
        known: { of: () => [], serveridAt: () => null, learned: () => {} },
        pathChanged: () => {},
      },
    );
    namespace.start();
    this.clock.advance(PATH_SETTLED_MS * 2);
    this.server = namespace.servers.get(this.scripted.serverid)!;
    this.server.opener.add(this.attachment);
    this.clock.advance(5);
  }

  /** Size of the attached volume in MiB; null if it is not open. */
  get mib(): number | null {
    return this.attachment.volume === null ? null : this.attachment.volume.sizeBytes / MIB;
  }

  notify(): void {
    this.path.say(OP.NOTIFY, ++this.scripted.generation);
    this.clock.advance(5);
  }

  answerList(mib: number, holders: readonly Holder[] = [US], id: string = VOLUME.id): void {
    const volume = { ...VOLUME, id, name: 'oracle', universe: 0, sizeBytes: mib * MIB, holders };
    const [body] = encodeListAnswers({ generation: this.scripted.generation, interfaces: [], volumes: [volume] });
    this.answer(OP.LIST, body!);
  }

  answerRecord(record: Buffer | null): void {
    this.answer(OP.IOCTL, RecordAnswer.encode({ record }));
  }

  answerNonsense(op: number): void {
    this.answer(op, Buffer.from('nonsense'));
  }

  answerOpen(mib: number): void {
    this.answer(OP.OPEN, OpenAnswer.encode({ ...VOLUME, handle: 1, sizeBytes: mib * MIB, canDiscard: true, identity: 'i', life: 'l' }));
  }

  /** The kinds of the IOCTLs that the server has received in this session. */
  get ioctls(): number[] {
    return this.path.requests(OP.IOCTL).map(({ header }) => header.aux);
  }

  loseSession(): void {
    this.scripted.loseSession();
    this.clock.advance(PATH_SETTLED_MS * 2);
  }

  private get path(): ScriptedPath {
    return this.scripted.paths.find(({ closedReason }) => closedReason === null)!;
  }

  private answer(op: number, body: Buffer): void {
    const asked = this.path.requests(op).filter((request) => !this.answered.has(request));
    expect(asked).toHaveLength(1);
    this.answered.add(asked[0]!);
    this.path.answerMessage(asked[0]!, STATUS.OK, body);
    this.clock.advance(5);
  }
}

// Regression: a copy of the server under another name went on with the attached volumes while the original was down.
test('a server with another name at another address is not met as the one of which volumes are attached', () => {
  const scene = new Scene();
  scene.network.routes[0]!.reach = 'refused';
  for (const path of scene.scripted.paths) path.connection.close('The path is lost', true);
  scene.clock.advance(PATH_SETTLED_MS);
  expect([scene.server.isConnected, scene.server.trunk.attachments.length]).toEqual([false, 1]);
  const meet = (server: string, address: string) => (): void =>
    scene.server.meet({ ...({} as Challenge), server, instance: 'other' }, address);
  expect(meet('bergen', '10.0.0.7')).toThrow('this may be a copy with older content');
  expect(meet('bergen', '192.168.10.9')).not.toThrow();
  expect(meet(scene.server.name, '10.0.0.7')).not.toThrow();
});

test('a new list makes an attached volume larger, once; a smaller size changes nothing', () => {
  const scene = new Scene();
  scene.answerList(1);
  scene.answerOpen(1);
  expect(scene.mib).toBe(1);
  for (const [mib, then] of [
    [3, 3],
    [3, 3],
    [2, 3],
    [4, 4],
  ] as const) {
    scene.notify();
    scene.answerList(mib);
    expect(scene.mib).toBe(then);
  }
  expect(scene.said).toEqual(['1 > 3', '3 > 4']);
});

test('an answer to OPEN that is older than the list takes its size from the list', () => {
  const scene = new Scene();
  scene.answerList(2);
  expect(scene.mib).toBe(null);
  scene.answerOpen(1);
  expect([scene.mib, scene.said]).toEqual([2, ['1 > 2']]);
});

// Regression: if the list after a take-over arrived before the answer to an earlier OPEN, an idle client never noticed that it had lost the
// volume.
test('an answer to OPEN that is older than a list without our hold triggers a query', () => {
  const scene = new Scene();
  scene.answerList(1, [VENUS]);
  expect(scene.ioctls).toEqual([]);
  scene.answerOpen(1);
  expect(scene.ioctls).toEqual([IOCTL.IDENTIFY]);
});

test('a list that has our hold, or that is older than the OPEN, triggers no query', () => {
  const held = new Scene();
  held.answerList(1, [US]);
  held.answerOpen(1);
  const before = new Scene();
  before.answerOpen(1);
  expect([held.ioctls, before.ioctls]).toEqual([[], []]);
  before.answerList(1, [US]);
  expect(before.ioctls).toEqual([]);
});

test('a volume keeps its size in a new session, whatever OPEN returns there', () => {
  const scene = new Scene();
  scene.answerList(1);
  scene.answerOpen(1);
  scene.notify();
  scene.answerList(4);
  scene.loseSession();
  scene.answerOpen(2);
  expect(scene.mib).toBe(4);
  scene.answerList(5);
  expect([scene.mib, scene.said]).toEqual([5, ['1 > 4', '4 > 5']]);
});

// Regression: if the answer to OPEN already had the new size, the list showed no further growth, so that the block device kept its old
// size.
test('a volume that has grown while its server was away is reported as grown, once', () => {
  const scene = new Scene();
  scene.answerList(1);
  scene.answerOpen(1);
  scene.loseSession();
  scene.answerOpen(4);
  expect([scene.mib, scene.said]).toEqual([4, ['1 > 4']]);
  scene.answerList(4);
  expect([scene.mib, scene.said]).toEqual([4, ['1 > 4']]);
});

test('the list of the last session does not apply to volumes attached in this one', () => {
  const scene = new Scene();
  scene.answerList(4);
  scene.loseSession();
  scene.answerOpen(2);
  expect(scene.mib).toBe(2);
  scene.answerList(3);
  expect([scene.mib, scene.said]).toEqual([3, ['2 > 3']]);
});

describe('a wait for a list that does not come', () => {
  function waiting(scene: Scene, waitMs: number): { over: number } {
    const result = { over: 0 };
    void scene.server.refresh(waitMs).then(() => result.over++);
    return result;
  }
  const kept = (scene: Scene): number => (Reflect.get(scene.server, 'listWaiters') as Set<unknown>).size;
  const passed = (): Promise<void> => Promise.resolve();

  test('is dropped when its time is over', () => {
    const scene = new Scene();
    for (let times = 0; times < 100; times++) {
      void scene.server.refresh(LIST_WAIT_MS);
      scene.clock.advance(LIST_WAIT_MS);
    }
    expect(kept(scene)).toBeLessThanOrEqual(1);
  });

  test('ends early when too many others wait', async () => {
    const scene = new Scene();
    const result = Array.from({ length: LIST_WAITERS_MAX + 1 }, () => waiting(scene, LIST_WAIT_MS));
    await passed();
    expect([kept(scene), result[0]?.over, result[1]?.over]).toEqual([LIST_WAITERS_MAX, 1, 0]);
    scene.answerList(1);
    await passed();
    expect([kept(scene), result.every(({ over }) => over === 1)]).toEqual([0, true]);
  });

  test('ends at a malformed answer, which changes nothing', async () => {
    const scene = new Scene();
    const result = waiting(scene, LIST_WAIT_MS);
    scene.answerNonsense(OP.LIST);
    await passed();
    expect([result.over, scene.server.isListed]).toEqual([1, false]);
  });
});

describe('waiting until a volume is listed', () => {
  /** Returns the result of the promise `wait`; `waits` if it has not resolved yet. */
  async function outcome(wait: Promise<boolean>): Promise<boolean | 'waits'> {
    return Promise.race([wait, new Promise<'waits'>((resolve) => setImmediate(() => resolve('waits')))]);
  }

  test('a volume that is listed already is there at once', async () => {
    const scene = new Scene();
    scene.answerList(1);
    expect(await outcome(scene.server.whenListed('id'))).toBe(true);
    expect(await outcome(scene.server.whenListed('other'))).toBe('waits');
  });

  test('the list that the server announces ends the wait, without a further request', async () => {
    const scene = new Scene();
    const wait = scene.server.whenListed('id');
    expect(await outcome(wait)).toBe('waits');
    scene.answerList(1);
    expect(await outcome(wait)).toBe(true);
  });

  test('a list that was requested too early does not end it; the announcement behind it does', async () => {
    const scene = new Scene();
    scene.answerList(1);
    const wait = scene.server.whenListed('other');
    scene.clock.advance(5);
    scene.answerList(1);
    expect(await outcome(wait)).toBe('waits');
    scene.notify();
    scene.answerList(1, [US], 'other');
    expect(await outcome(wait)).toBe(true);
  });

  test('it also survives a lost session', async () => {
    const scene = new Scene();
    scene.answerList(1);
    const wait = scene.server.whenListed('other');
    scene.loseSession();
    expect(await outcome(wait)).toBe('waits');
    scene.answerList(1, [US], 'other');
    expect(await outcome(wait)).toBe(true);
  });

  test('it ends after VOLUME_LISTED_WAIT_MS, and no more than VOLUME_WAITERS_MAX wait', async () => {
    const scene = new Scene();
    scene.answerList(1);
    const waits = Array.from({ length: VOLUME_WAITERS_MAX }, () => scene.server.whenListed('other'));
    await expect(scene.server.whenListed('other')).rejects.toThrow(`${VOLUME_WAITERS_MAX} requests wait for new volumes of server`);
    scene.clock.advance(VOLUME_LISTED_WAIT_MS);
    expect(await Promise.all(waits)).toEqual(waits.map(() => false));
    expect(await outcome(scene.server.whenListed('other'))).toBe('waits');
  });
});

test('the gate record of any volume is read without a handle, and a server that is not connected is an error', async () => {
  const scene = new Scene();
  const found = scene.server.readRecord('other');
  scene.clock.advance(5);
  scene.answerRecord(Buffer.from('record'));
  expect(await found).toEqual(Buffer.from('record'));
  const again = scene.server.readRecord('other');
  scene.clock.advance(5);
  scene.scripted.loseSession();
  scene.clock.advance(1);
  await expect(scene.server.readRecord('other')).rejects.toMatchObject({ code: 'E_UNREACHABLE' });
  scene.clock.advance(PATH_SETTLED_MS * 2);
  scene.answerRecord(null);
  expect(await again).toBeNull();
});
