// Sends one request to a daemon's control socket and returns the answer. Invariants: the promise settles within the time-out. Every error
// says what the user can do. An answer whose version or form does not match the table causes an error.

import { connect, type Socket } from 'node:net';
import { type Clock, systemClock, type Timer } from '@rsio/base/lib/clock';
import { ERRORS, type ErrorCode, errnoName, RsError } from '@rsio/base/lib/errors';
import { checkSocketPath } from '@rsio/base/daemon/unix-socket';
import { programVersion } from '@rsio/base/lib/version';
import { CONTROL_ANSWER_MAX_BYTES, CONTROL_ANSWER_MS } from './limits.ts';
import { LineSplitter } from './line-splitter.ts';
import { CONTROL_VERSION, type MethodsOf, type MethodTable } from './method-table.ts';
import { misfit, type Shape } from '@rsio/base/lib/shape';

export interface CallOptions {
  /** Time-out for the whole request. The default is the method's `waitMs` in the table. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  /** When this signal is aborted, the request ends and fails with E_RESET. */
  readonly signal?: AbortSignal;
  /** Person or program on whose behalf this program asks, for the daemon's log; omitted if this program asks for itself. */
  readonly by?: string;
  /** Role that this program gives up its own for, because it asks on behalf of somebody who has less; omitted if it asks with its own. */
  readonly role?: string;
}

const REQUEST_ID = 1;
/** Before a long request, the client sends a greeting to find out soon whether the daemon answers at all. */
const GREETING_ID = 0;

/** The answer to a request whose connection stays open. */
export interface HeldAnswer<R> {
  readonly result: R;
  /** Closes the connection, which ends what the daemon does for it. */
  close(): void;
}

/**
 * Sends a request to the daemon that listens on `socketPath` with this table of methods. Throws the error that the daemon reports, or
 * E_NOT_RUNNING, E_RIGHTS, E_TIMEOUT or E_SOCKET_PATH. Throws E_RESET if the daemon closes the connection, E_PROTOCOL if the answer is
 * invalid, and E_VERSION if client and daemon belong to incompatible releases.
 */
export async function callMethod<T extends MethodTable, M extends keyof MethodsOf<T> & string>(
  table: T,
  socketPath: string,
  method: M,
  params: MethodsOf<T>[M]['params'],
  options: CallOptions,
): Promise<MethodsOf<T>[M]['result']> {
  const answer = await holdMethod(table, socketPath, method, params, options);
  answer.close();
  return answer.result;
}

/** Like `callMethod`, but leaves the connection open after the answer. The daemon also sees the end of this process by it. */
export async function holdMethod<T extends MethodTable, M extends keyof MethodsOf<T> & string>(
  table: T,
  socketPath: string,
  method: M,
  params: MethodsOf<T>[M]['params'],
  options: CallOptions,
): Promise<HeldAnswer<MethodsOf<T>[M]['result']>> {
  const { socket, result } = await openCall(table, socketPath, method, params, options);
  return { result, close: () => void socket.destroy() };
}

async function openCall<T extends MethodTable, M extends keyof MethodsOf<T> & string>(
  table: T,
  socketPath: string,
  method: M,
  params: MethodsOf<T>[M]['params'],
  options: CallOptions,
): Promise<{ readonly socket: Socket; readonly result: MethodsOf<T>[M]['result'] }> {
  const { waitMs, result } = table[method]!;
  checkSocketPath(socketPath);
  const { timeoutMs = waitMs, clock = systemClock, by, role, signal } = options;
  const daemon = daemonOf(socketPath);
  const socket = connect(socketPath);
  const patience = new Patience(clock, timeoutMs, () => socket.destroy());
  const abort = (): void => void socket.destroy();
  if (signal !== undefined) whenAborted(signal, abort);
  try {
    const greeting = timeoutMs > CONTROL_ANSWER_MS ? requestLine(GREETING_ID, 'daemon', {}) : '';
    const line = await exchange(socket, greeting + requestLine(REQUEST_ID, method, params, by, role), daemon, () => patience.heard());
    return { socket, result: resultOf(line, method, result, daemon) as MethodsOf<T>[M]['result'] };
  } catch (error) {
    socket.destroy();
    if (patience.endedAfterMs === null) throw explain(error, socketPath, daemon);
    const seconds = patience.endedAfterMs / 1_000;
    const sentence = patience.isHeard
      ? `${daemon.name} has not completed ${method} within ${seconds} s and continues: ${daemon.log}`
      : `${daemon.name} did not answer ${method} within ${seconds} s, because it hangs or is stopped: ${daemon.log}; kill -CONT continues a stopped process`;
    throw new RsError('E_TIMEOUT', sentence, { socketPath, timeoutMs: patience.endedAfterMs });
  } finally {
    patience.end();
    if (signal !== undefined) notWhenAborted(signal, abort);
  }
}

/**
 * What the end of a signal ends. A command calls many servers at once with one signal, and Node warns of a leak from 11 listeners on. So each
 * signal has one listener at most.
 */
const ABORTS = new WeakMap<AbortSignal, { readonly works: Set<() => void>; readonly listener: () => void }>();

function whenAborted(signal: AbortSignal, work: () => void): void {
  const { works } = ABORTS.get(signal) ?? listenTo(signal);
  works.add(work);
}

function listenTo(signal: AbortSignal) {
  const works = new Set<() => void>();
  const aborts = { works, listener: () => works.forEach((work) => work()) };
  signal.addEventListener('abort', aborts.listener);
  ABORTS.set(signal, aborts);
  return aborts;
}

function notWhenAborted(signal: AbortSignal, work: () => void): void {
  const aborts = ABORTS.get(signal);
  if (aborts === undefined || !aborts.works.delete(work) || aborts.works.size > 0) return;
  signal.removeEventListener('abort', aborts.listener);
  ABORTS.delete(signal);
}

/** Sets a time-out for the request. For a long request, also sets a shorter time-out for the greeting. */
class Patience {
  endedAfterMs: number | null = null;
  isHeard = false;
  private readonly whole: Timer;
  private readonly first: Timer | null;

  constructor(clock: Clock, timeoutMs: number, expired: () => void) {
    const after = (delayMs: number): Timer =>
      clock.after(delayMs, () => {
        this.endedAfterMs ??= delayMs;
        expired();
      });
    this.first = timeoutMs > CONTROL_ANSWER_MS ? after(CONTROL_ANSWER_MS) : null;
    this.whole = after(timeoutMs);
  }

  heard(): void {
    this.isHeard = true;
    this.first?.cancel();
  }

  end(): void {
    this.first?.cancel();
    this.whole.cancel();
  }
}

function requestLine(id: number, method: string, params: unknown, by?: string, role?: string): string {
  return `${JSON.stringify({ id, method, version: CONTROL_VERSION, params, by, role })}\n`;
}

interface Daemon {
  readonly name: string;
  readonly start: string;
  /** Says where the daemon's log is. */
  readonly log: string;
}

// The socket's path contains the root directory and the daemon's name: ROOT/run/rsio/NAME/control, or control-read for a group.
function daemonOf(socketPath: string): Daemon {
  const [, root = '', name] = /^(.*)\/run\/rsio\/([a-z]+)\/control(?:-[a-z]+)?$/.exec(socketPath) ?? [];
  if (name === undefined) return { name: 'The daemon', start: 'start it', log: 'see its log' };
  return {
    name,
    start: `start it with: ${name}${root === '' ? '' : ` --root ${root}`}`,
    log: logOf(root, name),
  };
}

/** The programs that print logs know only the logs of rssrv and rsiod. */
function logOf(root: string, name: string): string {
  if (name === 'rssrv') return 'rsslogcat -n 20 shows its log';
  if (name === 'rsiod') return 'rsclogcat -n 20 shows its log';
  return `its log is ${root}/var/log/rsio/${name}.log, or journalctl -u ${name} shows it`;
}

/** Sends the requests and returns the answer to the last request. Calls `heard` when the answer to the greeting arrives. */
function exchange(socket: Socket, requests: string, daemon: Daemon, heard: () => void): Promise<Answer> {
  const splitter = new LineSplitter(CONTROL_ANSWER_MAX_BYTES);
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new RsError('E_RESET', `${daemon.name} closed the control connection without an answer: see its log`)));
    const take = (line: string): void => {
      const answer = answerOf(line);
      if (answer?.['id'] === GREETING_ID) heard();
      else if (answer !== null) resolve(answer);
      else reject(nonsense(daemon));
    };
    socket.on('data', (chunk) => {
      if (!splitter.push(chunk, take))
        reject(new RsError('E_PROTOCOL', `${daemon.name} answered more than ${CONTROL_ANSWER_MAX_BYTES} bytes: see its log`));
    });
    socket.write(requests);
  });
}

type Answer = Readonly<Record<string, unknown>>;

function answerOf(line: string): Answer | null {
  try {
    const answer: unknown = JSON.parse(line);
    return typeof answer === 'object' && answer !== null && !Array.isArray(answer) ? (answer as Answer) : null;
  } catch {
    return null;
  }
}

function resultOf(answer: Answer, method: string, shape: Shape, daemon: Daemon): unknown {
  const { id, version, result, error } = answer;
  const release = typeof answer['release'] === 'string' ? answer['release'] : null;
  if (id !== REQUEST_ID && !(id === null && error !== undefined)) throw nonsense(daemon);
  // The client accepts a result of the method `daemon` in any version, in order to learn the daemon's release.
  if (version !== CONTROL_VERSION && (method !== 'daemon' || error !== undefined)) throw otherVersion(daemon, version, release);
  if (error !== undefined) throw errorOf(error, daemon, release);
  const trouble = misfit(shape, result);
  if (trouble === null) return result;
  if (release === programVersion()) throw nonsense(daemon);
  throw notUnderstood(daemon, release, `its answer to ${method} has another form (${trouble})`);
}

function nonsense(daemon: Daemon): RsError {
  return new RsError('E_PROTOCOL', `${daemon.name} sent an invalid answer on its control socket: check its log and restart it`);
}

function otherVersion(daemon: Daemon, version: unknown, release: string | null): RsError {
  const ours = `this program (release ${programVersion()}) uses version ${CONTROL_VERSION}`;
  const isNewer = typeof version === 'number' && version > CONTROL_VERSION;
  const theirs = typeof version === 'number' ? `version ${version} of the control interface` : 'no version of the control interface';
  const remedy = isNewer
    ? `use the programs of release ${release ?? '?'}, which ${daemon.name} runs`
    : `restart ${daemon.name}, so that it runs the installed release`;
  return new RsError('E_VERSION', `${daemon.name} (release ${release ?? 'unknown'}) uses ${theirs}, ${ours}: ${remedy}`, {
    version,
    release,
  });
}

function notUnderstood(daemon: Daemon, release: string | null, why: string): RsError {
  const sentence = `${daemon.name} has release ${release ?? 'unknown'}, this program has ${programVersion()} (${why}): use one release for both, and restart ${daemon.name} if it is older`;
  return new RsError('E_VERSION', sentence, { release });
}

function errorOf(value: unknown, daemon: Daemon, release: string | null): RsError {
  const { code, message, context } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const known: ErrorCode = typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'E_INTERNAL';
  const facts = typeof context === 'object' && context !== null ? (context as Record<string, unknown>) : {};
  const sentence = typeof message === 'string' ? message : 'The daemon failed without a reason: check its log';
  // A daemon that does not know a method or parameter from the client's table belongs to another release.
  if (known === 'E_USAGE' && 'unknown' in facts && release !== programVersion()) return notUnderstood(daemon, release, sentence);
  return new RsError(known, sentence, facts);
}

function explain(error: unknown, socketPath: string, daemon: Daemon): unknown {
  const errno = errnoName(error);
  if (errno === 'ENOENT' || errno === 'ECONNREFUSED' || errno === 'ENOTDIR') {
    return new RsError(
      'E_NOT_RUNNING',
      `${daemon.name} is not running, nothing listens on ${socketPath}: ${daemon.start}`,
      { socketPath },
      error,
    );
  }
  if (errno === 'EACCES' || errno === 'EPERM') {
    return new RsError(
      'E_RIGHTS',
      `No permission to open control socket ${socketPath}: run as the user of ${daemon.name}`,
      { socketPath },
      error,
    );
  }
  if (errno === 'ECONNRESET' || errno === 'EPIPE') {
    return new RsError('E_RESET', `${daemon.name} closed the control connection without an answer: see its log`, { socketPath }, error);
  }
  return error;
}
