// Tests a client that gives up a login to a slow server and logs in over another path: the later login gets the session that was begun for
// the first login. Regression: the server refused both logins (E_DRAINING), and each attempt began a session that no client used.
// admissions.test.ts tests other logins.

import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Log } from '@rsio/base/log/log';
import { RsError } from '@rsio/base/lib/errors';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { Proven } from '@rsio/protocol/auth/handshake-server';
import { AT } from '../testing/raw-client.ts';
import type { WorkerSession } from './workers/worker-session.ts';
import { type AdmissionPorts, Admissions } from './admissions.ts';
import { Sessions } from './sessions.ts';
import type { KeyProven } from './unproven-limiter.ts';

const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined } as unknown as Log;

/** Admissions of a slow server: each step waits until `goOn` is called. */
class SlowServer {
  /** Results of logins, such as `127.45.0.1 E_DRAINING` and `127.45.0.2 session 1`. */
  readonly said: string[] = [];
  sessions = 0;
  readonly admissions: Admissions;
  private readonly waiting: (() => void)[] = [];

  constructor(noted: (note: () => Promise<void>) => Promise<void> = (note) => note()) {
    const clock = new FakeClock();
    const later = (): Promise<void> => new Promise((resolve) => this.waiting.push(resolve));
    this.admissions = new Admissions({
      served: new Sessions(),
      clock,
      log: LOG,
      limitedLog: new RateLimitedLog(clock, LOG),
      bandwidth: { began: () => undefined },
      holds: { isCurrent: () => true, lastHolding: () => null, mayReplace: () => true, noteInstance: () => noted(later) },
      workers: { take: () => this.session(++this.sessions, later()) },
      beginMessage: () => ({ type: 'end', code: '', sentence: '' }),
      isClient: () => true,
      fences: { check: () => undefined },
      checkTls: () => undefined,
      sessionEnded: () => Promise.resolve(),
      refusals: { refuse: ({ remoteAddress }: Socket, _proven: Proven, { code }: RsError) => this.said.push(`${remoteAddress} ${code}`) },
    } as unknown as AdmissionPorts);
  }

  login(path: number, process = 'p'): void {
    const hello = { node: 'big-2', instance: 1, machine: 'm', boot: 'b', process };
    const proven = { kind: 'new', hello, features: [], proof: { dead: [] }, key: `key ${path}`, sessionSecret: Buffer.alloc(32, path) };
    this.admissions.admit({ remoteAddress: `127.45.0.${path}` } as Socket, proven as unknown as KeyProven, AT);
  }

  async goOn(): Promise<void> {
    await expect.poll(() => this.waiting.length).toBe(1);
    this.waiting.shift()?.();
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
  }

  private session(number: number, usable: Promise<void>): WorkerSession {
    let gone: (isClean: boolean) => void = () => undefined;
    const ended = new Promise<boolean>((resolve) => {
      gone = resolve;
    });
    const send = ({ type }: { type: string }, socket?: Socket): void => {
      if (type === 'path') this.said.push(`${socket?.remoteAddress} session ${number}`);
    };
    const end = async (): Promise<void> => void (gone(true), await ended);
    return { usable, ended, send, end, isGone: false, pid: number, blockedMs: null } as unknown as WorkerSession;
  }
}

test('the session that was begun is that of the later login, with its secret, key and address', async () => {
  const server = new SlowServer();
  server.login(1);
  server.login(2);
  await server.goOn();
  server.login(3);
  expect(server.said).toEqual(['127.45.0.1 E_DRAINING', '127.45.0.2 E_DRAINING']);
  await server.goOn();
  expect(server.said.slice(2)).toEqual(['127.45.0.3 session 1']);
  const [session] = server.admissions.sessions;
  expect([session?.secret[0], [...session!.keys], session?.client.address, server.sessions]).toEqual([3, ['key 3'], '127.45.0.3', 1]);
});

test('a login after the session has begun replaces that session, as ever', async () => {
  const server = new SlowServer();
  server.login(1);
  await server.goOn();
  await server.goOn();
  server.login(2);
  server.login(3);
  await server.goOn();
  await server.goOn();
  expect(server.said).toEqual(['127.45.0.1 session 1', '127.45.0.2 E_DRAINING', '127.45.0.3 session 2']);
});

test('another process of the node does not take its place, and is told to try again', async () => {
  const server = new SlowServer();
  server.login(1);
  server.login(2, 'another');
  expect(server.said).toEqual(['127.45.0.2 E_DRAINING']);
  await server.goOn();
  await server.goOn();
  expect(server.said.slice(1)).toEqual(['127.45.0.1 session 1']);
});

test('a failure is told to the later login, and the next one begins from the start', async () => {
  let isBroken = true;
  const server = new SlowServer(async (note) => {
    await note();
    if (isBroken) throw new RsError('E_SYSTEM', 'The disk is full');
  });
  server.login(1);
  server.login(2);
  await server.goOn();
  expect(server.said).toEqual(['127.45.0.1 E_DRAINING', '127.45.0.2 E_SYSTEM']);
  isBroken = false;
  server.login(3);
  await server.goOn();
  await server.goOn();
  expect(server.said.at(-1)).toBe('127.45.0.3 session 1');
});
