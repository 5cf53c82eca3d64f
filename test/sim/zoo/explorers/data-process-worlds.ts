// The production listener with clients that have several data processes: Admissions, SessionRequests, Opens, Holds and Voters, over
// stand-ins of server processes. Data processes log in, start again, open and close any volume and claim terms of a mirror, and another
// client takes volumes over. Each answer to an OPEN and each save of a hold takes a random time. Invariants: all sessions of a node belong
// to one client process, and no data process has two sessions. A volume is open in one data process of a node at a time, and a term belongs
// to one data process. A client that has a handle has the hold, and is the only client that has one.

import type { Socket } from 'node:net';
import type { Log } from '@rsio/base/log/log';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { VOTED } from '@rsio/protocol/wire/mirror-messages';
import type { VoterRecord } from '@rsio/rssrv/mirrors/voter-rules';
import { Voters } from '@rsio/rssrv/mirrors/voters';
import { type AdmissionPorts, Admissions } from '@rsio/rssrv/server/admissions';
import type { ServedSession } from '@rsio/rssrv/server/served-session';
import { type SessionRequestParts, SessionRequests } from '@rsio/rssrv/server/session-requests';
import { Sessions } from '@rsio/rssrv/server/sessions';
import type { KeyProven } from '@rsio/rssrv/server/unproven-limiter';
import type { WorkerSession } from '@rsio/rssrv/server/workers/worker-session';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import type { Grant } from '@rsio/rssrv/volumes/holds/grants';
import { Holds } from '@rsio/rssrv/volumes/holds/holds';
import { type RevocationPorts, Revocations } from '@rsio/rssrv/volumes/holds/revocations';
import { NO_LOG } from '../../base/no-log.ts';
import { NO_LEDGER } from '@rsio/rssrv/testing/no-ledgers';

const MIRROR = '0'.repeat(32);
const STEPS = 400;
const NODES = ['node0', 'node0', 'node1'];
const VOLUMES = ['a', 'b'];
const DATA_PROCESSES = 3;
/** A release waits for OPENs, so many events can happen between the end of a handle and the release of its hold. */
const RELEASE_STEPS_MAX = 8;
/** Time that passes in a step, ms: mostly none, and sometimes enough for each time-out of the listener. */
const LONG_MS = 6_000;
const AT = { name: 'if0', address: '127.0.0.1', port: 5000 };
const EMPTY = { of: () => [], has: () => false };

/** A server process with one session, as the listener sees it. */
class Process {
  readonly pid = 1;
  readonly blockedMs = null;
  readonly usable: Promise<void>;
  readonly ended: Promise<boolean>;
  readonly ending: Promise<void>;
  onMessage: WorkerSession['onMessage'] = () => undefined;
  isGone = false;
  isEnding = false;
  /** The epochs of the open handles, by volume. */
  readonly handles = new Map<string, number>();
  /** OPENs in progress: the volume, and the epoch up to which its grant has been revoked. */
  readonly opening = new Set<{ readonly volume: string; revoked: number }>();
  /** Holds that the process still has to release, by volume: a release waits for the OPENs of its volume. */
  readonly releases = new Map<string, number>();
  private readonly world: World;
  private resolveEnded: (isClean: boolean) => void = () => undefined;
  private resolveEnding: () => void = () => undefined;

  constructor(world: World) {
    this.world = world;
    this.usable = world.later();
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
    this.ending = new Promise((resolve) => {
      this.resolveEnding = resolve;
    });
  }

  send(): void {}

  discard(): void {
    this.gone(true);
  }

  async end(): Promise<void> {
    if (!this.isEnding) void this.world.later().then(() => this.gone(true));
    this.isEnding = true;
    this.resolveEnding();
    await this.ended;
  }

  async revoke(volume: string, epoch: number): Promise<boolean> {
    if (this.isGone) return true;
    for (const one of this.opening) if (one.volume === volume) one.revoked = Math.max(one.revoked, epoch);
    await this.world.later();
    if ((this.handles.get(volume) ?? Infinity) <= epoch) this.handles.delete(volume);
    return true;
  }

  gone(isClean: boolean): void {
    if (this.isGone) return;
    [this.isGone, this.isEnding] = [true, true];
    this.handles.clear();
    this.resolveEnding();
    this.resolveEnded(isClean);
  }
}

class World {
  private readonly random: SeededRandom;
  private readonly clock = new FakeClock();
  private readonly pending: (() => void)[] = [];
  private readonly instances = new Map<string, number>();
  private readonly holds = new Holds('none', () => 1, NO_LOG, NO_LEDGER);
  private readonly volumes = VOLUMES.map(
    (name) => ({ id: name, name, universe: 0, clients: null, takeOver: null }) as unknown as ServedVolume,
  );
  private readonly voters: Voters;
  /** The choices of the votes are separate, so that they change no other choice of the world. */
  private readonly ballots: SeededRandom;
  /** The data process of each term that was claimed. */
  private readonly owners = new Map<string, number>();
  private sharedTerm: string | null = null;
  private readonly admissions: Admissions;
  private readonly requests: SessionRequests;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.ballots = new SeededRandom(seed);
    const replicas = { ...EMPTY, isHidden: () => false, whyNoTakeOver: () => null };
    this.voters = new Voters({ replicas, folder: 'none', log: NO_LOG, mayFound: () => true });
    Reflect.set(this.voters, 'save', (entry: { record: VoterRecord }, record: VoterRecord) => {
      entry.record = record;
      return Promise.resolve();
    });
    Reflect.set(this.holds, 'file', { save: () => this.later() });
    const limitedLog = new RateLimitedLog(this.clock, NO_LOG as unknown as Log);
    this.admissions = new Admissions({
      served: new Sessions(),
      clock: this.clock,
      log: NO_LOG,
      limitedLog,
      holds: this.holds,
      bandwidth: { began: () => undefined },
      workers: { take: () => new Process(this) },
      beginMessage: () => ({ type: 'begin', generation: 1 }),
      isClient: () => true,
      fences: { check: () => undefined },
      checkTls: () => undefined,
      sessionEnded: () => Promise.resolve(),
      refusals: { refuse: () => undefined },
    } as unknown as AdmissionPorts);
    this.requests = new SessionRequests({
      clock: this.clock,
      log: NO_LOG,
      server: 'server',
      holds: this.holds,
      snapshots: EMPTY,
      current: { config: { rights: [] } },
      pools: { states: [] },
      volumes: { served: this.volumes, failures: [], sync: () => this.sync() },
      moments: { granted: () => undefined },
      bandwidth: { granted: () => undefined },
      voters: this.voters,
      fences: { order: (_node: string, work: () => unknown) => work(), has: () => false },
      admissions: this.admissions,
      administration: { failures: [] },
      shared: { disputedMs: () => 0 },
      revocations: new Revocations({
        clock: this.clock,
        log: NO_LOG,
        holds: this.holds,
        isFenced: () => false,
        find: (id: string) => this.volumes.find((volume) => volume.id === id) ?? null,
        revoke: (...grants: Parameters<Admissions['revokeForTakeOver']>) => this.admissions.revokeForTakeOver(...grants),
        sync: () => this.sync(),
        incarnation: () => 'life',
        incarnationEnded: () => Promise.resolve(),
        disputedMs: () => 0,
        holdersChanged: () => undefined,
      } as unknown as RevocationPorts),
      incarnationOf: () => 'life',
      incarnationEnded: () => Promise.resolve(),
      listChanged: () => undefined,
    } as unknown as SessionRequestParts);
  }

  /** Resolves in a later step of the world. */
  later(): Promise<void> {
    return new Promise((resolve) => this.pending.push(resolve));
  }

  private async laterBy(times: number): Promise<void> {
    for (let left = times; left > 0; left--) await this.later();
  }

  async live(): Promise<string | null> {
    for (let step = 0; step < STEPS; step++) {
      this.step();
      void this.vote();
      await new Promise((resolve) => setImmediate(resolve));
      const fault = this.fault();
      if (fault !== null) return fault;
    }
    return null;
  }

  private async sync(): Promise<void> {
    await this.later();
    if (this.random.chance(0.5)) throw new Error('EIO');
  }

  private step(): void {
    const { random, pending } = this;
    if (random.chance(0.5) && pending.length > 0) {
      const [go] = pending.splice(random.int(0, pending.length - 1), 1);
      go?.();
      return;
    }
    const session = this.admissions.sessions.length === 0 ? null : random.pick(this.admissions.sessions);
    if (session === null || random.chance(0.25)) this.login();
    else if (random.chance(0.03)) this.clock.advance(LONG_MS);
    else if (random.chance(0.05)) processOf(session).gone(random.chance(0.5));
    else if (random.chance(0.5)) void this.open(session, random.pick(VOLUMES));
    else this.close(session, random.pick(VOLUMES));
  }

  /** A data process of a client logs in. Sometimes the client is started again first. */
  private login(): void {
    const { random } = this;
    const node = random.pick(NODES);
    const instance = (this.instances.get(node) ?? 1) + (random.chance(0.15) ? 1 : 0);
    this.instances.set(node, instance);
    const dataProcess = random.int(0, DATA_PROCESSES - 1);
    const hello = { node, instance, machine: node, boot: 'boot', process: `${node}-${instance}`, dataProcess };
    const proven = { kind: 'new', hello, features: [], proof: { dead: [] }, key: 'key', sessionSecret: Buffer.alloc(32) };
    this.admissions.admit({ remoteAddress: '127.0.0.2' } as Socket, proven as unknown as KeyProven, AT);
  }

  /** A data process founds the record of the mirror, or claims the promised term or the next one. */
  private async vote(): Promise<void> {
    const { ballots, voters, owners } = this;
    const sessions = this.admissions.sessions.filter((session) => !processOf(session).isEnding);
    if (sessions.length === 0 || ballots.chance(0.5)) return;
    const session = ballots.pick(sessions);
    const { client, dataProcess } = session;
    const record = voters.recordOf(MIRROR);
    const number = Math.max(1, (record?.promise?.number ?? 0) + ballots.int(0, 1));
    const what = { what: 'vote', mirror: MIRROR } as const;
    const reply = await this.requests.answer(
      session,
      record === null ? { ...what, vote: 'found', name: 'm', universe: 0 } : { ...what, vote: 'claim', number, takesOver: true },
    );
    if (record === null || reply === null || !('voted' in reply) || reply.voted !== VOTED.DONE) return;
    const term = `${number} of ${client.node} (instance ${client.instance})`;
    const owner = owners.get(term) ?? dataProcess;
    owners.set(term, owner);
    if (owner !== dataProcess) this.sharedTerm = `Q2: term ${term} is promised to data processes ${owner} and ${dataProcess}`;
  }

  private async open(session: ServedSession, name: string): Promise<void> {
    const process = processOf(session);
    if (process.isEnding || process.handles.has(name) || [...process.opening].some(({ volume }) => volume === name)) return;
    const take = this.random.pick([TAKE.NO, TAKE.NO, TAKE.OVER]);
    const request: OpenRequest = { name, universe: 0, readonly: false, take, resume: null, mirror: null };
    const opening = { volume: name, revoked: -1 };
    process.opening.add(opening);
    const grant = (await this.requests.answer(session, { what: 'grant', request })) as Grant;
    process.opening.delete(opening);
    if (grant.granted && grant.epoch > opening.revoked && !process.isGone) process.handles.set(name, grant.epoch);
  }

  /** Closes a handle. Its hold is released later, as in session-volumes.ts, unless the volume is open or being opened by then. */
  private close(session: ServedSession, name: string): void {
    const process = processOf(session);
    const epoch = process.handles.get(name);
    if (process.isGone || (epoch === undefined && !process.releases.has(name))) return;
    process.handles.delete(name);
    if (epoch !== undefined) process.releases.set(name, epoch);
    void this.laterBy(this.random.int(1, RELEASE_STEPS_MAX)).then(() => {
      const released = process.releases.get(name);
      const isUsed = process.handles.has(name) || [...process.opening].some(({ volume }) => volume === name);
      if (process.isGone || isUsed || released === undefined) return;
      process.releases.delete(name);
      void this.requests.answer(session, { what: 'release', volumeId: name, epoch: released });
    });
  }

  private fault(): string | null {
    const sessions = this.admissions.sessions.filter((session) => !processOf(session).isGone);
    for (const node of new Set(sessions.map(({ client }) => client.node))) {
      const own = sessions.filter(({ client }) => client.node === node);
      const instances = new Set(own.map(({ client }) => client.instance));
      if (instances.size > 1) return `S9: sessions of the instances ${[...instances].join(' and ')} of ${node} run at the same time`;
      if (new Set(own.map(({ dataProcess }) => dataProcess)).size < own.length) return `S9: a data process of ${node} has two sessions`;
    }
    for (const name of VOLUMES) {
      const users = sessions.filter((session) => processOf(session).handles.has(name));
      const [user, other] = users;
      if (user === undefined) continue;
      const { node } = user.client;
      if (other !== undefined) return `H1: volume ${name} is open at ${node} and at ${other.client.node} at the same time`;
      if (!this.holds.holdersOf(name).some((holder) => holder.node === node))
        return `H1: ${node} has volume ${name} open and does not hold it`;
    }
    return this.sharedTerm;
  }
}

function processOf({ workerSession }: ServedSession): Process {
  return workerSession as unknown as Process;
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export function dataProcessWorld(seed: number): Promise<string | null> {
  return new World(seed).live();
}
