// Which proven client gets a session, and in which order an old instance is replaced (docs/PROTOCOL.md H4), with holds and worker sessions of the
// test.
// Real processes and sockets are in the integration tests.

import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Proven } from '@rsio/protocol/auth/handshake-server';
import type { Log } from '@rsio/common/log/log';
import type { RsError } from '@rsio/common/lib/errors';
import { RateLimitedLog } from '@rsio/common/log/rate-limited-log';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { type AdmissionPorts, Admissions } from './admissions.ts';
import { AT } from '../testing/raw-client.ts';
import type { WorkerSession } from '../workers/worker-session.ts';

const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined } as unknown as Log;

/** A worker session that records calls, and ends as soon as it is ended. */
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

function proven(instance: number): Proven {
  const hello = { node: 'big-2', instance, machine: 'm', boot: 'b', process: 'p' };
  return { kind: 'new', hello, features: [], proof: { dead: [] }, sessionSecret: Buffer.alloc(32) } as unknown as Proven;
}

/** Admissions with holds that admit every client. */
function admissionsOf(
  said: string[],
  sessionOf: (name: string) => WorkerSession,
  noteInstance: (client: { instance: number }) => Promise<void>,
): Admissions {
  let started = 0;
  const clock = new FakeClock();
  return new Admissions({
    clock,
    log: LOG,
    limitedLog: new RateLimitedLog(clock, LOG),
    holds: { isCurrent: () => true, lastHolding: () => null, mayReplace: () => true, noteInstance },
    takeWorkerSession: () => sessionOf(`session ${++started}`),
    beginMessage: () => ({ type: 'end', code: '', sentence: '' }),
    isClient: () => true,
    sessionEnded: () => Promise.resolve(),
    refuse: (_socket: Socket, _proven: Proven, error: RsError) => said.push(`${error.code}: ${error.message}`),
  } as unknown as AdmissionPorts);
}

// Regression: the connection went to the process, where nothing answered it, so the client had no path to the server.
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
  const joins = { ...proven(1), kind: 'join' } as Proven;
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
  notes.shift()?.();
  await expect.poll(() => admissions.sessions.length).toBe(1);
  admissions.admit(socket, proven(2), AT);
  await expect.poll(() => notes.length).toBe(1);
  expect(said).toEqual(['instance 1 is kept']);
  notes.shift()?.();
  await expect.poll(() => started).toBe(2);
  expect(said).toEqual(['instance 1 is kept', 'instance 2 is kept', 'session 1 is told E_REPLACED']);
});
