// A server of a simulated farm: the production listener as far as a shared pool needs it (SharedPools with SharedPool and PoolHandOver,
// Ledgers, Holds, Opens, SessionRequests, Admissions, Incarnations), over a simulated machine. All processes of a server end together; its
// machine may go on, or die with them. farm-pool.ts stands in for Pools and Volumes.
// Invariant: nothing of a dead process goes on.

import type { Socket } from 'node:net';
import type { PoolConfig, SharedDiskConfig } from '@rsio/common/config/schema/types';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { ServerHandshake } from '@rsio/protocol/auth/handshake-server';
import type { ServerInterface } from '@rsio/protocol/wire/messages';
import { SharedPools, type SharedPoolsPorts } from '@rsio/rssrv/server/shared/shared-pools';
import { type AdmissionPorts, Admissions } from '@rsio/rssrv/server/admissions';
import { Incarnations, type IncarnationsPorts } from '@rsio/rssrv/server/incarnations';
import { announceList } from '@rsio/rssrv/server/offered-volumes';
import { type SessionRequestPorts, SessionRequests } from '@rsio/rssrv/server/session-requests';
import type { KeyProven } from '@rsio/rssrv/server/unproven-limiter';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import { Holds } from '@rsio/rssrv/volumes/holds/holds';
import type { HoldsFileContent } from '@rsio/rssrv/volumes/holds/holds-file';
import { Ledgers, type LedgersPorts } from '@rsio/rssrv/volumes/holds/ledgers';
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
  shared: SharedPools | null = null;
  private readonly ports: FarmServerPorts;
  private readonly state: SimStateFile<HoldsFileContent>;
  private instance = 0;
  private generation = 1;
  private holds!: Holds;
  private ledgers!: Ledgers;
  private requests!: SessionRequests;
  private admissions!: Admissions;
  private incarnations!: Incarnations;
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
      ownership: () => this.shared?.farms.ownershipOf({ name: POOL, isShared: true }) ?? null,
      changed: () => this.listChanged(),
    });
    this.lastChange = Promise.resolve();
    this.holds = new Holds('farm', () => Math.floor(listener.wallMs()), NO_LOG, {
      save: (poolId) => this.ledgers.save(poolId),
      isDirty: (poolId) => this.ledgers.isDirty(poolId),
      doubt: (poolId) => this.ledgers.doubt(poolId),
    });
    const content: () => HoldsFileContent = Reflect.get(Reflect.get(this.holds, 'file'), 'current');
    const file = this.state.openedBy(listener, this.ports.controlMs, content);
    Reflect.set(this.holds, 'file', { ...file, load: () => Promise.resolve(structuredClone(this.state.kept)) });
    this.ledgers = new Ledgers(this.ledgerPorts());
    this.incarnations = this.newIncarnations();
    this.requests = this.newRequests();
    this.admissions = new Admissions(this.admissionPorts());
    const shared = new SharedPools(this.sharedPorts());
    this.shared = shared;
    void this.holds.load().then(() =>
      listener.after(random.unit(), () => {
        this.isListening = true;
        shared.farms.follow([this.poolConfig]);
      }),
    );
  }

  private get poolConfig(): PoolConfig {
    return { name: POOL, path: this.pool.folder, limitBytes: null, reserve: 0, shared: this.ports.disk, line: 1 };
  }

  /** Kills all processes of the server. Its mount stays with the kernel. */
  kill(): void {
    this.isListening = false;
    this.listener.kill();
    for (const worker of this.workers) worker.process.kill();
    this.workers.clear();
    this.state.crashed();
    this.machine.mount?.files.clear();
    this.shared = null;
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
    announceList(this.admissions.sessions, { generation: this.generation, interfaces: this.interfaces, grown: [] }, null);
  }

  private get interfaces(): readonly ServerInterface[] {
    return this.addresses.map(interfaceAt);
  }

  private ended(id: string): Promise<void> {
    this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
    return Promise.resolve();
  }

  // --- The ports of the production listener

  private ledgerPorts(): LedgersPorts {
    return {
      log: NO_LOG,
      holds: this.holds,
      fences: { adopt: () => [], all: {} } as unknown as LedgersPorts['fences'],
      owner: () => `${this.name}.${this.instance}`,
      begin: () => Promise.resolve(),
      countOf: (id) => this.counts.get(id) ?? 0,
      adoptCounts: (counts) => {
        for (const [id, count] of Object.entries(counts)) this.counts.set(id, count);
      },
      areRemembered: () => false,
      onLedger: (_poolId, work) => this.pool.onLedger(work),
      came: () => this.admissions.holdersCame(),
    };
  }

  private newIncarnations(): Incarnations {
    return new Incarnations(
      portsOf<IncarnationsPorts>({
        log: NO_LOG,
        volumes: { nameOf: (id: string) => id, served: [], cut: () => Promise.resolve(null), clearOldError: () => Promise.resolve() },
        begin: (id: string) => this.ended(id),
        revoke: (id: string) => this.admissions.revoke(id, this.holds.epochOf(id)),
        listChanged: () => this.listChanged(),
      }),
    );
  }

  private newRequests(): SessionRequests {
    const { pool } = this;
    const failure = (id: string, why: string, hasMoved: boolean): object => {
      const { clients } = this.ports.volumes.find((one) => one.id === id)!;
      return { name: id, universe: 0, clients, error: new RsError('E_VOLUME', `Volume ${id}: ${why}`, { hasMoved }) };
    };
    return new SessionRequests(
      portsOf<SessionRequestPorts>({
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
        limitedLog: new RateLimitedLog(this.listener, NO_LOG),
        // Worlds of farms have no rights, and no snapshots.
        rights: ABSENT,
        snapshotAnswers: ABSENT,
        shortage: { has: () => false },
        bandwidth: { granted: () => undefined, heldBy: () => null },
        moments: { granted: () => undefined },
        snapshots: { byId: () => null, find: () => null, whyMissing: () => null, isCopying: () => false },
        voters: { recordOf: () => null },
        fences: { has: () => false },
        admissions: () => this.admissions,
        administration: () => ({
          failures: pool.served.length > 0 ? [] : this.ports.volumes.map(({ id }) => failure(id, 'its pool is not open', true)),
          poolStates: [],
        }),
        config: () => ({ rights: [] }),
        interfaces: () => this.interfaces,
        incarnationOf: ({ id, pool: place }: ServedVolume) => `${POOL_ID}.${place?.ownership?.life ?? ''}.${this.counts.get(id) ?? 0}`,
        shared: () => this.shared!,
        incarnationEnded: ({ id }: ServedVolume) => this.ended(id),
        lost: (id: string) => void this.incarnations.lost(id),
        listChanged: () => this.listChanged(),
      }),
    );
  }

  private admissionPorts(): AdmissionPorts {
    const reports: Pick<AdmissionPorts, 'answer' | 'sessionEnded' | 'refuse'> = {
      answer: (session, request) => this.requests.answer(session, request),
      sessionEnded: async ({ uses }, isClean) => {
        if (!isClean) for (const id of uses) await this.ended(id);
      },
      refuse: (socket, _proven, { code, message }) => this.refusals.get(socket)?.({ code, sentence: message }),
    };
    return portsOf<AdmissionPorts>({
      clock: this.listener,
      log: NO_LOG,
      limitedLog: new RateLimitedLog(this.listener, NO_LOG),
      holds: this.holds,
      takeWorkerSession: (id: string) => this.newWorker(id).workerSession,
      beginMessage: () => ({
        type: 'begin',
        interfaces: this.interfaces,
        generation: this.generation,
        shortPools: [],
        log: { node: '', level: 'error' },
      }),
      isClient: () => true,
      checkFence: () => undefined,
      checkTls: () => undefined,
      bandwidth: { began: () => undefined, figures: () => undefined, report: () => undefined },
      figures: () => undefined,
      lost: (id: string) => void this.incarnations.lost(id),
      cut: () => undefined,
      waitsForSpace: () => undefined,
      held: () => undefined,
      ...reports,
      // No client of a farm writes gate records.
      recordIdle: () => Promise.resolve(),
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

  private sharedPorts(): SharedPoolsPorts {
    const { listener, machine, pool } = this;
    const said = (sentence: string): void => this.ports.trace.say(`${this.name}: ${sentence}`);
    return portsOf<SharedPoolsPorts>({
      clock: listener,
      log: { info: said, warn: said, error: said },
      ledgers: this.ledgers,
      volumes: {
        get served() {
          return pool.served;
        },
        suspend: (id: string, why: string | null) => pool.suspend(id, why),
        sync: (id: string) => pool.sync(id),
      },
      admissions: () => this.admissions,
      administration: () => ({
        poolStates: pool.state === null ? [] : [pool.state],
        leavePool: () => pool.leave(),
        poolClosed: () => pool.closed(),
        jobsIn: () => [],
        // The pools of these worlds have no followers.
        replications: { followers: { poolLost: () => undefined, whilePoolQuiet: (_pool: string, work: () => Promise<unknown>) => work() } },
      }),
      inForce: () => ({ openSharedPools: () => pool.open(), removePool: () => pool.remove() }),
      changes: { runOwn: (work: () => Promise<void>) => this.runOwn(work), workingAside: null },
      incarnations: () => this.incarnations,
      listChanged: () => this.listChanged(),
      ownerChanged: () => undefined,
      server: () => this.name,
      random: () => this.ports.random.unit(),
      statistics: () => Promise.resolve({ sessions: [] }),
      partsOf: () => ({ engine: machine.engineFor(listener), mount: machine.mountFor(listener) }),
    });
  }
}

/** The text of an error, for traces. */
export function textOf(thrown: unknown): string {
  return toRsError(thrown).message;
}
