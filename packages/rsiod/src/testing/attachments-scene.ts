// Attachments with the production namespace, trunk and notifications, and a scripted server, for tests. The test advances the clock.
// Invariant: the server answers LIST requests automatically, and each other request only on the test's order.

import type { EventView } from '@rsio/common/control/method-table';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { type Log, quietLog } from '@rsio/base/log/log';
import { RsError } from '@rsio/base/lib/errors';
import { PATH_SETTLED_MS } from '@rsio/protocol/client/limits';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { type HeardFrame, type ScriptedPath, ScriptedServer } from '@rsio/protocol/testing/scripted-server';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { OP } from '@rsio/protocol/wire/frames';
import { encodeListAnswers, FailureAnswer, type Holder, OpenAnswer, OpenRequest, type VolumeEntry } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { UNCHECKED_ORIGINS } from '../attachments/volume-origins.ts';
import { AttachedVolumes } from '../attachments/attached-volumes.ts';
import { Attachments } from '../attachments/attachments.ts';
import { OfferList } from '../attachments/offers.ts';
import type { FrontendVolume, VolumeIo } from '../volumes/frontend-volume.ts';
import type { Namespace } from '../network/namespace.ts';
import { Namespaces } from '../network/namespaces.ts';
import { Notifications } from '../control/notifications.ts';
import type { Frontend } from '../frontends/frontend.ts';
import { Frontends } from '../frontends/frontends.ts';
import { stallNotification } from '../control/views.ts';

const MIB = 1 << 20;
const EMPTY = Buffer.alloc(0);
const US: Holder = { node: 'node', address: '192.168.10.1', sinceMs: 1 };
export const VENUS: Holder = { node: 'venus', address: '192.168.10.2', sinceMs: 2 };

export class Scene {
  readonly clock = new FakeClock();
  readonly random = new SeededRandom(1);
  readonly scripted = new ScriptedServer(this.random);
  readonly network = new MemoryNetwork(this.clock, IDEAL_LINK, (end) => this.scripted.accept(end));
  readonly notifications = new Notifications(quietLog, this.clock, null, (event) => void this.happened.push(event));
  readonly namespace: Namespace;
  readonly attachments: Attachments;
  readonly stalls: string[] = [];
  private readonly happened: EventView[] = [];
  holders: readonly Holder[] = [];
  universes: readonly number[] = [0];
  /** The mirror of which the volume is a replica. */
  mirror: string | undefined;
  private readonly answered = new Set<HeardFrame>();

  constructor(attach = 'none', frontends: readonly Frontend[] = [], log: Log = quietLog) {
    this.scripted.answersPings = true;
    this.network.addRoute('192.168.10.1', '192.168.10.9');
    const text = `[interface if0]\naddress = 192.168.10.1/24\n[namespace n]\nnamespaceid = 1\nnodename = node\nnodekey = ${this.scripted.nodekey}\nattach = ${attach}\n[server big-9]\naddress = 192.168.10.9\n`;
    const config = parseRscltConfig(text, 'rscltcfg');
    const locals = config.interfaces.map(({ name, address, prefixLength, portGiven }) => ({ name, address, prefixLength, portGiven }));
    const { clock, notifications } = this;
    const namespaces = new Namespaces(
      { setups: [{ whole: config, config: config.namespaces[0]!, locals }], setupsOf: () => [] },
      { instance: 1, machine: 'm', boot: 'b', process: 'p', dataProcess: 0 },
      {
        clock,
        log: quietLog,
        connector: this.network,
        random: this.random.bytes,
        pools: { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() },
        hasDataProcesses: false,
        known: { of: () => [], serveridAt: () => null, learned: () => {} },
      },
    );
    this.attachments = new Attachments({
      clock,
      log,
      namespaces,
      offers: new OfferList(namespaces),
      volumes: new AttachedVolumes(),
      record: { save: async () => {} },
      frontends: new Frontends(frontends),
      reports: {
        stalled: (volume, word) => {
          this.stalls.push(stallNotification(volume, word, clock).to);
          if (word.startsWith('storage')) notifications.stalled(volume, word);
        },
        cut: (volume, sentence) => notifications.cut(volume, sentence),
        add: (...event) => notifications.add(...event),
      },
      random: () => 0,
      instance: 1,
      elsewhere: null,
      origins: UNCHECKED_ORIGINS,
    });
    const { pathChanged, servers } = namespaces;
    pathChanged.listen(() => {});
    servers.sessionBegan.listen(() => {});
    servers.opened.listen((server, attachment, again, isNewIncarnation) => {
      this.attachments.opened(attachment, isNewIncarnation);
      notifications.opened(server, attachment, again, isNewIncarnation);
    });
    servers.openFailed.listen((server, attachment, status, sentence) => {
      notifications.openFailed(server, attachment, sentence);
      this.attachments.failed(attachment, status, sentence);
    });
    servers.openWaits.listen((...words) => notifications.openWaits(...words));
    servers.listed.listen(() => this.attachments.farm.look());
    servers.grown.listen(() => {});
    this.namespace = namespaces.list[0]!;
    this.namespace.start();
    this.advance(PATH_SETTLED_MS * 2);
  }

  /** Advances the clock and answers LIST requests. The test answers all other requests. */
  advance(ms: number): void {
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(left, 100));
      for (const asked of this.asked(OP.LIST)) this.say(asked, STATUS.OK, this.list());
      this.clock.advance(1);
    }
  }

  /** Like `advance`, and also lets promises settle. */
  async pass(ms = 1): Promise<void> {
    for (let times = 0; times < 20; times++) await Promise.resolve();
    this.advance(ms);
    for (let times = 0; times < 20; times++) await Promise.resolve();
  }

  asked(op: number): HeardFrame[] {
    return this.path?.requests(op).filter((request) => !this.answered.has(request)) ?? [];
  }

  get opens(): OpenRequest[] {
    return (this.path?.requests(OP.OPEN) ?? []).map(({ body }) => OpenRequest.decode(body, 0, body.length));
  }

  async answer(op: number, status: number, body: Buffer = EMPTY): Promise<void> {
    this.say(this.asked(op)[0]!, status, body);
    await this.pass();
  }

  async grant(handle = 1, readonly = false, id = 'id', life = 'l'): Promise<void> {
    const about = { id, sizeBytes: MIB, blockSizeBytes: 512, readonly, shared: false, canDiscard: true };
    await this.answer(OP.OPEN, STATUS.OK, OpenAnswer.encode({ handle, ...about, identity: 'i', life }));
  }

  async refuse(status: number, sentence: string): Promise<void> {
    await this.answer(OP.OPEN, status, FailureAnswer.encode({ sentence, holders: [] }));
  }

  async attached(): Promise<void> {
    const asked = this.attachments.attach(['oracle'], false, null);
    await this.pass();
    await this.grant();
    const [outcome] = await asked;
    if (outcome?.done !== true) throw new Error('The volume is not attached');
    this.holders = [US];
  }

  /** Submits a write as a frontend does. The status is appended to the returned list. */
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
    return this.happened.flatMap(({ object, from, to, reason }) => (object === 'volume n:oracle@0' ? [`${from} > ${to} ${reason}`] : []));
  }

  notify(): void {
    this.path?.say(OP.NOTIFY, ++this.scripted.generation);
    this.advance(10);
  }

  get path(): ScriptedPath | undefined {
    return this.scripted.paths.find(({ closedReason }) => closedReason === null);
  }

  private list(): Buffer {
    const volumeIn = (universe: number): VolumeEntry => ({
      name: 'oracle',
      id: universe === 0 ? 'id' : `id-${universe}`,
      universe,
      sizeBytes: MIB,
      blockSizeBytes: 512,
      readonly: false,
      shared: false,
      holders: this.holders,
      waitsForSpace: false,
      mirror: this.mirror,
    });
    return encodeListAnswers({ generation: this.scripted.generation, interfaces: [], volumes: this.universes.map(volumeIn) })[0]!;
  }

  private say(frame: HeardFrame, status: number, body: Buffer): void {
    this.answered.add(frame);
    if (frame.header.op === OP.WRITE || frame.header.op === OP.FLUSH) this.path!.answerIo(frame, status);
    else this.path!.answerMessage(frame, status, body);
  }
}

/** A frontend that only remembers which volumes it shows. If the test sets `whyNot`, `show` throws this error. */
export class FakeFrontend implements Frontend {
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
  incarnationChanged = (_volume: FrontendVolume): void => undefined;
  start = async (): Promise<void> => undefined;
  grown = async (): Promise<void> => undefined;
  release = async (): Promise<void> => undefined;
  releaseLeft = async (): Promise<void> => undefined;
  close = async (): Promise<void> => undefined;
  handOver = async (): Promise<void> => undefined;
  stop = async (): Promise<void> => undefined;
}
