// Tests which proven client gets a session, and the order of the steps in which a new instance of a client replaces the old one
// (docs/PROTOCOL.md H4). Holds and worker sessions are stand-ins here; the integration tests use real processes and sockets. Rules: G20,
// G23.

import type { Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Log } from '@rsio/base/log/log';
import { RsError } from '@rsio/base/lib/errors';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { type AdmissionPorts, Admissions } from './admissions.ts';
import { Sessions } from './sessions.ts';
import { SESSION_LINGER_MS } from './limits.ts';
import { AT } from '../testing/raw-client.ts';
import type { KeyProven } from './unproven-limiter.ts';
import type { WorkerSession } from './workers/worker-session.ts';

const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined } as unknown as Log;

const FENCED = new Set<string>();

let requiresTls = false;

afterEach(() => {
  FENCED.clear();
  requiresTls = false;
});

/** A worker session that records calls, and ends as soon as `end` is called. */
function workerSession(name: string, said: string[]): WorkerSession {
  let gone: () => void = () => undefined;
  const ended = new Promise<boolean>((resolve) => {
    gone = () => resolve(true);
  });
  const end = async (code: string): Promise<void> => {
    said.push(`${name} is told ${code}`);
    gone();
    await ended;
  };
  return {
    usable: Promise.resolve(),
    ended,
    isGone: false,
    pid: 1,
    blockedMs: null,
    send: () => undefined,
    kill: () => undefined,
    end,
  } as unknown as WorkerSession;
}

function proven(instance: number): KeyProven {
  const hello = { node: 'big-2', instance, machine: 'm', boot: 'b', process: 'p' };
  return { kind: 'new', hello, features: [], proof: { dead: [] }, key: 'old', sessionSecret: Buffer.alloc(32) } as unknown as KeyProven;
}

/** A connection that joins the last session. */
function joining(admissions: Admissions, instance: number, changes: Partial<KeyProven> = {}): KeyProven {
  const session = Buffer.from(admissions.sessions.at(-1)?.id ?? '', 'hex');
  return { ...proven(instance), kind: 'join', session, ...changes } as KeyProven;
}

/** Lets the oldest waiting step continue, as soon as there is one. */
async function go(steps: (() => void)[]): Promise<void> {
  await expect.poll(() => steps.length).toBeGreaterThan(0);
  steps.shift()?.();
}

/** Admissions with holds that admit every client. */
function admissionsOf(
  said: string[],
  sessionOf: (name: string) => WorkerSession,
  noteInstance: (client: { instance: number }) => Promise<void>,
  clock = new FakeClock(),
): Admissions {
  let started = 0;
  return new Admissions({
    served: new Sessions(),
    clock,
    log: LOG,
    limitedLog: new RateLimitedLog(clock, LOG),
    holds: { isCurrent: () => true, lastHolding: () => null, mayReplace: () => true, noteInstance },
    workers: { take: () => sessionOf(`session ${++started}`) },
    beginMessage: () => ({ type: 'end', code: '', sentence: '' }),
    isClient: () => true,
    bandwidth: { began: () => undefined },
    fences: {
      check: (node: string) => {
        if (FENCED.has(node)) throw new RsError('E_FENCED', `Node ${node} is fenced`);
      },
    },
    checkTls: (features: readonly string[]) => {
      if (requiresTls && !features.includes('tls')) throw new RsError('E_TLS', 'Encrypted connections only');
    },
    sessionEnded: () => Promise.resolve(),
    refusals: { refuse: (_socket: Socket, _proven: unknown, error: RsError) => said.push(`${error.code}: ${error.message}`) },
  } as unknown as AdmissionPorts);
}

// Regression: the connection went to the blocked process, which did not answer, so the client had no path to the server.
test('a join to a session whose process waits for its storage is answered with that', async () => {
  const said: string[] = [];
  const given: unknown[] = [];
  let stillMs: number | null = null;
  const sessionOf = (name: string): WorkerSession =>
    Object.defineProperties(workerSession(name, said), {
      blockedMs: { get: () => stillMs },
      send: { value: ({ type }: { type: string }) => given.push(type) },
    });
  const admissions = admissionsOf(said, sessionOf, () => Promise.resolve());
  const socket = { remoteAddress: '127.45.0.1' } as Socket;
  admissions.admit(socket, proven(1), AT);
  await expect.poll(() => admissions.sessions.length).toBe(1);
  const joins = joining(admissions, 1);
  given.length = 0;
  for (const ms of [null, 12_345, null]) {
    stillMs = ms;
    admissions.admit(socket, joins, AT);
  }
  expect(given).toEqual(['path', 'path']);
  expect(said).toEqual([
    'E_DRAINING: Server process 1 of node big-2 is blocked in a call to the storage of one of its volumes, for 12 s now',
  ]);
});

// If a session without a path did not end, a middleman that stops the connection after PROOF could make a session count as connected
// forever.
test('a session whose first connection never became a path ends', async () => {
  const said: string[] = [];
  const clock = new FakeClock();
  const admissions = admissionsOf(
    said,
    (name) => workerSession(name, said),
    () => Promise.resolve(),
    clock,
  );
  admissions.admit({ remoteAddress: '127.45.0.1' } as Socket, proven(1), AT);
  await expect.poll(() => admissions.sessions.length).toBe(1);
  clock.advance(SESSION_LINGER_MS - 1);
  expect(said).toEqual([]);
  clock.advance(1);
  await expect.poll(() => admissions.sessions.length).toBe(0);
  expect(said).toEqual(['session 1 is told E_NO_SESSION']);
});

test('an old instance is told of its replacement only once that is durable, because the instance believes it for ever', async () => {
  const said: string[] = [];
  const notes: (() => void)[] = [];
  const noteInstance = ({ instance }: { instance: number }): Promise<void> =>
    new Promise((resolve) => {
      notes.push(() => {
        said.push(`instance ${instance} is kept`);
        resolve();
      });
    });
  let started = 0;
  const sessionOf = (name: string): WorkerSession => {
    started++;
    return workerSession(name, said);
  };
  const admissions = admissionsOf(said, sessionOf, noteInstance);
  const socket = { remoteAddress: '127.45.0.1' } as Socket;

  admissions.admit(socket, proven(1), AT);
  await go(notes);
  await expect.poll(() => admissions.sessions.length).toBe(1);
  admissions.admit(socket, proven(2), AT);
  await expect.poll(() => notes.length).toBe(1);
  expect(said).toEqual(['instance 1 is kept']);
  await go(notes);
  await expect.poll(() => started).toBe(2);
  expect(said).toEqual(['instance 1 is kept', 'instance 2 is kept', 'session 1 is told E_REPLACED']);
});

test('a dropped key ends exactly the sessions of which it has proved a path, also one that is only beginning', async () => {
  const said: string[] = [];
  const notes: (() => void)[] = [];
  const noteInstance = (): Promise<void> => new Promise((resolve) => notes.push(resolve));
  const admissions = admissionsOf(said, (name) => workerSession(name, said), noteInstance);
  const socket = { remoteAddress: '127.45.0.1' } as Socket;
  const drop = (...keys: string[]): void => admissions.dismissKeys('big-2', keys, 'changed');

  admissions.admit(socket, proven(1), AT);
  drop('another');
  await go(notes);
  await expect.poll(() => admissions.sessions.length).toBe(1);
  drop('new');
  expect(said).toEqual([]);
  admissions.admit(socket, joining(admissions, 1, { key: 'new' }), AT);
  expect(admissions.statuses[0]?.keys).toEqual(new Set(['old', 'new']));
  drop('new');
  expect(said).toEqual(['session 1 is told E_AUTH']);
  await expect.poll(() => admissions.sessions.length).toBe(0);

  admissions.admit(socket, proven(2), AT);
  drop('old');
  await go(notes);
  await expect.poll(() => said.length).toBe(2);
  expect(said[1]).toMatch(/^E_AUTH: The clients of the server have just changed: node big-2 has to log in again$/);
});

test('nothing of a fenced node is admitted: no new session, no join, and none that is only beginning', async () => {
  const said: string[] = [];
  const notes: (() => void)[] = [];
  const noteInstance = (): Promise<void> => new Promise((resolve) => notes.push(resolve));
  const admissions = admissionsOf(said, (name) => workerSession(name, said), noteInstance);
  const socket = { remoteAddress: '127.45.0.1' } as Socket;
  const refusal = 'E_FENCED: Node big-2 is fenced';

  admissions.admit(socket, proven(1), AT);
  expect(admissions.isThere('big-2')).toBe(true);
  FENCED.add('big-2');
  await go(notes);
  await expect.poll(() => said).toEqual([refusal]);
  expect(admissions.sessions).toEqual([]);
  admissions.admit(socket, proven(1), AT);
  expect(said).toEqual([refusal, refusal]);
  await expect.poll(() => admissions.isThere('big-2')).toBe(false);

  FENCED.clear();
  admissions.admit(socket, proven(2), AT);
  await go(notes);
  await expect.poll(() => admissions.sessions.length).toBe(1);
  FENCED.add('big-2');
  said.length = 0;
  admissions.admit(socket, joining(admissions, 2), AT);
  expect(said).toEqual([refusal]);
  expect(admissions.endSession('big-2', 'E_FENCED', 'fenced')).not.toBeNull();
  expect(said).toEqual([refusal, 'session 1 is told E_FENCED']);
  await expect.poll(() => admissions.sessions.length).toBe(0);
  expect(admissions.endSession('big-2', 'E_FENCED', 'fenced')).toBeNull();
});

test('nothing plain is admitted once encryption is required: no new session, no join, and none that is only beginning', async () => {
  const said: string[] = [];
  const notes: (() => void)[] = [];
  const sent: unknown[] = [];
  const noteInstance = (): Promise<void> => new Promise((resolve) => notes.push(resolve));
  const sessionOf = (name: string): WorkerSession =>
    Object.assign(workerSession(name, said), { send: (message: { type: string }) => void sent.push(message) });
  const admissions = admissionsOf(said, sessionOf, noteInstance);
  const socket = { remoteAddress: '127.45.0.1' } as Socket;
  const refusal = 'E_TLS: Encrypted connections only';
  const encrypted = (kind: 'new' | 'join'): KeyProven => {
    const plain = kind === 'new' ? proven(1) : joining(admissions, 1);
    return { ...plain, features: ['tls'], tlsPsk: '00' };
  };

  admissions.admit(socket, proven(1), AT);
  requiresTls = true;
  await go(notes);
  await expect.poll(() => said).toEqual([refusal]);
  expect(sent).toEqual([]);
  await expect.poll(() => admissions.isThere('big-2')).toBe(false);
  admissions.admit(socket, encrypted('new'), AT);
  await go(notes);
  await expect.poll(() => admissions.sessions.length).toBe(1);
  admissions.admit(socket, joining(admissions, 1), AT);
  expect(said).toEqual([refusal, refusal]);
  admissions.admit(socket, encrypted('join'), AT);
  admissions.endPlainPaths('why');
  expect(sent.slice(1)).toMatchObject([
    { type: 'path', admission: { tls: { psk: '00' } } },
    { type: 'path', admission: { tls: { psk: '00' } } },
    { type: 'end-plain-paths', sentence: 'why' },
  ]);
});
