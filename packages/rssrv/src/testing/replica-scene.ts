// A server with one volume that is or becomes a replica, for the tests in mirrors/. The scene uses real holds, OPENs, voters and votes, and
// stand-ins for sessions. After every step, the scene compares the term of each open handle with the CLAIMs whose answers contained the
// replica: no handle may have a lower term than one of these CLAIMs.

import { join } from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { type Term, type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import { Holds } from '../volumes/holds/holds.ts';
import { Opens } from '../volumes/holds/opens.ts';
import { VolumeUses } from '../volumes/holds/volume-uses.ts';
import { MirrorVotes, type MirrorVotesPorts } from '../mirrors/mirror-votes.ts';
import { voterReplicas } from '../mirrors/own-replicas.ts';
import type { Grant, ClientIdentity } from '../volumes/holds/grants.ts';
import type { VoteRequest } from '../mirrors/session-votes.ts';
import { Voters } from '../mirrors/voters.ts';
import { OPEN, turns } from './contenders.ts';
import { unhinderedPorts } from './grant-ports.ts';
import { servedVolume } from './backend-scene.ts';
import { StateFile } from '@rsio/base/files/state-file';
import { LEDGER_FILE, type LedgerContent } from '../volumes/holds/ledger-file.ts';

export const MIRROR = 'a'.repeat(32);
const ID = 'id';
const LEDGER: LedgerContent = { poolId: 'p', generation: 1, owner: 'scene', volumes: {}, nodes: {}, fences: {} };

interface Handle {
  /** Term with which the handle was opened; null for a handle of a plain volume. */
  readonly term: Term | null;
  readonly epoch: number;
  readonly identity: string;
}

/** A session of one client in its worker. */
interface SceneSession {
  readonly client: ClientIdentity;
  readonly uses: VolumeUses;
  handles: Handle[];
  /** The OPENs in progress, each with the highest epoch that was revoked during the OPEN. */
  readonly opening: Set<{ revoked: number }>;
}

export class ReplicaScene {
  readonly clock = new FakeClock();
  readonly logged: string[] = [];
  /** True if clients have the right to manage volumes. */
  mayPlace = true;
  readonly faults = { isFlushed: true, placeFails: false };
  volumes: ServedVolume[];
  life = 0;
  /** Number of times that clients were notified of a changed list. */
  announced = 0;
  /** Revocations that wait for `letGo`; null if each revocation ends at once. */
  hung: (() => void)[] | null = null;
  holds!: Holds;
  voters!: Voters;
  votes!: MirrorVotes;
  /** Text about the first handle that `judge` has found open without a term, or with a lower term than `fenced`; null if there was none. */
  broken: string | null = null;
  /** The highest term of the CLAIMs whose answers contained the replica; null if there was no such CLAIM. */
  private fenced: Term | null = null;
  private places = 0;
  private readonly folder: string;
  private readonly sessions = new Map<string, SceneSession>();
  private readonly changes: (ports: MirrorVotesPorts) => MirrorVotesPorts;

  /** `changes` returns changed ports, with which a test injects a fault. */
  constructor(folder: string, changes: (ports: MirrorVotesPorts) => MirrorVotesPorts = (ports) => ports) {
    this.folder = folder;
    this.changes = changes;
    this.volumes = [servedVolume({ name: 'db', id: ID, sizeBytes: 1 << 20, pool: { ids: ['p'], isThick: true } })];
  }

  /** Starts or restarts the server. The sessions of the previous start no longer exist. */
  async start(): Promise<this> {
    const say = (text: string): void => void this.logged.push(text);
    const log = { info: say, warn: say, error: say };
    this.sessions.clear();
    this.hung = null;
    const content = (): LedgerContent => ({ ...LEDGER, ...this.holds.inLedger(LEDGER.poolId) });
    const ledger = new StateFile(join(this.folder, 'ledger.json'), LEDGER_FILE, content);
    this.holds = new Holds(join(this.folder, 'holders.json'), () => 1, log, {
      save: () => ledger.save(),
      isDirty: () => false,
      doubt: () => undefined,
    });
    const served = (): readonly ServedVolume[] => this.volumes;
    this.voters = new Voters({ folder: join(this.folder, 'voters'), log, replicas: voterReplicas(served), mayFound: () => true });
    await this.holds.load();
    this.holds.adopt(LEDGER.poolId, (await ledger.load()) ?? LEDGER, new Set([ID]), false);
    await this.voters.load();
    this.votes = new MirrorVotes(this.changes(this.ports()));
    return this;
  }

  async vote(client: ClientIdentity, request: Omit<VoteRequest, 'what' | 'mirror'> & object): Promise<VoteAnswer> {
    this.sessionOf(client);
    const whole = { what: 'vote', mirror: MIRROR, ...request } as unknown as VoteRequest;
    const reply = await this.votes.answer(client, whole, () => true);
    if ('voteStatus' in reply) throw new Error(reply.sentence);
    return reply;
  }

  async claim(client: ClientIdentity, number: number, takesOver = true): Promise<VoteAnswer> {
    const { votes } = this;
    const answer = await this.vote(client, { vote: 'claim', number, takesOver } as never);
    // If the server has restarted since the request was sent, the claim does not count, because the answer is not from the current server.
    if (answer.voted !== VOTED.DONE || answer.replica === null || votes !== this.votes) return answer;
    const term = { number, node: client.node, instance: client.instance };
    if (this.fenced === null || compareTerms(this.fenced, term) < 0) this.fenced = term;
    this.judge();
    return answer;
  }

  /** Opens the volume for a client. `number` is the number of the client's term; null to open the volume as a plain volume. */
  async open(client: ClientIdentity, number: number | null, resume: string | null = null): Promise<Grant> {
    const session = this.sessionOf(client);
    const one = { revoked: -1 };
    session.opening.add(one);
    const mirror = number === null ? null : { mirror: MIRROR, number };
    const opens = new Opens(this.holds, {
      ...unhinderedPorts(this.volumes[0]!),
      find: () => this.volumes[0] ?? null,
      role: () => null,
      notServed: () => ({ granted: false, status: 9, sentence: 'It is not served', holders: [] }),
      promiseOf: (asked) => this.ports().voters.recordOf(asked),
      incarnation: () => this.incarnation,
    });
    const asking = {
      client,
      uses: session.uses,
      ending: null,
      isEnding: () => this.sessions.get(client.node) !== session,
      usedBeside: () => null,
      dataProcess: 0,
    };
    const grant = await opens.grant(asking, { ...OPEN, name: 'db', resume, mirror });
    session.opening.delete(one);
    if (grant.granted && grant.epoch > one.revoked) {
      const term = number === null ? null : { number, node: client.node, instance: client.instance };
      session.handles.push({ term, epoch: grant.epoch, identity: grant.identity });
    }
    this.judge();
    return grant;
  }

  /** Closes the client's handles. */
  async close(client: ClientIdentity): Promise<void> {
    const session = this.sessions.get(client.node);
    const [first] = session?.handles ?? [];
    if (session === undefined || first === undefined) return;
    session.handles = [];
    await this.holds.release(ID, client, first.epoch);
  }

  /** Kills the worker of a client, and thereby ends the requests of the client. */
  crash(client: ClientIdentity): void {
    const session = this.sessions.get(client.node);
    if (session === undefined) return;
    session.handles = [];
    this.life++;
    this.sessions.delete(client.node);
  }

  handlesOf(client: ClientIdentity): number {
    return this.sessions.get(client.node)?.handles.length ?? 0;
  }

  get incarnation(): string {
    return `life-${this.life}`;
  }

  get isReplica(): boolean {
    return this.volumes[0]?.replica !== undefined;
  }

  /** Lets waiting revocations end. */
  async letGo(): Promise<void> {
    const hung = this.hung ?? [];
    this.hung = null;
    for (const go of hung) go();
    await turns();
  }

  private judge(): void {
    for (const { handles, client } of this.sessions.values())
      for (const { term } of handles) {
        if (this.fenced === null || (term !== null && compareTerms(term, this.fenced) >= 0)) continue;
        this.broken ??= `${client.node} has a handle of term ${term?.number ?? 'none'} after ${this.fenced.number} was claimed`;
      }
  }

  /** Returns the session of a client. A later start of a client replaces the session of an earlier start. */
  private sessionOf(client: ClientIdentity): SceneSession {
    const known = this.sessions.get(client.node);
    if (known?.client.instance === client.instance) return known;
    const session: SceneSession = { client, uses: new VolumeUses(), handles: [], opening: new Set() };
    this.sessions.set(client.node, session);
    return session;
  }

  get served(): readonly ServedVolume[] {
    return this.volumes;
  }

  private ports(): MirrorVotesPorts {
    return {
      clock: this.clock,
      log: { info: (text) => void this.logged.push(text), error: (text) => void this.logged.push(text) },
      voters: this.voters,
      holds: this.holds,
      store: {
        place: async (_id, mirror) => {
          if (this.faults.placeFails) throw new Error('The pool is full');
          const identity = String(++this.places).padStart(32, '0');
          this.volumes = this.volumes.map((volume) => ({ ...volume, replica: { mirror, identity, mapPath: '/map' } }));
          return { identity };
        },
        unplace: async () => {
          this.volumes = this.volumes.map(({ replica: _none, ...volume }) => volume);
        },
      },
      volumes: this,
      fences: { order: (_node, work) => work() },
      whyNoPlace: (node) => (this.mayPlace ? null : `Client ${node} may not`),
      incarnationOf: () => this.incarnation,
      incarnationEnded: async () => void this.life++,
      usersOf: () =>
        [...this.sessions.values()].flatMap(({ client, uses, handles }) => (uses.has(ID) || handles.length > 0 ? [client.node] : [])),
      revoke: (node, _id, epoch) => this.revoke(node, epoch),
      listChanged: () => void this.announced++,
    };
  }

  private async revoke(node: string, epoch: number): Promise<boolean> {
    const session = this.sessions.get(node);
    if (session === undefined) return true;
    for (const one of session.opening) one.revoked = Math.max(one.revoked, epoch);
    if (this.hung !== null && session.handles.length > 0) {
      const { hung } = this;
      await new Promise<void>((resolve) => hung.push(resolve));
    }
    session.handles = session.handles.filter((handle) => handle.epoch > epoch);
    session.uses.delete(ID);
    return this.faults.isFlushed;
  }
}
