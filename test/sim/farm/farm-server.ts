// A server of a simulated farm: the production listener as far as a shared pool needs it (SharedPools with SharedPool and PoolHandOver,
// Ledgers, Holds, Opens, SessionRequests, Admissions, Incarnations), over a simulated machine. All processes of a server end together; its
// machine may go on, or die with them. farm-pool.ts stands in for Pools and Volumes.
// Invariant: nothing of a dead process goes on.

import type { Socket } from 'node:net';
import type { PoolConfig, SharedDiskConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { ServerHandshake } from '@rsio/protocol/auth/handshake-server';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { Farms } from '@rsio/rssrv/farm/farms';
import { PoolHandOver, type PoolHandOverParts } from '@rsio/rssrv/server/shared/pool-hand-over';
import { PoolLoads } from '@rsio/rssrv/server/shared/pool-loads';
import { SharedPools } from '@rsio/rssrv/volumes/holds/shared-pools';
import { type AdmissionPorts, Admissions } from '@rsio/rssrv/server/admissions';
import { Incarnations, type IncarnationsParts } from '@rsio/rssrv/server/incarnations';
import { announceList } from '@rsio/rssrv/server/offered-volumes';
import { type SessionRequestParts, SessionRequests } from '@rsio/rssrv/server/session-requests';
import { Sessions } from '@rsio/rssrv/server/sessions';
import type { KeyProven } from '@rsio/rssrv/server/unproven-limiter';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import { Holds } from '@rsio/rssrv/volumes/holds/holds';
import type { HoldsFileContent } from '@rsio/rssrv/volumes/holds/holds-file';
import { Ledgers, type LedgersPorts } from '@rsio/rssrv/volumes/holds/ledgers';
import { OwnedLedgers } from '@rsio/rssrv/volumes/holds/owned-ledgers';
import { disputePause } from '@rsio/rssrv/volumes/holds/releases';
import { Revocations } from '@rsio/rssrv/volumes/holds/revocations';
import { NO_LOG } from '../base/no-log.ts';
import { type SimClock, SimProcess } from '../base/sim-clock.ts';
import { identityOf, interfaceAt } from '../machines/sim-identity.ts';
import { proveConnection, type Refuse } from '../machines/sim-handshake.ts';
import type { SimLink } from '../network/sim-link.ts';
import type { SimHost } from '../network/sim-network.ts';
import { SimStateFile } from '../storage/sim-state-file.ts';
import type { Trace } from '../base/trace.ts';
import { type BackendShape, FarmBackend } from './farm-backend.ts';
import type { FarmMachine } from './farm-machine.ts';
import type { FarmVolume } from './farm-judge.ts';
import { FarmPool, POOL, POOL_ID } from './farm-pool.ts';
import { ABSENT, portsOf } from './farm-ports.ts';
import { asSocket, FarmWorker } from './farm-worker.ts';

export interface FarmServerPorts {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly nodekey: string;
  readonly disk: SharedDiskConfig;
  readonly volumes: readonly FarmVolume[];
  readonly backend: BackendShape;
  readonly slots: number;
  readonly controlMs: number;
  breach(sentence: string): void;
}

export class FarmServer implements SimHost {
  readonly name: string;
  readonly serverid: number;
  readonly addresses: readonly string[];
  readonly machine: FarmMachine;
  readonly workers = new Set<FarmWorker>();
  isListening = false;
  listener: SimProcess;
  farms: Farms | null = null;
  private readonly ports: FarmServerPorts;
  private readonly state: SimStateFile<HoldsFileContent>;
  private instance = 0;
  private generation = 1;
  private holds!: Holds;
  private ledgers!: Ledgers;
  private requests!: SessionRequests;
  private admissions!: Admissions;
  private sessions!: Sessions;
  private incarnations!: Incarnations;
  private handOver!: PoolHandOver;
  private loads!: PoolLoads;
  private counts = new Map<string, number>();
  private pool!: FarmPool;
  private refusals = new WeakMap<Socket, Refuse>();
  private lastChange = Promise.resolve();

  constructor(serverid: number, addresses: readonly string[], machine: FarmMachine, ports: FarmServerPorts) {
    this.name = machine.name;
    this.serverid = serverid;
    this.addresses = addresses;
    this.machine = machine;
    this.ports = ports;
    this.state = new SimStateFile(ports.random);
    this.listener = new SimProcess(ports.clock);
    this.boot();
  }

  get isServing(): boolean {
    return this.isListening && this.pool.served.length > 0;
  }

  /** Starts a new process. */
  boot(): void {
    const { clock, random } = this.ports;
    this.listener = new SimProcess(clock);
    const { listener } = this;
    this.instance++;
    this.counts = new Map();
    this.refusals = new WeakMap();
    this.pool = new FarmPool({
      listener,
      machine: this.machine,
      volumes: this.ports.volumes,
      ledgers: () => this.ledgers,
      ownership: () => this.farms?.ownershipOf({ name: POOL, isShared: true }) ?? null,
      changed: () => this.listChanged(),
    });
    this.lastChange = Promise.resolve();
    const { pool } = this;
    const owned = new OwnedLedgers(NO_LOG, (_poolId, work) => pool.onLedger(work));
    this.holds = new Holds('farm', () => Math.floor(listener.wallMs()), NO_LOG, owned);
    const content: () => HoldsFileContent = Reflect.get(Reflect.get(this.holds, 'file'), 'current');
    const file = this.state.openedBy(listener, this.ports.controlMs, content);
    Reflect.set(this.holds, 'file', { ...file, load: () => Promise.resolve(structuredClone(this.state.kept)) });
    this.ledgers = new Ledgers(this.ledgerPorts(owned));
    this.sessions = new Sessions();
    this.incarnations = this.newIncarnations();
    const farms = this.newFarms();
    this.farms = farms;
    const shared = new SharedPools({ log: NO_LOG, farms, pools: pool, volumes: pool, ledgers: owned });
    this.admissions = new Admissions(this.admissionPorts());
    this.requests = this.newRequests(shared);
    this.handOver = new PoolHandOver(this.handOverParts(owned));
    this.loads = new PoolLoads(listener, { view: () => Promise.resolve({ sessions: [], waits: [] }) }, shared);
    void this.holds.load().then(() =>
      listener.after(random.unit(), () => {
        this.isListening = true;
        farms.follow([this.poolConfig]);
      }),
    );
  }

  private get poolConfig(): PoolConfig {
    return { name: POOL, path: this.pool.folder, limitBytes: null, reserve: 0, overcommit: 'warn', shared: this.ports.disk, line: 1 };
  }

  /** Kills all processes of the server. Its mount stays with the kernel. */
  kill(): void {
    this.isListening = false;
    this.listener.kill();
    for (const worker of this.workers) worker.process.kill();
    this.workers.clear();
    this.state.crashed();
    this.machine.mount?.files.clear();
    this.farms = null;
  }

  crash(): void {
    this.kill();
    this.machine.crash();
  }

  get processes(): SimProcess[] {
    return [this.listener, ...[...this.workers].map(({ process }) => process)];
  }

  accept(link: SimLink): void {
    const end = link.server;
    end.owner = this.listener;
    this.listener.after(0, () => {
      const { nodekey, random } = this.ports;
      proveConnection(end, {
        listener: this.listener,
        handshake: new ServerHandshake(
          identityOf(this, this.instance, { revokes: true, tls: false, mirrors: false, dataProcesses: false }),
          random.bytes,
        ),
        nodekey,
        secretOf: (session, node) => this.admissions.secretOf(session, node),
        saysSlow: () => undefined,
        proven: (proven, refuse) => {
          const socket = asSocket(end);
          this.refusals.set(socket, refuse);
          this.admissions.admit(socket, { ...proven, key: nodekey } as KeyProven, interfaceAt(end.localAddress));
        },
      });
    });
  }

  /** Makes changes one after the other. */
  private runOwn(work: () => Promise<void>): Promise<void> {
    const change = this.lastChange.then(work);
    this.lastChange = change.catch(() => undefined);
    return change;
  }

  private listChanged(): void {
    this.generation++;
    announceList(this.admissions.sessions, { generation: this.generation, interfaces: this.interfaces, grown: [] }, null, []);
  }

  private get interfaces(): readonly ServerInterface[] {
    return this.addresses.map(interfaceAt);
  }

  private ended(id: string): Promise<void> {
    this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
    return Promise.resolve();
  }

  // --- The ports of the production listener

  private ledgerPorts(owned: OwnedLedgers): LedgersPorts {
    return {
      log: NO_LOG,
      holds: this.holds,
      fences: { adopt: () => [], all: {} } as unknown as LedgersPorts['fences'],
      owned,
      owner: () => `${this.name}.${this.instance}`,
      begin: () => Promise.resolve(),
      countOf: (id) => this.counts.get(id) ?? 0,
      adoptCounts: (counts) => {
        for (const [id, count] of Object.entries(counts)) this.counts.set(id, count);
      },
      areRemembered: () => false,
      came: () => this.admissions.holdersCame(),
    };
  }

  private newIncarnations(): Incarnations {
    return new Incarnations(
      portsOf<IncarnationsParts>({
        log: NO_LOG,
        volumes: { nameOf: (id: string) => id, served: [], cut: () => Promise.resolve(null), clearOldError: () => Promise.resolve() },
        records: { incarnationsEnded: async (ids: readonly string[]) => void (await Promise.all(ids.map((id) => this.ended(id)))) },
        sessions: this.sessions,
        holds: this.holds,
        lists: { changed: () => this.listChanged() },
      }),
    );
  }

  private newRequests(shared: SharedPools): SessionRequests {
    const { pool } = this;
    const { volumes } = this.ports;
    const failure = (id: string, why: string, hasMoved: boolean): object => {
      const { clients } = this.ports.volumes.find((one) => one.id === id)!;
      return { name: id, universe: 0, clients, error: new RsError('E_VOLUME', `Volume ${id}: ${why}`, { hasMoved }) };
    };
    return new SessionRequests(
      portsOf<SessionRequestParts>({
        clock: this.listener,
        log: NO_LOG,
        server: this.name,
        holds: this.holds,
        volumes: {
          get served() {
            return pool.offered;
          },
          get failures() {
            return [...pool.suspended].map(([id, why]) => failure(id, why, false));
          },
          sync: (id: string) => pool.sync(id),
        },
        // Worlds of farms have no rights, no snapshots, no images and no gate records.
        rights: ABSENT,
        snapshotAnswers: ABSENT,
        bridges: ABSENT,
        gateRecords: ABSENT,
        shortage: { has: () => false },
        bandwidth: { granted: () => undefined, heldBy: () => null },
        moments: { granted: () => undefined },
        snapshots: { byId: () => null, find: () => null, whyMissing: () => null },
        voters: { recordOf: () => null },
        fences: { has: () => false },
        admissions: this.admissions,
        pools: { states: [] },
        administration: {
          get failures() {
            return pool.served.length > 0 ? [] : volumes.map(({ id }) => failure(id, 'its pool is not open', true));
          },
          replicas: ABSENT,
        },
        current: { config: { rights: [], interfaces: this.interfaces } },
        revocations: this.newRevocations(shared),
        shared,
        incarnationOf: (volume: ServedVolume) => this.incarnationOf(volume),
        incarnationEnded: ({ id }: ServedVolume) => this.ended(id),
        listChanged: () => this.listChanged(),
      }),
    );
  }

  private incarnationOf({ id, pool }: ServedVolume): string {
    return `${POOL_ID}.${pool?.ownership?.life ?? ''}.${this.counts.get(id) ?? 0}`;
  }

  private newRevocations(shared: SharedPools): Revocations {
    const { pool, admissions, listener } = this;
    return new Revocations({
      clock: listener,
      log: NO_LOG,
      holds: this.holds,
      isFenced: () => false,
      find: (id) => pool.offered.find((volume) => volume.id === id) ?? null,
      // Worlds of farms have no snapshots.
      readBy: () => [],
      incarnation: (volume) => this.incarnationOf(volume),
      revoke: (...grants) => admissions.revokeForTakeOver(...grants),
      sync: ({ id }) => pool.sync(id),
      incarnationEnded: ({ id }) => this.ended(id),
      disputedMs: (volume) => shared.disputedMs(volume),
      pause: disputePause(listener, NO_LOG),
      holdersChanged: () => this.listChanged(),
    });
  }

  private admissionPorts(): AdmissionPorts {
    const reports: Pick<AdmissionPorts, 'answer' | 'sessionEnded' | 'refusals'> = {
      answer: (session, request) => this.requests.answer(session, request),
      sessionEnded: async ({ uses }, isClean) => {
        if (!isClean) for (const id of uses) await this.ended(id);
      },
      refusals: { refuse: (socket, _proven, { code, message }) => this.refusals.get(socket)?.({ code, sentence: message }) },
    };
    return portsOf<AdmissionPorts>({
      clock: this.listener,
      log: NO_LOG,
      limitedLog: new RateLimitedLog(this.listener, NO_LOG),
      holds: this.holds,
      served: this.sessions,
      workers: { take: (id: string) => this.newWorker(id).workerSession },
      beginMessage: () => ({
        type: 'begin',
        interfaces: this.interfaces,
        generation: this.generation,
        shortPools: [],
        log: { node: '', level: 'error' },
      }),
      isClient: () => true,
      fences: { check: () => undefined },
      checkTls: () => undefined,
      bandwidth: { began: () => undefined, figures: () => undefined, report: () => undefined },
      statistics: { book: { received: () => undefined } },
      incarnations: { lost: (id: string) => this.incarnations.lost(id), cut: () => Promise.resolve() },
      waitsForSpace: () => undefined,
      moments: { held: () => undefined },
      ...reports,
      // No client of a farm writes gate records.
      gateRecords: { idle: () => Promise.resolve() },
    });
  }

  private newWorker(id: string): FarmWorker {
    const { clock, random, slots, controlMs, backend } = this.ports;
    const worker = new FarmWorker(id, {
      clock,
      random,
      slots,
      controlMs,
      listener: this.listener,
      open: (volume, process) => {
        const { mount } = this.pool;
        if (mount === null || mount.hasFailed) throw new RsError('E_VOLUME', `Volume ${volume.name} cannot be opened`);
        return new FarmBackend(mount, volume.id, volume.sizeBytes, process, random, backend);
      },
      breach: (sentence) => this.ports.breach(sentence),
    });
    this.workers.add(worker);
    void worker.workerSession.ended.then(() => this.workers.delete(worker));
    return worker;
  }

  private newFarms(): Farms {
    const { listener, machine } = this;
    return new Farms({
      clock: listener,
      log: this.traced,
      server: () => this.name,
      random: () => this.ports.random.unit(),
      partsOf: () => ({ engine: machine.engineFor(listener), mount: machine.mountFor(listener) }),
      loadOf: (name) => this.loads.of(name),
      came: (name) => this.handOver.came(name),
      leave: (name, isLost, why) => this.handOver.leave(name, isLost, why),
    });
  }

  private get traced(): Pick<Log, 'info' | 'warn' | 'error'> {
    const said = (sentence: string): void => this.ports.trace.say(`${this.name}: ${sentence}`);
    return { info: said, warn: said, error: said };
  }

  private handOverParts(ledgers: OwnedLedgers): PoolHandOverParts {
    const { listener, pool } = this;
    return portsOf<PoolHandOverParts>({
      clock: listener,
      log: this.traced,
      ledgers,
      pools: pool,
      volumes: {
        get served() {
          return pool.served;
        },
        suspend: (id: string, why: string | null) => pool.suspend(id, why),
        sync: (id: string) => pool.sync(id),
      },
      admissions: this.admissions,
      administration: {
        jobsIn: () => [],
        // The pools of these worlds have no followers.
        replications: { followers: { poolLost: () => undefined, whilePoolQuiet: (_pool: string, work: () => Promise<unknown>) => work() } },
      },
      inForce: { openSharedPools: () => pool.open(), removePool: () => pool.remove() },
      changes: { runOwn: (work: () => Promise<void>) => this.runOwn(work), workingAside: null },
      incarnations: this.incarnations,
      lists: { changed: () => this.listChanged() },
    });
  }
}

/** The text of an error, for traces. */
export function textOf(thrown: unknown): string {
  return toRsError(thrown).message;
}
