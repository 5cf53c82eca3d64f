// Attaching, detaching and losing volumes, with the production namespace, trunk and notifications, against a scripted server.
// Re-sent requests are tested in the trunk's revoke.test.ts, the file of attached volumes in attached-list.test.ts.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { quietLog } from '@rsio/common/log/log';
import { RsError } from '@rsio/common/lib/errors';
import { STORAGE_ERRORS_LOG_MS } from '@rsio/common/log/limits';
import { PATH_SETTLED_MS, REOPEN_RETRY_MS, UNFIT_RETRY_MS } from '@rsio/protocol/client/limits';
import { TAKE_OVER_WAIT_MS } from '@rsio/protocol/link/limits';
import { ATTACH_WAIT_MS, DETACH_WAIT_MS } from './limits.ts';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { type HeardFrame, type ScriptedPath, ScriptedServer } from '@rsio/protocol/testing/scripted-server';
import { SeededRandom } from '@rsio/common/testing/seeded-random';
import { OP } from '@rsio/protocol/wire/frames';
import {
  decodeOpenRequest,
  encodeFailureAnswer,
  encodeFarewell,
  encodeListAnswers,
  encodeOpenAnswer,
} from '@rsio/protocol/wire/message-codec';
import { type Holder, IOCTL, type OpenRequest, TAKE, type VolumeEntry } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { describe, expect, test } from 'vitest';
import { Attachments } from './attachments.ts';
import type { FrontendVolume, VolumeIo } from '../volumes/frontend-volume.ts';
import { Namespace } from '../network/namespace.ts';
import { Notifications } from '../control/notifications.ts';
import type { Frontend } from '../frontends/frontend.ts';
import { Frontends } from '../frontends/frontends.ts';
import { attachmentView, stallNotification } from '../control/views.ts';

const MIB = 1 << 20;
const EMPTY = Buffer.alloc(0);
const US: Holder = { node: 'node', address: '192.168.10.1', sinceMs: 1 };
const VENUS: Holder = { node: 'venus', address: '192.168.10.2', sinceMs: 2 };

class Scene {
  readonly clock = new FakeClock();
  readonly random = new SeededRandom(1);
  readonly scripted = new ScriptedServer(this.random);
  readonly network = new MemoryNetwork(this.clock, IDEAL_LINK, (end) => this.scripted.accept(end));
  readonly notifications = new Notifications(quietLog, this.clock);
  readonly namespace: Namespace;
  readonly attachments: Attachments;
  readonly stalls: string[] = [];
  holders: readonly Holder[] = [];
  private readonly answered = new Set<HeardFrame>();

  /** `attach`: the value of that key in rscltcfg. */
  constructor(attach = 'none', frontends: readonly Frontend[] = []) {
    this.scripted.answersPings = true;
    this.network.addRoute('192.168.10.1', '192.168.10.9');
    const text = `[interface if0]\naddress = 192.168.10.1/24\n[namespace n]\nnamespaceid = 1\nnodename = node\nnodekey = ${this.scripted.nodekey}\nattach = ${attach}\n[server big-9]\naddress = 192.168.10.9\n`;
    const config = parseRscltConfig(text, 'rscltcfg');
    const locals = config.interfaces.map(({ name, address, prefixLength, portGiven }) => ({ name, address, prefixLength, portGiven }));
    const { clock, notifications } = this;
    this.attachments = new Attachments({
      clock,
      log: quietLog,
      namespaces: () => [this.namespace],
      frontends: new Frontends(frontends),
      stalled: (volume, word) => {
        this.stalls.push(stallNotification(volume, word, clock).to);
        if (word.startsWith('storage')) notifications.stalled(volume, word);
      },
      cut: (volume, sentence) => notifications.cut(volume, sentence),
    });
    this.namespace = new Namespace(
      { whole: config, config: config.namespaces[0]!, locals },
      { instance: 1, machine: 'm', boot: 'b', process: 'p' },
      {
        clock,
        log: quietLog,
        connector: this.network,
        random: this.random.bytes,
        pools: { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() },
        events: {
          sessionBegan: () => {},
          opened: (server, attachment, again, isNewIncarnation) => {
            this.attachments.opened(attachment);
            notifications.opened(server, attachment, again, isNewIncarnation);
          },
          openFailed: (server, attachment, status, sentence) => {
            notifications.openFailed(server, attachment, sentence);
            this.attachments.failed(attachment, status, sentence);
          },
          openWaits: (...words) => notifications.openWaits(...words),
          grown: () => {},
        },
        serverCount: () => 0,
        pathChanged: () => {},
      },
    );
    this.namespace.start();
    this.advance(PATH_SETTLED_MS * 2);
  }

  /** Advances the clock. LISTs are answered here, all other requests by the test. */
  advance(ms: number): void {
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(left, 100));
      for (const asked of this.asked(OP.LIST)) this.say(asked, STATUS.OK, this.list());
      this.clock.advance(1);
    }
  }

  /** As `advance`, and lets promises settle. */
  async pass(ms = 1): Promise<void> {
    for (let times = 0; times < 20; times++) await Promise.resolve();
    this.advance(ms);
    for (let times = 0; times < 20; times++) await Promise.resolve();
  }

  asked(op: number): HeardFrame[] {
    return this.path?.requests(op).filter((request) => !this.answered.has(request)) ?? [];
  }

  get opens(): OpenRequest[] {
    return (this.path?.requests(OP.OPEN) ?? []).map(({ body }) => decodeOpenRequest(body, 0, body.length));
  }

  async answer(op: number, status: number, body: Buffer = EMPTY): Promise<void> {
    this.say(this.asked(op)[0]!, status, body);
    await this.pass();
  }

  async grant(handle = 1, readonly = false): Promise<void> {
    const about = { id: 'id', sizeBytes: MIB, blockSizeBytes: 512, readonly, shared: false, canDiscard: true };
    await this.answer(OP.OPEN, STATUS.OK, encodeOpenAnswer({ handle, ...about, identity: 'i', life: 'l' }));
  }

  async refuse(status: number, sentence: string): Promise<void> {
    await this.answer(OP.OPEN, status, encodeFailureAnswer({ sentence, holders: [] }));
  }

  async attached(): Promise<void> {
    const asked = this.attachments.attach(['oracle'], false, null);
    await this.pass();
    await this.grant();
    expect(await asked).toMatchObject([{ done: true }]);
    this.holders = [US];
  }

  /** A WRITE from the frontend. Its outcome is appended to the list. */
  async write(blocks: number): Promise<number[]> {
    const statuses: number[] = [];
    const [volume] = this.attachments.list;
    const io: VolumeIo = {
      op: 'write',
      positionBytes: 0,
      lengthBytes: blocks * 512,
      buffer: Buffer.alloc(blocks * 512),
      bufferOffset: 0,
      fua: false,
      mustKeepAllocated: false,
      done: (status) => statuses.push(status),
    };
    volume!.submit(io);
    await this.pass();
    return statuses;
  }

  get events(): string[] {
    return this.notifications
      .last(100)
      .flatMap(({ object, from, to, reason }) => (object === 'volume n:oracle@0' ? [`${from} > ${to} ${reason}`] : []));
  }

  notify(): void {
    this.path?.say(OP.NOTIFY, ++this.scripted.generation);
    this.advance(10);
  }

  get path(): ScriptedPath | undefined {
    return this.scripted.paths.find(({ closedReason }) => closedReason === null);
  }

  private list(): Buffer {
    const volume: VolumeEntry = {
      name: 'oracle',
      id: 'id',
      universe: 0,
      sizeBytes: MIB,
      blockSizeBytes: 512,
      readonly: false,
      shared: false,
      holders: this.holders,
    };
    return encodeListAnswers({ generation: this.scripted.generation, interfaces: [], volumes: [volume] })[0]!;
  }

  private say(frame: HeardFrame, status: number, body: Buffer): void {
    this.answered.add(frame);
    if (frame.header.op === OP.WRITE || frame.header.op === OP.FLUSH) this.path!.answerIo(frame, status);
    else this.path!.answerMessage(frame, status, body);
  }
}

describe('attaching', () => {
  test.each([
    [TAKE.NO, 'HELD', 'E_HELD'],
    [TAKE.OVER, 'HELD', 'E_HELD'],
    [TAKE.FORCE, 'TAKEN', 'E_TAKEN'],
  ] as const)("the OPEN says take %d, and a refusal with %s is reported with the server's text", async (take, status, code) => {
    const scene = new Scene();
    const asked = scene.attachments.attach(['oracle'], false, null, take);
    await scene.pass();
    expect(scene.opens).toEqual([{ name: 'oracle', universe: 0, readonly: false, take, resume: null }]);
    await scene.refuse(STATUS[status], 'venus has it');
    expect(await asked).toEqual([
      { volume: 'n:oracle@0', done: false, already: false, device: null, error: { code, message: 'venus has it' } },
    ]);
    expect(scene.attachments.list).toEqual([]);
  });

  test('a take-over has a longer time limit, and a volume that is granted after it is given back', async () => {
    const scene = new Scene();
    const asked = scene.attachments.attach(['oracle'], false, null, TAKE.OVER);
    await scene.pass(TAKE_OVER_WAIT_MS - 1000);
    expect(TAKE_OVER_WAIT_MS).toBeGreaterThan(ATTACH_WAIT_MS);
    let isOver = false;
    void asked.then(() => (isOver = true));
    await scene.pass();
    expect(isOver).toBe(false);
    await scene.pass(2000);
    expect(await asked).toMatchObject([{ done: false, error: { code: 'E_TIMEOUT' } }]);
    await scene.grant(5);
    expect(scene.asked(OP.CLOSE).map(({ header }) => header.handle)).toEqual([5]);
  });

  test('a take-over of a volume that is attached here succeeds at once', async () => {
    const scene = new Scene();
    await scene.attached();
    expect(await scene.attachments.attach(['oracle'], false, null, TAKE.OVER)).toMatchObject([{ done: true, already: true }]);
    expect(scene.opens.length).toBe(1);
  });

  test('a volume that is attached or being opened read-write is not reported as attached read-only', async () => {
    const scene = new Scene();
    const first = scene.attachments.attach(['oracle'], false, null);
    const second = scene.attachments.attach(['oracle'], true, null);
    await scene.pass();
    await scene.grant();
    expect(await first).toMatchObject([{ done: true }]);
    await scene.pass();
    expect(await second).toMatchObject([{ done: false, error: { code: 'E_IN_USE' } }]);
    expect(await scene.attachments.attach(['oracle'], true, null)).toMatchObject([{ done: false, error: { code: 'E_IN_USE' } }]);
    expect(await scene.attachments.attach([], true, null)).toMatchObject([{ done: false, error: { code: 'E_IN_USE' } }]);
    expect(await scene.attachments.attach([], false, null)).toMatchObject([{ done: true, already: true }]);
  });

  test('equal attach requests share one OPEN', async () => {
    const scene = new Scene();
    const both = [TAKE.OVER, TAKE.OVER].map((take) => scene.attachments.attach(['oracle'], false, null, take));
    await scene.pass();
    await scene.grant();
    expect(await Promise.all(both)).toMatchObject([[{ done: true }], [{ done: true }]]);
    expect(scene.opens.length).toBe(1);
  });

  test('a request for more waits its turn: after a refusal it is tried, after a success it is already done', async () => {
    for (const isGranted of [false, true]) {
      const scene = new Scene();
      const plain = scene.attachments.attach(['oracle'], false, null);
      const forced = [TAKE.FORCE, TAKE.FORCE].map((take) => scene.attachments.attach(['oracle'], false, null, take));
      await scene.pass();
      expect(scene.opens.map(({ take }) => take)).toEqual([TAKE.NO]);
      if (isGranted) await scene.grant();
      else await scene.refuse(STATUS.HELD, 'venus has it');
      expect(await plain).toMatchObject([{ done: isGranted }]);
      await scene.pass();
      expect(scene.opens.map(({ take }) => take)).toEqual(isGranted ? [TAKE.NO] : [TAKE.NO, TAKE.FORCE]);
      if (!isGranted) await scene.grant();
      expect(await Promise.all(forced)).toMatchObject([[{ done: true }], [{ done: true }]]);
      expect(scene.attachments.list.length).toBe(1);
    }
  });
});

/** A frontend that shows volumes unless `show` is replaced. */
class FakeFrontend implements Frontend {
  readonly needsUnused = false;
  readonly leftVolumes = [];
  readonly shown = new Set<FrontendVolume>();
  whyNot: RsError | null = null;

  async show(volume: FrontendVolume): Promise<void> {
    if (this.whyNot !== null) throw this.whyNot;
    this.shown.add(volume);
  }
  async hide(volume: FrontendVolume): Promise<void> {
    this.shown.delete(volume);
  }
  async drop(volume: FrontendVolume): Promise<void> {
    this.shown.delete(volume);
  }
  shownAs = (): null => null;
  usersOf = async (): Promise<string[]> => [];
  incarnationChanged = (): void => undefined;
  start = async (): Promise<void> => undefined;
  grown = async (): Promise<void> => undefined;
  release = async (): Promise<void> => undefined;
  releaseLeft = async (): Promise<void> => undefined;
  close = async (): Promise<void> => undefined;
  handOver = async (): Promise<void> => undefined;
  stop = async (): Promise<void> => undefined;
}

// Regression: such a volume counted as detached by the administrator, even after the next start of rsiod.
test('a volume whose devices could not be made is attached by the next reload that finds it in the configuration', async () => {
  const frontend = new FakeFrontend();
  frontend.whyNot = new RsError('E_SYSTEM', '/dev/fuse is missing');
  const scene = new Scene('all', [frontend]);
  const attach = async (): Promise<void> => {
    const asked = scene.attachments.attachWanted(true);
    await scene.pass();
    await scene.grant();
    for (const op of frontend.whyNot === null ? [] : [OP.FLUSH, OP.CLOSE]) {
      await scene.pass(500);
      await scene.answer(op, STATUS.OK);
    }
    await asked;
  };
  await attach();
  expect([scene.attachments.list, [...scene.attachments.detached]]).toEqual([[], []]);
  frontend.whyNot = null;
  await attach();
  expect(scene.attachments.list).toHaveLength(1);
});

test('a volume keeps one name, also after a detach and a new session', async () => {
  const scene = new Scene();
  const shown = (): string => attachmentView(scene.attachments.list[0]!, { raw: null, block: null }, 1).byId;
  await scene.attached();
  expect(shown()).toBe('rsio-1-id');
  const detached = scene.attachments.detach(['oracle'], false);
  for (const op of [OP.FLUSH, OP.CLOSE]) {
    await scene.pass(500);
    await scene.pass(500);
    await scene.answer(op, STATUS.OK);
  }
  expect(await detached).toMatchObject([{ done: true }]);
  scene.scripted.loseSession();
  await scene.pass(PATH_SETTLED_MS * 5);
  const again = scene.attachments.attach(['oracle'], false, null);
  await scene.pass();
  await scene.grant(7);
  expect(await again).toMatchObject([{ done: true, already: false }]);
  expect(shown()).toBe('rsio-1-id');
});

describe('a volume that another client takes', () => {
  async function taken(scene: Scene): Promise<number[]> {
    await scene.attached();
    const statuses = await scene.write(1);
    await scene.answer(OP.WRITE, STATUS.STALE);
    await scene.pass(REOPEN_RETRY_MS);
    expect(scene.opens.at(-1)).toMatchObject({ take: TAKE.NO, resume: 'i' });
    await scene.refuse(STATUS.TAKEN, 'Volume oracle was taken over by venus');
    return statuses;
  }

  test('leaves the list, its I/O fails, and one event names the new holder', async () => {
    const scene = new Scene();
    expect([await taken(scene), scene.attachments.list]).toEqual([[STATUS.TAKEN], []]);
    expect(scene.events.filter((event) => event.includes('venus'))).toEqual(['open > lost Volume oracle was taken over by venus']);
  });

  test('is attached again by the administrator only, not by the configuration', async () => {
    const scene = new Scene('all');
    await taken(scene);
    const asked = scene.opens.length;
    scene.scripted.loseSession();
    await scene.pass(PATH_SETTLED_MS * 5);
    // The same rule holds at a start and at a reload.
    for (const says of [false, true]) await scene.attachments.attachWanted(says);
    await scene.pass(REOPEN_RETRY_MS * 3);
    expect([asked, scene.opens.length]).toEqual([2, 0]);
    const refused = scene.attachments.attach(['oracle'], false, null);
    await scene.pass();
    await scene.refuse(STATUS.HELD, 'venus has it');
    await refused;
    await scene.attachments.attachWanted(true);
    await scene.pass();
    expect(scene.opens.length).toBe(1);
    const again = scene.attachments.attach(['oracle'], false, null, TAKE.OVER);
    await scene.pass();
    await scene.grant(2);
    expect(await again).toMatchObject([{ done: true }]);
  });

  test('while it is idle: a list without our hold triggers a request, and STALE shows the loss', async () => {
    const scene = new Scene();
    await scene.attached();
    scene.notify();
    expect(scene.asked(OP.IOCTL)).toEqual([]);
    scene.holders = [VENUS];
    scene.notify();
    expect(scene.asked(OP.IOCTL).map(({ header }) => header.aux)).toEqual([IOCTL.IDENTIFY]);
    await scene.answer(OP.IOCTL, STATUS.STALE);
    await scene.pass(REOPEN_RETRY_MS);
    await scene.refuse(STATUS.TAKEN, 'Volume oracle was taken over by venus');
    expect(scene.attachments.list).toEqual([]);
  });
});

describe('detaching by force', () => {
  // Regression: requests in flight stayed with the server and could overwrite data of the next attachment.
  test('abandons requests in flight: the session is left, nothing is sent again, and the next session ends the hold', async () => {
    const scene = new Scene();
    await scene.attached();
    const statuses = await scene.write(1);
    const detached = scene.attachments.detach(['oracle'], true);
    await scene.pass(DETACH_WAIT_MS - 1000);
    expect(statuses).toEqual([]);
    const session = scene.namespace.servers.get(1)!.trunk.session!.id;
    await scene.pass(2000);
    expect([statuses, scene.attachments.list]).toEqual([[STATUS.OUTCOME_UNKNOWN], []]);
    scene.scripted.loseSession();
    await scene.pass(PATH_SETTLED_MS * 5);
    expect(scene.namespace.servers.get(1)!.trunk.session!.id).not.toEqual(session);
    expect([scene.asked(OP.WRITE), scene.opens]).toMatchObject([[], [{ take: TAKE.NO, resume: 'i' }]]);
    await scene.grant(4);
    expect(scene.asked(OP.CLOSE).map(({ header }) => header.handle)).toEqual([4]);
    await scene.answer(OP.CLOSE, STATUS.OK);
    expect(await detached).toMatchObject([{ done: true, error: null }]);
  });

  test('abandons requests in flight also if the server answers and only the FLUSH hangs', async () => {
    const scene = new Scene();
    await scene.attached();
    const statuses = await scene.write(1);
    const detached = scene.attachments.detach(['oracle'], true);
    await scene.answer(OP.WRITE, STATUS.OK);
    await scene.pass();
    expect([statuses, scene.asked(OP.FLUSH).length]).toEqual([[STATUS.OK], 1]);
    await scene.pass(DETACH_WAIT_MS + 1000);
    await scene.pass();
    expect(scene.scripted.connections.some(({ closedReason }) => closedReason !== null)).toBe(true);
    await scene.pass(DETACH_WAIT_MS * 2);
    expect(await detached).toMatchObject([{ done: true }]);
    expect(scene.asked(OP.FLUSH)).toEqual([]);
    expect(scene.events.filter((event) => event.startsWith('attached > cut 512 written bytes'))).toHaveLength(1);
  });
});

describe('a second request to detach a volume waits for the first', () => {
  // Regression: both requests passed the check before either was noted, so that each sent FLUSH and CLOSE.
  test('and finds the volume detached: the server is asked for one FLUSH and one CLOSE', async () => {
    const scene = new Scene();
    await scene.attached();
    const both = Promise.all([1, 2].map(() => scene.attachments.detach(['oracle'], false)));
    for (const op of [OP.FLUSH, OP.CLOSE]) {
      await scene.pass(500);
      await scene.pass(500);
      expect(scene.asked(op)).toHaveLength(1);
      await scene.answer(op, STATUS.OK);
    }
    expect((await both).flat()).toMatchObject([
      { done: true, already: false },
      { done: true, already: true },
    ]);
  });

  // Regression: the second request was told at once that the volume was detached, although the first one failed later.
  test('and detaches the volume itself, by force, if the first one has failed', async () => {
    const scene = new Scene();
    await scene.attached();
    const first = scene.attachments.detach(['oracle'], false);
    await scene.pass();
    let isOver = false;
    const second = scene.attachments.detach(['oracle'], true).finally(() => (isOver = true));
    await scene.pass(DETACH_WAIT_MS - 1000);
    expect(isOver).toBe(false);
    await scene.answer(OP.FLUSH, STATUS.IO_ERROR);
    expect(await first).toMatchObject([{ done: false, error: { code: 'E_VOLUME' } }]);
    expect(scene.attachments.list).toHaveLength(1);
    for (const op of [OP.FLUSH, OP.CLOSE]) {
      await scene.pass(500);
      await scene.pass(500);
      await scene.answer(op, STATUS.OK);
    }
    expect(await second).toMatchObject([{ done: true, already: false }]);
    expect(scene.attachments.list).toEqual([]);
  });
});

// Regression: the failed detach showed the volume again, and nothing removed its devices any more.
test('a volume that another client takes during a detach is not shown again', async () => {
  const frontend = new FakeFrontend();
  const scene = new Scene('none', [frontend]);
  await scene.attached();
  const detached = scene.attachments.detach(['oracle'], false);
  await scene.pass(500);
  await scene.answer(OP.FLUSH, STATUS.STALE);
  await scene.pass(REOPEN_RETRY_MS);
  await scene.refuse(STATUS.TAKEN, 'Volume oracle was taken over by venus');
  expect(await detached).toMatchObject([{ done: false }]);
  expect([scene.attachments.list, frontend.shown.size]).toEqual([[], 0]);
});

/** By then every retry has run many times. */
const LATER_MS = 55_000;

describe('a client that was replaced', () => {
  const said = { code: 'E_REPLACED', sentence: 'Node node was started anew at 192.168.10.2' };

  test('fails its I/O with the reason at a BYE, begins no session, and reports why', async () => {
    const scene = new Scene('all');
    await scene.attached();
    const statuses = await scene.write(1);
    scene.path!.say(OP.BYE, 0, encodeFarewell(said));
    await scene.pass();
    expect([statuses, scene.attachments.list]).toEqual([[STATUS.TAKEN], []]);
    expect(scene.events.at(-1)).toContain(`instead of this one (${said.sentence})`);
    const sessions = scene.scripted.paths.length;
    await scene.pass(LATER_MS);
    expect(scene.scripted.paths.length).toBe(sessions);
    expect(scene.namespace.routes[0]!.supervisor.lastErrorSentence).toContain('[E_REPLACED]');
    expect(await scene.attachments.attach(['oracle'], false, null)).toMatchObject([{ done: false, error: { code: 'E_REPLACED' } }]);
  });

  test('fails its I/O if a server that proves itself refuses it for this reason', async () => {
    const scene = new Scene();
    await scene.attached();
    const statuses = await scene.write(1);
    scene.scripted.decide = (path) => path.refuse('E_REPLACED', said.sentence);
    scene.scripted.loseSession();
    await scene.pass(LATER_MS);
    expect([statuses, scene.attachments.list]).toEqual([[STATUS.TAKEN], []]);
    expect(scene.events.at(-1)).toContain(said.sentence);
  });

  test('waits if an unproven peer says so, and continues when it is welcomed', async () => {
    const scene = new Scene();
    await scene.attached();
    const statuses = await scene.write(1);
    const { decide } = scene.scripted;
    scene.scripted.decide = (path) => path.refuseUnproved('E_REPLACED', said.sentence);
    scene.scripted.loseSession();
    await scene.pass(LATER_MS);
    expect([statuses, scene.attachments.list.length]).toEqual([[], 1]);
    scene.scripted.decide = decide;
    await scene.pass(10_000);
    await scene.grant(7);
    await scene.answer(OP.WRITE, STATUS.OK);
    expect([statuses, scene.attachments.list.length]).toEqual([[STATUS.OK], 1]);
  });
});

describe('a server that reports slow storage', () => {
  const SLOW = 'Server process 7 of node node stands still';
  const STALL = 5_000;

  async function refused(by: 'refuse' | 'refuseUnproved'): Promise<{ scene: Scene; statuses: number[]; welcome: () => void }> {
    const scene = new Scene();
    await scene.attached();
    for (const { stall } of scene.attachments.list) stall.setPolicy(STALL);
    const statuses = await scene.write(1);
    const { decide } = scene.scripted;
    scene.scripted.decide = (path) => path[by]('E_DRAINING', SLOW);
    scene.scripted.loseSession();
    await scene.pass(20 * STALL);
    return { scene, statuses, welcome: () => (scene.scripted.decide = decide) };
  }

  test('is awaited beyond the stall limit, and its report is shown', async () => {
    const { scene, statuses, welcome } = await refused('refuse');
    expect([statuses, scene.stalls]).toEqual([[], ['waiting']]);
    expect(scene.attachments.list[0]!.stall.serverMessage).toContain(SLOW);
    welcome();
    await scene.pass(STALL);
    await scene.grant(7);
    await scene.answer(OP.WRITE, STATUS.OK);
    expect(statuses).toEqual([STATUS.OK]);
  });

  test('is not awaited if an unproven peer reports it', async () => {
    const { statuses } = await refused('refuseUnproved');
    expect(statuses).toEqual([STATUS.OUTCOME_UNKNOWN]);
  });
});

test('full storage is one event, and its recovery another', async () => {
  const scene = new Scene();
  await scene.attached();
  const before = scene.events.length;
  for (const status of [STATUS.NO_SPACE, STATUS.NO_SPACE]) {
    const statuses = await scene.write(1);
    await scene.answer(OP.WRITE, status);
    expect(statuses).toEqual([STATUS.NO_SPACE]);
  }
  await scene.pass(STORAGE_ERRORS_LOG_MS);
  await scene.write(1);
  await scene.answer(OP.WRITE, STATUS.OK);
  await scene.pass(STORAGE_ERRORS_LOG_MS);
  expect(scene.stalls).toEqual(['failing', 'failing', 'open']);
  expect(scene.events.slice(before)).toEqual([
    "open > failing A write ended with ENOSPC: The server's storage is full: free space on the server (see the log of server server)",
    'failing > open A write has succeeded since, and ENOSPC has not occurred again',
  ]);
});

// Regression: any answer to CLOSE counted as the end of the hold.
test('a detach that the server does not confirm fails, and the error says that the hold may remain', async () => {
  const scene = new Scene();
  await scene.attached();
  const detached = scene.attachments.detach(['oracle'], false);
  await scene.pass(500);
  await scene.answer(OP.FLUSH, STATUS.OK);
  await scene.pass(500);
  await scene.answer(OP.CLOSE, STATUS.IO_ERROR, encodeFailureAnswer({ sentence: 'The holder could not be kept', holders: [] }));
  const [outcome] = await detached;
  expect([outcome?.done, outcome?.error?.message]).toEqual([
    false,
    'n:oracle@0 is detached here, but server server may still hold it for this node: The holder could not be kept',
  ]);
});

test('the I/O of a volume that returns read-only waits, and one event gives the reason', async () => {
  const scene = new Scene();
  await scene.attached();
  const statuses = await scene.write(1);
  scene.scripted.loseSession();
  await scene.pass(PATH_SETTLED_MS * 5);
  await scene.grant(2, true);
  await scene.pass(UNFIT_RETRY_MS);
  await scene.grant(3, true);
  const said = scene.events.filter((event) => event.includes('is now read-only on its server, but was attached writable'));
  expect([statuses, said.length, scene.attachments.list[0]?.readonly]).toEqual([[], 1, false]);
});
