// One question to a daemon's control socket, as rsconfig, crsio and the tests ask it: connect, ask, answer, close.
// Invariant: the promise settles within the time-out, and an error says what the person can do.

import { connect, type Socket } from 'node:net';
import { type Clock, systemClock } from '../lib/clock.ts';
import { ERRORS, type ErrorCode, errnoName, RsError } from '../lib/errors.ts';
import { checkSocketPath } from '../lib/unix-socket.ts';
import { CONTROL_ANSWER_MAX_BYTES, CONTROL_TIMEOUT_MS } from '../limits.ts';
import { LineSplitter } from './line-splitter.ts';
import type { ControlMethodName, ControlMethods } from './methods.ts';

export interface CallOptions {
  /** Default CONTROL_TIMEOUT_MS. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

const REQUEST_ID = 1;

/**
 * Asks the daemon behind `socketPath`. Throws what the daemon answered, or E_NOT_RUNNING, E_RIGHTS, E_TIMEOUT, E_RESET (it went
 * away), E_PROTOCOL (it answered nonsense), E_SOCKET_PATH.
 */
export async function callControl<M extends ControlMethodName>(
  socketPath: string,
  method: M,
  params: ControlMethods[M]['params'],
  options: CallOptions = {},
): Promise<ControlMethods[M]['result']> {
  checkSocketPath(socketPath);
  const { timeoutMs = CONTROL_TIMEOUT_MS, clock = systemClock } = options;
  const daemon = daemonOf(socketPath);
  const socket = connect(socketPath);
  let timedOut = false;
  const timer = clock.after(timeoutMs, () => {
    timedOut = true;
    socket.destroy();
  });
  try {
    const line = await exchange(socket, `${JSON.stringify({ id: REQUEST_ID, method, params })}\n`, daemon);
    return resultOf(line, daemon) as ControlMethods[M]['result'];
  } catch (error) {
    if (!timedOut) throw explain(error, socketPath, daemon);
    const sentence = `${daemon.name} did not answer ${method} within ${timeoutMs} ms: look at its log, and restart it if it hangs`;
    throw new RsError('E_TIMEOUT', sentence, { socketPath, timeoutMs });
  } finally {
    timer.cancel();
    socket.destroy();
  }
}

interface Daemon {
  readonly name: string;
  readonly start: string;
}

// RUN is ROOT/run/rsio/NAME: the path itself tells how the daemon is started.
function daemonOf(socketPath: string): Daemon {
  const [, root = '', name] = /^(.*)\/run\/rsio\/([a-z]+)\/control$/.exec(socketPath) ?? [];
  if (name === undefined) return { name: 'The daemon', start: 'start it' };
  return { name, start: `start it with: ${name}${root === '' ? '' : ` --root ${root}`}` };
}

function exchange(socket: Socket, request: string, daemon: Daemon): Promise<string> {
  const splitter = new LineSplitter(CONTROL_ANSWER_MAX_BYTES);
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () =>
      reject(new RsError('E_RESET', `${daemon.name} closed the control connection without an answer: look at its log`)),
    );
    socket.on('data', (chunk) => {
      if (!splitter.push(chunk, resolve))
        reject(new RsError('E_PROTOCOL', `${daemon.name} answered more than ${CONTROL_ANSWER_MAX_BYTES} bytes: look at its log`));
    });
    socket.write(request);
  });
}

function resultOf(line: string, daemon: Daemon): unknown {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {
    answer = undefined;
  }
  if (typeof answer === 'object' && answer !== null) {
    if ('error' in answer) throw errorOf(answer.error);
    if ('result' in answer && 'id' in answer && answer.id === REQUEST_ID) return answer.result;
  }
  throw new RsError('E_PROTOCOL', `${daemon.name} answered nonsense on its control socket: it may be of another version, restart it`);
}

function errorOf(value: unknown): RsError {
  const { code, message, context } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const known: ErrorCode = typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'E_INTERNAL';
  const facts = typeof context === 'object' && context !== null ? (context as Record<string, unknown>) : {};
  return new RsError(known, typeof message === 'string' ? message : 'The daemon failed without saying why: look at its log', facts);
}

function explain(error: unknown, socketPath: string, daemon: Daemon): unknown {
  const errno = errnoName(error);
  if (errno === 'ENOENT' || errno === 'ECONNREFUSED' || errno === 'ENOTDIR') {
    return new RsError(
      'E_NOT_RUNNING',
      `${daemon.name} does not run, nothing listens on ${socketPath}: ${daemon.start}`,
      { socketPath },
      error,
    );
  }
  if (errno === 'EACCES' || errno === 'EPERM') {
    return new RsError('E_RIGHTS', `May not open control socket ${socketPath}: run as the user of ${daemon.name}`, { socketPath }, error);
  }
  if (errno === 'ECONNRESET' || errno === 'EPIPE') {
    return new RsError('E_RESET', `${daemon.name} closed the control connection without an answer: look at its log`, { socketPath }, error);
  }
  return error;
}
