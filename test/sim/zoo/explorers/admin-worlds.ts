// ADMIN requests of three clients to one server (A1 to A5, G52): lists, which are long, and changes that may be repeated with the same id. The
// sessions end, the rights of the clients change, and the listener restarts. Requests, journal, queue and long answers are production code.
// Invariant: the judge knows only what arrived, what began, and what was answered.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { AuditEntry } from '@rsio/api/rssrv/audit-methods';
import type { Log } from '@rsio/base/log/log';
import { volume } from '@rsio/api/testing/server-views';
import type { ClientRights } from '@rsio/common/config/schema/types';
import { Audit } from '@rsio/rssrv/admin/audit';
import { ChangeQueue } from '@rsio/rssrv/admin/change-queue';
import { REMOTE_READS_AT_ONCE_MAX } from '@rsio/rssrv/admin/limits';
import { type AskingSession, type RemoteAsker, RemoteRequests } from '@rsio/rssrv/admin/remote/remote-requests';
import { Journal } from '@rsio/rssrv/pools/requests/journal';
import { gated, Requests, type Waiter } from '@rsio/rssrv/pools/requests/requests';
import type { AdminReply, AdminRequest } from '@rsio/rssrv/session/session-admin';
import { turns } from '@rsio/rssrv/testing/contenders';

const NODES = ['big-1', 'big-2', 'venus'];
const [STEPS, SETTLING_STEPS, IDS, LISTED, WORK_MS, WITHIN_MS] = [60, 200, 6, 300, 400, 800];
const QUIET: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => QUIET,
};

/** A session of a client, as the listener sees it. */
interface Session extends AskingSession {
  isOpen: boolean;
}

interface Call {
  readonly session: Session;
  readonly id: string;
  readonly untilMs: number;
}

class AdminWorld {
  fault: string | null = null;
  private readonly random: SeededRandom;
  private readonly clock = new FakeClock();
  private readonly queue = new ChangeQueue(this.clock);
  private readonly file: string;
  private journal!: Journal;
  private requests!: Requests;
  private remote!: RemoteRequests;
  private sessions: Session[] = [];
  /** Nodes of the clients, and of those that may manage volumes. */
  private readonly clients = new Set(NODES);
  private readonly managers = new Set(NODES);
  /** Calls without an answer. */
  private readonly open = new Set<Call>();
  private running = 0;
  private moment = 0;
  /** For each asker and id: true if its answer is to be kept. */
  private readonly begun = new Map<string, boolean>();
  private reading: string[] = [];
  /** Nodes and ids of orders in the audit, which a restart keeps. */
  private readonly audited = new Set<string>();
  private readonly audit: Audit;

  constructor(random: SeededRandom, folder: string) {
    this.random = random;
    this.file = join(folder, 'requests.journal');
    const add = async (_book: unknown, line: string): Promise<void> => {
      await turns();
      const { who, id } = JSON.parse(line) as AuditEntry;
      this.audited.add(`${who} ${id}`);
    };
    const files = { folder, add, read: () => Promise.resolve({ entries: [], isWhole: true }) };
    this.audit = new Audit({ clock: this.clock, log: QUIET, files, stateOf: () => null });
  }

  async run(): Promise<string | null> {
    await this.restart();
    for (let step = 0; step < STEPS && this.fault === null; step++) {
      await this.step();
      await this.pass(this.random.int(0, WORK_MS));
    }
    for (let step = 0; step < SETTLING_STEPS && this.fault === null && this.running > 0; step++) await this.pass(WORK_MS);
    if (this.running > 0) this.fails(`A3: ${this.running} requests are never answered`);
    await this.journal.close();
    return this.fault;
  }

  private fails(sentence: string): void {
    this.fault ??= sentence;
  }

  private async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    for (let times = 0; times < 3; times++) {
      await turns();
      await this.journal.save();
    }
  }

  private async step(): Promise<void> {
    const { random } = this;
    const node = random.pick(NODES);
    const session = random.pick(this.sessions.filter((one) => one.node === node));
    switch (random.int(0, 9)) {
      case 0:
        toggle(random.pick([this.managers, this.managers, this.clients]), node);
        return;
      case 1:
        session.isOpen = false;
        this.remote.sessionEnded(session.id);
        this.sessions = this.sessions.map((one) => (one === session ? newSession(node, this.moment++) : one));
        return;
      case 2:
        if (this.running === 0) await this.restart();
        return;
      case 3:
      case 4:
      case 5:
        for (let count = random.int(1, 3); count > 0; count--) void this.list(session);
        return;
      default:
        void this.create(session, `id-${random.int(1, IDS)}`);
    }
  }

  private async restart(): Promise<void> {
    const { clock } = this;
    await (this.journal as Journal | undefined)?.close();
    this.journal = new Journal(this.file, QUIET);
    await this.journal.load();
    this.requests = new Requests(this.journal, clock);
    this.sessions = NODES.map((node) => newSession(node, this.moment++));
    this.remote = new RemoteRequests({
      clock,
      log: QUIET,
      config: () => ({
        clients: [...this.clients].map((name) => ({ name })),
        rights: [...this.managers].map((name) => ({ name, role: 'manage', pools: null, limitBytes: null, line: 1 }) as ClientRights),
        namespace: { tenants: false },
      }),
      execute: (method, params, asker, id, waiter) =>
        id === null ? this.read(asker.node) : this.execute(method as 'volume-create', params, asker, id, waiter),
    });
  }

  /** As administration.ts executes a request with an id. */
  private execute(method: 'volume-create', params: object, asker: RemoteAsker, id: string, waiter: Waiter): Promise<unknown> {
    const check = (): void => asker.check(method);
    return this.requests.execute({ node: asker.node, id, method, params }, waiter, (execution) =>
      this.audit.around({ who: asker.node, node: asker.node, paced: asker.node, id, method, params }, async () => {
        check();
        const queue = {
          run: <T>(work: Parameters<ChangeQueue['run']>[0]) => this.queue.run(work, 'a change') as Promise<T>,
          checkWanted: check,
        };
        return gated(queue, execution, check, this.clock).run(() => this.change(asker.node, id));
      }),
    );
  }

  private work(): Promise<void> {
    return new Promise((resolve) => void this.clock.after(this.random.int(1, WORK_MS), resolve));
  }

  private async change(node: string, id: string): Promise<unknown> {
    if (!this.clients.has(node) || !this.managers.has(node)) this.fails(`A1: a change of ${node} begins, which may not make it now`);
    if (this.begun.get(`${node} ${id}`) === true) this.fails(`A2: the request ${id} of ${node} is executed again`);
    const waits = (call: Call): boolean => call.session.isOpen && call.untilMs > this.clock.monotonicMs();
    const waiting = [...this.open].filter((call) => call.id === id && call.session.node === node && waits(call));
    if (waiting.length === 0) this.fails(`A3: the change ${id} of ${node} begins, although nobody waits for it`);
    const error = this.random.pick([null, null, null, 'E_SPACE', 'E_BUSY', 'E_POOL'] as const);
    this.begun.set(`${node} ${id}`, error === null || error === 'E_SPACE');
    await this.work();
    if (error !== null) throw new RsError(error, 'No');
    return { volume: volume({ name: `v${this.moment++}` }) };
  }

  private async read(node: string): Promise<unknown> {
    if (!this.clients.has(node)) this.fails(`A1: a list for ${node} is made, which is no client any more`);
    if (this.reading.includes(node)) this.fails(`A4: two lists for ${node} are made at once`);
    if (this.reading.length >= REMOTE_READS_AT_ONCE_MAX) this.fails(`A4: ${this.reading.length + 1} lists are made at once`);
    this.reading.push(node);
    await this.work();
    this.reading = this.reading.filter((one) => one !== node);
    const name = `v${this.moment++}`;
    return { volumes: Array.from({ length: LISTED }, () => volume({ name })), removed: [] };
  }

  private async send(session: Session, request: AdminRequest): Promise<AdminReply> {
    this.running++;
    const id = request.what === 'admin-call' ? request.id : '';
    const call = { session, id, untilMs: this.clock.monotonicMs() + WITHIN_MS };
    this.open.add(call);
    try {
      return await this.remote.answer(session, request);
    } finally {
      this.open.delete(call);
      this.running--;
    }
  }

  private async create(session: Session, id: string): Promise<void> {
    const params = JSON.stringify({ name: id, sizeBytes: 512 });
    const reply = await this.send(session, { what: 'admin-call', id, method: 'volume-create', params, withinMs: WITHIN_MS });
    if ('part' in reply && !this.audited.has(`${session.node} ${id}`))
      this.fails(`G52: the order ${id} of ${session.node} is answered, and is not in the audit`);
  }

  /** A5. */
  private async list(session: Session): Promise<void> {
    let reply = await this.send(session, { what: 'admin-call', id: 'list', method: 'volume-list', params: '{}', withinMs: WITHIN_MS });
    let text = '';
    while ('part' in reply) {
      text += Buffer.from(reply.part, 'base64').toString();
      if (text.length >= reply.totalBytes) break;
      await this.work();
      reply = await this.send(session, { what: 'admin-rest', answer: reply.answer, offset: text.length });
    }
    if (!('part' in reply)) return;
    const moments = new Set(text.match(/"name":"v\d+"/g));
    if (moments.size > 1) this.fails(`A5: one list shows ${moments.size} moments`);
  }
}

function newSession(node: string, number: number): Session {
  const session: Session = { id: `session ${number}`, node, isOpen: true, isThere: () => session.isOpen };
  return session;
}

function toggle(set: Set<string>, node: string): void {
  if (!set.delete(node)) set.add(node);
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function adminWorld(seed: number): Promise<string | null> {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-admin-'));
  try {
    return await new AdminWorld(new SeededRandom(seed), folder).run();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
