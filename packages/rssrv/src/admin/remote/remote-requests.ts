// Executes the ADMIN requests of clients, each with the rights that the client has at the time of the execution. Requests come over the
// session, whose client is proven already; a second connection would need keys and a configuration of its own. The listener executes them,
// because it owns pools and configuration. Invariants: rights are checked when a request arrives, and again when the request begins. A
// client that floods the server delays only its own requests, and no I/O. A refusal names the missing right. Rules: A1.

import { counted } from '@rsio/base/lib/assert';
import { checkedParams } from '@rsio/common/control/control-server';
import { mayCall } from '@rsio/api/rssrv/may-call';
import type { ServerMethod } from '@rsio/api/rssrv/server-method';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { ADMIN_ANSWER_MAX_BYTES } from '@rsio/protocol/wire/limits';
import { STATUS } from '@rsio/protocol/wire/status';
import { Asker, type AskerRights, type AskingConfig, rightsOf } from '../../pools/asker.ts';
import type { Waiter } from '../../pools/requests/requests.ts';
import { type AdminReply, type AdminRequest, errorText } from '../../session/session-admin.ts';
import { ClientPace, ReadTurns } from './client-pace.ts';
import { REMOTE_REQUESTS_MAX } from '../limits.ts';
import { LongAnswers, type Part } from './long-answers.ts';
import { Mailboxes } from './messages.ts';
import { visibleResult } from './visible.ts';
import { visibleError } from './visible-errors.ts';

/** The session of the client that asks. */
export interface AskingSession {
  readonly id: string;
  readonly node: string;
  /** False if the session has been told to end. */
  isThere(): boolean;
}

export interface RemotePorts {
  readonly clock: Clock;
  readonly log: Pick<Log, 'error'>;
  /** The clients and rights in force. */
  config(): AskingConfig & { readonly clients: readonly { readonly name: string }[] };
  /**
   * Executes a method with checked parameters. `id` is null for a method that changes nothing. If the request orders a change that was not
   * executed before, `execute` calls `check` of the asker at once, and again when the change begins.
   */
  execute(method: ServerMethodName, params: object, asker: RemoteAsker, id: string | null, waiter: Waiter): Promise<unknown>;
}

/** An asker whose rights are read from the configuration in force at each use. */
export class RemoteAsker extends Asker {
  override readonly node: string;
  private readonly config: RemotePorts['config'];

  constructor(node: string, config: RemotePorts['config']) {
    const now = (): AskerRights => rightsOf(node, config().rights);
    super(node, {
      get role() {
        return now().role;
      },
      get pools() {
        return now().pools;
      },
      get limitBytes() {
        return now().limitBytes;
      },
      get isTenant() {
        return config().namespace.tenants;
      },
    });
    this.node = node;
    this.config = config;
  }

  /** Throws E_RIGHTS or E_AUTH if the client may not call this method now. */
  check(method: ServerMethodName): void {
    const entry: ServerMethod = SERVER_METHODS[method];
    if (!this.config().clients.some(({ name }) => name === this.node))
      throw new RsError('E_AUTH', `Node ${this.node} was removed from the clients of this server`);
    if (entry.right === null) throw new RsError('E_RIGHTS', `${method} is only for programs on the server itself: use rsadm there`);
    if (!mayCall(this.role, entry)) throw this.lacks(entry.right, words(method));
  }
}

export class RemoteRequests {
  readonly mailboxes: Mailboxes;
  private readonly ports: RemotePorts;
  private readonly answers: LongAnswers;
  private readonly turns = new ReadTurns();
  /** Maps each node to its pace. A new session of the node continues with the same pace. */
  private readonly paces = new Map<string, ClientPace>();
  private inProgress = 0;
  private isClosed = false;

  constructor(ports: RemotePorts) {
    this.ports = ports;
    this.answers = new LongAnswers(ports.clock);
    this.mailboxes = new Mailboxes(ports.clock);
  }

  /** Number of clients whose pace is known. */
  get pacesKept(): number {
    return this.paces.size;
  }

  /** Never rejects. */
  async answer(session: AskingSession, request: AdminRequest): Promise<AdminReply> {
    if (this.inProgress >= REMOTE_REQUESTS_MAX) return this.whole(session, errorText(tooMany()));
    this.inProgress++;
    try {
      await this.paceOf(session).request();
      if (this.isClosed) return { adminStatus: STATUS.SHUTTING_DOWN, sentence: 'The server is shutting down' };
      if (!session.isThere()) return { adminStatus: STATUS.SHUTTING_DOWN, sentence: 'The session has ended' };
      if (request.what === 'admin-call') return this.whole(session, await this.call(session, request));
      const part = this.answers.rest(session.id, request.answer, request.offset);
      return part === null ? { adminStatus: STATUS.STALE, sentence: 'The server does not have this answer any more' } : reply(part);
    } finally {
      this.inProgress = counted(this.inProgress - 1, 'requests of clients in progress');
    }
  }

  /** Drops the long answers of a session, and the paces of idle clients. */
  sessionEnded(id: string): void {
    for (const [node, pace] of this.paces) if (pace.isIdle) this.paces.delete(node);
    this.answers.sessionEnded(id);
  }

  /**
   * Refuses all later requests, and all waiting requests that have not begun. The clients send the refused requests again to the next
   * listener.
   */
  close(): void {
    this.isClosed = true;
    this.answers.close();
  }

  private whole(session: AskingSession, text: string): AdminReply {
    // Do not keep an answer of an ended session, because no client can read it.
    if (this.isClosed || !session.isThere()) return { adminStatus: STATUS.SHUTTING_DOWN, sentence: 'The session has ended' };
    return reply(this.answers.begin(session.id, Buffer.from(text)));
  }

  /** Returns the text of the answer. */
  private async call(session: AskingSession, { id, method, params, withinMs }: AdminRequest & { what: 'admin-call' }): Promise<string> {
    try {
      const untilMs = this.ports.clock.monotonicMs() + withinMs;
      const waiter: Waiter = { untilMs, isThere: () => !this.isClosed && session.isThere() };
      const result = await this.execute(session, method, parse(params), id, waiter);
      const text = JSON.stringify({ result });
      const bytes = Buffer.byteLength(text);
      if (bytes <= ADMIN_ANSWER_MAX_BYTES) return text;
      throw new RsError('E_LIMIT', `Answer to ${method} has ${bytes} bytes, more than ${ADMIN_ANSWER_MAX_BYTES}: ask for less`);
    } catch (thrown) {
      const error = toRsError(thrown);
      if (error.kind === 'internal') this.ports.log.error(`Request ${method} of node ${session.node} failed: ${error.message}`);
      return errorText(visibleError(error, new RemoteAsker(session.node, () => this.ports.config())));
    }
  }

  private async execute(session: AskingSession, name: string, given: unknown, id: string, waiter: Waiter): Promise<unknown> {
    const { ports } = this;
    const asker = new RemoteAsker(session.node, () => ports.config());
    const method = methodNamed(name, asker);
    const entry: ServerMethod = SERVER_METHODS[method];
    const isChange = entry.repeats === 'journal';
    // Only a read-only request is checked here. A repeated change gets its earlier answer, whatever rights the client has now.
    if (!isChange) asker.check(method);
    const params = checkedParams(method, entry.params, given);
    const execute = (requestId: string | null): Promise<unknown> => ports.execute(method, params, asker, requestId, waiter);
    const read = async (): Promise<unknown> => {
      // Check again: while the request waited, the client's rights may have changed, or its session may have ended.
      asker.check(method);
      if (!waiter.isThere()) throw new RsError('E_NO_SESSION', 'The session has ended');
      return execute(null);
    };
    const result = isChange ? await execute(id) : await this.paceOf(session).read(read);
    return visibleResult(method, result, asker);
  }

  private paceOf({ node }: AskingSession): ClientPace {
    let pace = this.paces.get(node);
    if (pace === undefined) {
      pace = new ClientPace(this.ports.clock, this.turns);
      this.paces.set(node, pace);
    }
    return pace;
  }
}

/** Throws E_USAGE for a method that does not exist. */
function methodNamed(name: string, asker: Asker): ServerMethodName {
  if (Object.hasOwn(SERVER_METHODS, name)) return name as ServerMethodName;
  const known = Object.entries(SERVER_METHODS).filter(([, entry]) => mayCall(asker.role, entry));
  throw new RsError('E_USAGE', `Unknown method ${quoteText(name)}: known are ${known.map(([method]) => method).join(', ')}`, {
    unknown: name,
  });
}

/** Returns words for a refusal, such as `create volumes` for the method `volume-create`. */
function words(method: string): string {
  const [subject = '', verb] = method.split('-');
  return verb === undefined ? `use ${subject}` : `${verb} ${subject}s`;
}

function parse(params: string): unknown {
  try {
    return JSON.parse(params);
  } catch {
    throw new RsError('E_USAGE', 'The parameters are not JSON: send an object');
  }
}

function reply({ answer, totalBytes, part }: Part): AdminReply {
  return { answer, totalBytes, part: part.toString('base64') };
}

function tooMany(): RsError {
  return new RsError('E_LIMIT', `${REMOTE_REQUESTS_MAX} requests of clients are already in progress: try again later`);
}
