// Tests a client with several data processes: each has its own session, and the server treats them as one client (docs/PROTOCOL.md S9, H4).
// Holds and worker sessions are stand-ins. Invariant: a session of a replaced instance never runs beside a session of its successor.

import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Log } from '@rsio/base/log/log';
import type { LogFields } from '@rsio/base/log/log-fields';
import { RsError } from '@rsio/base/lib/errors';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { AT } from '../testing/raw-client.ts';
import type { FromSession } from '../session/channel/channel.ts';
import { type AdmissionPorts, Admissions } from './admissions.ts';
import { Sessions } from './sessions.ts';
import { OLD_SESSION_WAIT_MS, TAKE_OVER_REVOKE_MS } from './limits.ts';
import type { ServedSession } from './served-session.ts';
import type { KeyProven } from './unproven-limiter.ts';
import type { WorkerSession } from './workers/worker-session.ts';

/** A worker session that records the calls of its methods. */
class Stand {
  readonly number: number;
  readonly told: string[];
  isGone = false;
  readonly blockedMs = null;
  readonly usable = Promise.resolve();
  onMessage: (message: FromSession) => void = () => undefined;
  isFlushed = true;
  readonly ended: Promise<boolean>;
  private resolve: (isClean: boolean) => void = () => undefined;

  constructor(number: number, told: string[]) {
    this.number = number;
    this.told = told;
    this.ended = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  get pid(): number {
    return this.number;
  }

  send(): void {}

  discard(): void {}

  async end(code: string): Promise<void> {
    this.told.push(`${this.number} ${code}`);
    await this.ended;
  }

  revoke(volume: string): Promise<boolean> {
    this.told.push(`${this.number} loses ${volume}`);
    return Promise.resolve(this.isFlushed);
  }

  gone(isClean = true): void {
    this.isGone = true;
    this.resolve(isClean);
  }
}

class Server {
  readonly clock = new FakeClock();
  readonly told: string[] = [];
  readonly refused: string[] = [];
  readonly events: string[] = [];
  readonly stands: Stand[] = [];
  /** For each login: how long the earlier client process has been silent, as passed to the check of H4. */
  readonly silences: number[] = [];
  noteInstance: () => Promise<void> = () => Promise.resolve();
  readonly admissions: Admissions;

  constructor() {
    const note = (_message: string, fields?: LogFields): void => {
      const event = fields?.['event'] as { readonly from: string; readonly to: string } | undefined;
      if (event !== undefined) this.events.push(`${event.from} -> ${event.to}`);
    };
    const log = { debug: note, info: note, warn: note, error: note } as unknown as Log;
    const mayReplace = (_before: unknown, _newcomer: unknown, silentMs: number): boolean => (this.silences.push(silentMs), true);
    this.admissions = new Admissions({
      served: new Sessions(),
      clock: this.clock,
      log,
      limitedLog: new RateLimitedLog(this.clock, log),
      bandwidth: { began: () => undefined },
      holds: { isCurrent: () => true, lastHolding: () => null, mayReplace, noteInstance: () => this.noteInstance() },
      workers: { take: () => this.stand() as unknown as WorkerSession },
      beginMessage: () => ({ type: 'end', code: '', sentence: '' }),
      isClient: () => true,
      fences: { check: () => undefined },
      checkTls: () => undefined,
      sessionEnded: () => Promise.resolve(),
      refusals: { refuse: (_socket: Socket, _proven: unknown, { code }: RsError) => this.refused.push(code) },
    } as unknown as AdmissionPorts);
  }

  login(dataProcess: number, instance = 1, key = 'key'): void {
    const hello = { node: 'big-2', instance, machine: 'm', boot: 'b', process: `p${instance}`, dataProcess };
    const secret = Buffer.alloc(32, 10 * instance + dataProcess);
    const proven = { kind: 'new', hello, features: [], proof: { dead: [] }, key, sessionSecret: secret } as unknown as KeyProven;
    this.admissions.admit({ remoteAddress: '127.45.0.1' } as Socket, proven, AT);
  }

  async begin(...processes: number[]): Promise<ServedSession[]> {
    for (const dataProcess of processes) this.login(dataProcess);
    await expect.poll(() => this.running).toEqual(processes.map((dataProcess) => `1.${dataProcess}`));
    return this.admissions.sessions;
  }

  /** The sessions, as INSTANCE.DATAPROCESS. */
  get running(): string[] {
    return this.admissions.sessions.map(({ client, dataProcess }) => `${client.instance}.${dataProcess}`);
  }

  private stand(): Stand {
    const one = new Stand(this.stands.length, this.told);
    this.stands.push(one);
    return one;
  }
}

async function turns(): Promise<void> {
  for (let count = 0; count < 5; count++) await new Promise((resolve) => setImmediate(resolve));
}

test('data processes of a client have sessions side by side, and the client is listed once', async () => {
  const server = new Server();
  const [, second] = await server.begin(0, 3);
  expect(server.told).toEqual([]);
  expect(server.admissions.statuses).toMatchObject([{ node: 'big-2', isSilent: false }]);
  expect(server.events).toEqual(['absent -> connected']);
  expect(server.admissions.secretOf(Buffer.from(second!.id, 'hex'), 'big-2')?.[0]).toBe(13);
  expect(server.admissions.secretOf(Buffer.from(second!.id, 'hex'), 'big-3')).toBeNull();
  expect([0, 3, 4].map((number) => server.admissions.currentSecretOf('big-2', number)?.[0])).toEqual([10, 13, undefined]);
});

test('a new session of a data process replaces only the session of this data process', async () => {
  const server = new Server();
  await server.begin(0, 1, 2);
  server.login(1);
  await turns();
  expect(server.told).toEqual(['1 E_NO_SESSION']);
  expect(server.running).toEqual(['1.0', '1.1', '1.2']);
  server.stands[1]?.gone();
  await expect.poll(() => server.running).toEqual(['1.0', '1.2', '1.1']);
  expect(server.refused).toEqual([]);
});

test('a newer instance ends all sessions of the older one, and begins only when nothing of any of them runs', async () => {
  const server = new Server();
  await server.begin(0, 1);
  server.login(0, 2);
  await turns();
  expect(server.told).toEqual(['0 E_REPLACED', '1 E_REPLACED']);
  server.stands[0]?.gone();
  await turns();
  expect(server.running).toEqual(['1.1']);
  server.stands[1]?.gone();
  await expect.poll(() => server.running).toEqual(['2.0']);
  expect(server.refused).toEqual([]);
});

test('a newer instance has to try again while one session of the older one does not end', async () => {
  const server = new Server();
  await server.begin(0, 1);
  server.login(2, 2);
  await turns();
  server.stands[0]?.gone();
  await turns();
  server.clock.advance(OLD_SESSION_WAIT_MS);
  await expect.poll(() => server.refused).toEqual(['E_DRAINING']);
  expect(server.running).toEqual(['1.1']);
});

test('data processes of one client process log in at the same time, and another process tries again meanwhile', async () => {
  const server = new Server();
  const notes: (() => void)[] = [];
  server.noteInstance = () => new Promise((resolve) => notes.push(resolve));
  server.login(0);
  server.login(1);
  server.login(0, 2);
  expect(server.refused).toEqual(['E_DRAINING']);
  for (const _login of [0, 1]) {
    await expect.poll(() => notes.length).toBe(1);
    notes.shift()?.();
  }
  await expect.poll(() => server.running).toEqual(['1.0', '1.1']);
});

// A note that is only in memory must not let the second login end a session with E_REPLACED, because a crash could still discard the note.
test('no login of a newer instance ends a session before the note of any login is durable', async () => {
  const server = new Server();
  await server.begin(0, 1);
  const notes: (() => void)[] = [];
  let noted = 0;
  server.noteInstance = () => (noted++ === 0 ? new Promise((resolve) => notes.push(resolve)) : Promise.resolve());
  server.login(0, 2);
  server.login(1, 2);
  await turns();
  expect(server.told).toEqual([]);
  notes.shift()?.();
  await turns();
  expect(new Set(server.told)).toEqual(new Set(['0 E_REPLACED', '1 E_REPLACED']));
});

test('a client is silent, or absent, only when all its sessions are', async () => {
  const server = new Server();
  await server.begin(0, 1);
  const paths = (at: number, count: number): void => server.stands[at]?.onMessage({ type: 'paths', count });
  paths(0, 0);
  server.clock.advance(1_000);
  expect(server.admissions.statuses[0]?.isSilent).toBe(false);
  paths(1, 0);
  server.clock.advance(500);
  server.login(0, 2);
  expect(server.silences.at(-1)).toBe(500);
  expect(server.admissions.statuses[0]?.isSilent).toBe(true);
  paths(0, 1);
  await turns();
  server.stands[0]?.gone();
  await turns();
  server.clock.advance(100);
  server.stands[1]?.gone();
  await expect.poll(() => server.running).toEqual(['2.0']);
  expect(server.events).toEqual([
    'absent -> connected',
    'connected -> silent',
    'silent -> connected',
    'connected -> silent',
    'silent -> absent',
    'absent -> connected',
  ]);
});

test('a departed client was heard when the last of its sessions was', async () => {
  const server = new Server();
  await server.begin(0, 1);
  server.stands[0]?.onMessage({ type: 'paths', count: 0 });
  server.clock.advance(1_000);
  server.stands[1]?.gone();
  await turns();
  server.clock.advance(200);
  server.stands[0]?.gone();
  await turns();
  server.clock.advance(50);
  server.login(0, 2);
  expect(server.silences.at(-1)).toBe(250);
});

test('an order to end the sessions of a node ends all of them, and waits for all of them', async () => {
  const server = new Server();
  await server.begin(0, 1);
  const ending = server.admissions.endSession('big-2', 'E_FENCED', 'fenced');
  expect(server.told).toEqual(['0 E_FENCED', '1 E_FENCED']);
  let isOver: boolean | null = null;
  void ending?.ended.then((isClean) => (isOver = isClean));
  server.stands[0]?.gone();
  await turns();
  expect([isOver, ending?.pid]).toEqual([null, 1]);
  server.stands[1]?.gone(false);
  await expect.poll(() => isOver).toBe(false);
  expect(server.admissions.isThere('big-2')).toBe(false);
});

test('a dropped key ends exactly the sessions that have proved it', async () => {
  const server = new Server();
  server.login(0, 1, 'old');
  server.login(1, 1, 'new');
  await expect.poll(() => server.running.length).toBe(2);
  server.admissions.dismissKeys('big-2', ['old'], 'changed');
  expect(server.told).toEqual(['0 E_AUTH']);
  server.admissions.dismiss('big-2', 'removed');
  expect(server.told).toEqual(['0 E_AUTH', '0 E_AUTH', '1 E_AUTH']);
});

test('a take-over revokes the volume only in the session that uses it', async () => {
  const server = new Server();
  const [first, second] = await server.begin(0, 1);
  first?.uses.add('a');
  second?.uses.add('b');
  expect(await server.admissions.revokeForTakeOver('big-2', 'b', 1, 'why')).toBe(true);
  expect(server.told).toEqual(['1 loses b']);
  server.clock.advance(TAKE_OVER_REVOKE_MS);
  server.stands[0]!.isFlushed = false;
  expect(await server.admissions.revokeForTakeOver('big-2', 'a', 1, 'why')).toBe(false);
  expect(server.told).toEqual(['1 loses b', '0 loses a']);
});

test('a volume that another data process has open, or is opening, is used beside', async () => {
  const server = new Server();
  const [first, second] = await server.begin(0, 1);
  first!.uses.opens('a');
  expect(server.admissions.usedBeside(second!, 'a')).toBe(first);
  expect(server.admissions.usedBeside(first!, 'a')).toBeNull();
  first!.uses.opened('a');
  expect(server.admissions.usedBeside(second!, 'a')).toBeNull();
  first!.uses.add('a');
  server.stands[0]?.gone();
  await turns();
  expect(server.admissions.usedBeside(second!, 'a')).toBeNull();
});
