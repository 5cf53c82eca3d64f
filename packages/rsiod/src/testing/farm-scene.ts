// Attachments with the production namespace and its events, and three scripted servers of a farm, for tests. Invariant: the servers answer
// LIST automatically, and list the volume if the test has set a generation; they answer every other request only on the test's order.

import type { EventView } from '@rsio/common/control/method-table';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { Log } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { PATH_SETTLED_MS } from '@rsio/protocol/client/limits';
import { CountingBufferPool, CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { type HeardFrame, type ScriptedPath, ScriptedServer } from '@rsio/protocol/testing/scripted-server';
import { OP } from '@rsio/protocol/wire/frames';
import { encodeListAnswers, FailureAnswer, OpenAnswer, type VolumeEntry } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { AttachedVolumes } from '../attachments/attached-volumes.ts';
import { UNCHECKED_ORIGINS } from '../attachments/volume-origins.ts';
import { Attachments } from '../attachments/attachments.ts';
import { OfferList } from '../attachments/offers.ts';
import { Notifications } from '../control/notifications.ts';
import { stallNotification } from '../control/views.ts';
import { Frontends } from '../frontends/frontends.ts';
import { hearServers } from '../daemon/attaching.ts';
import type { Namespace } from '../network/namespace.ts';
import { Namespaces } from '../network/namespaces.ts';

const MIB = 1 << 20;

export class FarmServer {
  readonly scripted: ScriptedServer;
  /** The generation under which the server lists the volume; null if it does not list the volume. */
  generation: number | null = null;
  /** The pool in which the server lists the volume; undefined if the server is too old to name it. */
  pool: string | undefined = undefined;
  changes: Partial<VolumeEntry> = {};
  readonly answered = new Set<HeardFrame>();

  constructor(random: SeededRandom, serverid: number) {
    this.scripted = Object.assign(new ScriptedServer(random), { name: `big-${serverid}`, serverid, answersPings: true, revokes: true });
  }

  get isConnected(): boolean {
    return this.scripted.paths.some(({ closedReason }) => closedReason === null);
  }

  get path(): ScriptedPath {
    return this.scripted.paths.findLast(({ closedReason }) => closedReason === null)!;
  }

  asked(op: number): HeardFrame[] {
    return this.isConnected ? this.path.requests(op).filter((frame) => !this.answered.has(frame)) : [];
  }

  list(): Buffer {
    const { generation, scripted } = this;
    const entry = { name: 'oracle', id: 'id', universe: 0, sizeBytes: MIB, blockSizeBytes: 512, readonly: false, shared: false };
    const volume = { ...entry, holders: [], poolGeneration: generation ?? undefined, poolId: this.pool, ...this.changes };
    return encodeListAnswers({ generation: scripted.generation, interfaces: [], volumes: generation === null ? [] : [volume] })[0]!;
  }
}

export class FarmScene {
  readonly clock = new FakeClock();
  readonly random = new SeededRandom(1);
  readonly servers = [1, 2, 3].map((serverid) => new FarmServer(this.random, serverid));
  readonly lines: string[] = [];
  readonly happened: EventView[] = [];
  readonly stalls: string[] = [];
  readonly namespace: Namespace;
  readonly attachments: Attachments;
  recorded = 0;

  constructor() {
    const { clock } = this;
    const add = (line: string): void => void this.lines.push(line);
    const log = { debug: add, info: add, warn: add, error: add, child: () => log, reopen: () => undefined } as unknown as Log;
    const network = new MemoryNetwork(clock, IDEAL_LINK, (end, { address }) =>
      this.servers[Number(address.at(-1)) - 1]!.scripted.accept(end),
    );
    const sections = this.servers.map(({ scripted: { name, serverid } }) => `[server ${name}]\naddress = 10.0.1.${serverid}\n`);
    for (const { scripted } of this.servers) network.addRoute('10.0.0.1', `10.0.1.${scripted.serverid}`);
    const keys = `namespaceid = 1\nnodename = node\nnodekey = ${this.servers[0]!.scripted.nodekey}\n`;
    const config = parseRscltConfig(`[interface if0]\naddress = 10.0.0.1/16\n[namespace n]\n${keys}${sections.join('')}`, 'rscltcfg');
    const notifications = new Notifications(log, clock, null, (event) => void this.happened.push(event));
    const frontends = new Frontends([]);
    const namespaces = new Namespaces(
      { setups: [{ whole: config, config: config.namespaces[0]!, locals: config.interfaces }], setupsOf: () => [] },
      { instance: 1, machine: 'm', boot: 'b', process: 'p', dataProcess: 0 },
      {
        clock,
        log,
        connector: network,
        random: this.random.bytes,
        pools: { bodies: new CountingBufferPool(), outputs: new CountingOutputPool() },
        hasDataProcesses: false,
        known: { of: () => [], serveridAt: () => null, learned: () => {} },
      },
    );
    this.attachments = new Attachments({
      clock,
      log,
      frontends,
      namespaces,
      offers: new OfferList(namespaces),
      volumes: new AttachedVolumes(),
      record: { save: async () => void this.recorded++ },
      reports: {
        stalled: (volume, event) => void this.stalls.push(stallNotification(volume, event, clock).to),
        cut: () => undefined,
        add: (...event) => notifications.add(...event),
      },
      random: () => 0,
      instance: 1,
      elsewhere: null,
      origins: UNCHECKED_ORIGINS,
    });
    hearServers({
      namespaces,
      absences: { shown: async () => {} },
      attachments: this.attachments,
      record: { save: async () => {} },
      frontends,
      notifications,
      sessionBegan: async () => {},
    });
    this.namespace = namespaces.list[0]!;
    this.namespace.start();
    this.advance(PATH_SETTLED_MS * 2);
  }

  advance(ms: number): void {
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(left, 100));
      for (const server of this.servers) {
        for (const frame of server.asked(OP.LIST)) this.say(server, frame, STATUS.OK, server.list());
      }
      this.clock.advance(1);
    }
  }

  /** Like `advance`, and also lets promises settle. */
  async pass(ms = 1): Promise<void> {
    for (let times = 0; times < 20; times++) await Promise.resolve();
    this.advance(ms);
    for (let times = 0; times < 20; times++) await Promise.resolve();
  }

  /** Makes the server list the volume under this generation from now on, and announce the change. */
  async owns(server: FarmServer, generation: number | null, pool = server.pool): Promise<void> {
    server.pool = pool;
    server.generation = generation;
    server.path.say(OP.NOTIFY, ++server.scripted.generation);
    await this.pass(10);
  }

  async grant(server: FarmServer, generation: number | null, id = 'id', poolId = server.pool): Promise<void> {
    const about = { id, sizeBytes: MIB, blockSizeBytes: 512, readonly: false, shared: false, canDiscard: true };
    const opened = OpenAnswer.encode({
      handle: generation ?? 1,
      ...about,
      identity: 'i',
      life: 'l',
      poolGeneration: generation ?? undefined,
      poolId,
    });
    this.say(server, server.asked(OP.OPEN)[0]!, STATUS.OK, opened);
    await this.pass();
  }

  async refuse(server: FarmServer, status: number, sentence: string): Promise<void> {
    this.say(server, server.asked(OP.OPEN)[0]!, status, FailureAnswer.encode({ sentence, holders: [] }));
    await this.pass();
  }

  say(server: FarmServer, frame: HeardFrame, status: number, body: Buffer): void {
    server.answered.add(frame);
    server.path.answerMessage(frame, status, body);
  }

  /** The servers at which an OPEN is unanswered. */
  get opens(): string[] {
    return this.servers.flatMap((server) => server.asked(OP.OPEN).map(() => server.scripted.name));
  }

  /** The server of the attached volume: the text that rsiod shows, and the server's name. */
  get at(): string {
    return this.attachments.list.map((volume) => `${volume.serverText}, ${this.attachments.serverOf(volume)?.name ?? '-'}`).join('; ');
  }
}
