// The control methods while volumes are in data processes, with fake processes: which process gets a request, and how answers are joined.
// Invariant: a name that means two volumes is refused, even if two processes have these volumes.

import { quietLog } from '@rsio/base/log/log';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { NO_LATENCY } from '@rsio/base/structures/latency-figures';
import { expect, test } from 'vitest';
import type { ServerOffer } from '../attachments/offers.ts';
import { kept, ProcessScene } from '../testing/process-scene.ts';
import { joinedFigures, NO_FIGURES } from '../control/process-figures.ts';
import { ORDER_END_RETRY_MS, PROCESS_ANSWER_MS, PROCESS_CALLS_MAX, PROCESS_PAUSE_MAX_MS } from './limits.ts';
import { OWN_METHODS } from './messages.ts';
import { routed } from './routing.ts';

const offer = (name: string, namespace = 'osl'): ServerOffer =>
  ({ ...kept(name), namespace, isConnected: true, holders: [], mirror: null }) as unknown as ServerOffer;

class RoutedScene extends ProcessScene {
  readonly asked: string[] = [];
  readonly offers = { list: ['a', 'b', 'c'].map((name): ServerOffer => offer(name)) };
  readonly handlers = routed(
    {
      query: () => void this.asked.push('query') as never,
      status: () => ({ interfaces: [], waiting: [], logs: [], mirrors: [] }),
      stats: () => ({ paths: [path(1)], volumes: [] }),
      mirrors: () => ({ mirrors: [], gaps: [] }),
      'mirror-verify': () => void this.asked.push('own mirror-verify') as never,
      backups: () => ({ backups: [] }),
    } as unknown as ControlHandlers,
    {
      processes: this.processes,
      log: quietLog,
      clock: this.clock,
      offers: this.offers,
      whyMissing: (name) => Promise.resolve(name === 'stopped' ? 'Server big-9 cannot offer it: its file is missing' : null),
    },
  );

  async attach(...names: string[]): Promise<string[]> {
    const { outcomes } = await this.handlers.attach({ names, readOnly: false, server: null, take: 'no' });
    return outcomes.map(({ volume, error }) => (error === null ? volume : `${volume} ${error.code}`));
  }
}

const path = (requests: number, more: object = {}) => ({
  interface: 'if0',
  address: '10.0.0.9',
  port: 5000,
  state: 'up' as const,
  requests,
  sentBytes: 10,
  receivedBytes: 0,
  unansweredBytes: 0,
  resent: 0,
  hedged: 0,
  probed: 0,
  dropped: 0,
  deaths: 0,
  roundTripMs: null,
  receivingBytesPerSecond: null,
  sendingBytesPerSecond: null,
  readLatency: NO_LATENCY,
  writeLatency: NO_LATENCY,
  ...more,
});

const started = async (count: number): Promise<RoutedScene> => {
  const scene = new RoutedScene(count);
  await scene.start();
  return scene;
};

test('attach without names attaches each offered volume once, spread over the processes', async () => {
  const scene = await started(2);
  expect(await scene.attach()).toEqual(['osl:a@0', 'osl:b@0', 'osl:c@0']);
  expect(scene.placed).toEqual({ 1: ['a', 'c'], 2: ['b'] });
  expect(scene.asked).toEqual(['query']);
  await scene.attach('b');
  const methods = scene.running(2)!.received.flatMap((message) => (message.type === 'call' ? message.method : []));
  expect(methods).toEqual([OWN_METHODS.attach, OWN_METHODS.attach]);
});

test('outcomes have the order of the names; a name that no server offers is refused, and no process gets it', async () => {
  const scene = await started(2);
  expect(await scene.attach('c', 'nothing', 'osl:a', 'stopped')).toEqual([
    'osl:c@0',
    'nothing E_UNKNOWN_VOLUME',
    'osl:a@0',
    'stopped E_VOLUME',
  ]);
  expect(scene.placed).toEqual({ 1: ['c'], 2: ['a'] });
  expect(await scene.attach('b')).toEqual(['osl:b@0']);
});

test('a name that means two volumes is refused alone', async () => {
  const scene = await started(2);
  scene.offers.list = [offer('a'), offer('a', 'other'), offer('b')];
  expect(await scene.attach('a', 'b')).toEqual(['a E_AMBIGUOUS', 'osl:b@0']);
});

test('detach finds the process; a name of two volumes in two processes is refused', async () => {
  const scene = await started(2);
  await scene.attach('a', 'b');
  scene.running(2)!.say({
    type: 'attached',
    number: 7,
    content: { boot: 'boot-1', attached: [kept('b'), { ...kept('a'), namespace: 'other' }], detached: [] },
  });
  const { outcomes } = await scene.handlers.detach({ names: ['a', 'b'], force: false });
  expect(outcomes.map(({ volume, error }) => `${volume} ${error?.code ?? 'done'}`)).toEqual(['a E_AMBIGUOUS', 'osl:b@0 done']);
});

test('a volume that is offered and not attached goes to a process, which may have to end a hold', async () => {
  const scene = await started(2);
  const { outcomes } = await scene.handlers.detach({ names: ['c', 'nothing'], force: false });
  expect(outcomes.map(({ volume, error }) => `${volume} ${error?.code ?? 'done'}`)).toEqual(['osl:c@0 done', 'nothing E_UNKNOWN_VOLUME']);
});

// Regression: if the process could not be told that a command had ended, its order kept the volume for ever.
test('a process that could not be told that a command has ended is told again', async () => {
  const scene = await started(1);
  const gone = new AbortController();
  await scene.handlers['order-attach']({ name: 'a', readOnly: false, server: null, alone: false, what: 'a test' }, gone.signal);
  const process = scene.running(1)!;
  process.answers = false;
  const calls = Array.from({ length: PROCESS_CALLS_MAX }, () => scene.processes.all[0]!.call('status', {}).catch(() => undefined));
  const told = (): number => process.received.filter((one) => one.type === 'call' && one.method === OWN_METHODS.endOrder).length;
  const pass = async (): Promise<void> => {
    scene.clock.advance(ORDER_END_RETRY_MS);
    await new Promise((resolve) => setImmediate(resolve));
  };
  gone.abort();
  await pass();
  await pass();
  expect(told()).toBe(0);
  for (const one of process.received) if (one.type === 'call' && one.method === 'status') process.answer(one.number, {});
  await Promise.all(calls);
  process.answers = true;
  for (let times = 0; times < 3; times++) await pass();
  expect(told()).toBe(1);
});

test('a take-over needs names', async () => {
  const scene = await started(2);
  await expect(scene.handlers.attach({ names: [], readOnly: false, server: null, take: 'over' })).rejects.toMatchObject({
    code: 'E_USAGE',
  });
});

const awaited = {
  namespace: 'osl',
  name: 'c',
  universe: 0,
  id: 'c',
  readonly: false,
  server: 'big-5',
  reason: 'It is open in data process 1',
};

test('lists and counters of all processes are joined; a process that is being started again is left out', async () => {
  const scene = await started(2);
  await scene.attach('a', 'b');
  for (const number of [1, 2]) {
    const { results } = scene.running(number)!;
    results['stats'] = { paths: [path(number, { roundTripMs: 1, writeLatency: { ...NO_LATENCY, p99Us: number, sumUs: 5 } })], volumes: [] };
    results['status'] = {
      interfaces: [],
      waiting: [],
      logs: [],
      mirrors: [{ volume: `osl:m${number}@0`, term: 1, waitsFor: null, replicas: [] }],
      awaited: number === 2 ? [awaited] : [],
    };
    results['local'] = { attachments: [], awaited: [] };
  }
  const { paths } = await scene.handlers.stats({});
  expect(paths).toEqual([path(4, { sentBytes: 30, roundTripMs: 1, writeLatency: { ...NO_LATENCY, p99Us: 2, sumUs: 10 } })]);
  const status = await scene.handlers.status({});
  expect(status.mirrors.map(({ volume }) => volume)).toEqual(['osl:m1@0', 'osl:m2@0']);
  expect(status.awaited).toEqual([awaited]);
  scene.running(1)!.exit('signal SIGKILL');
  const during = await scene.handlers.status({});
  expect(during.mirrors.map(({ volume }) => volume)).toEqual(['osl:m2@0']);
  expect(during.processes).toEqual([
    { number: 1, pid: null, volumes: 1, restarts: 1 },
    { number: 2, pid: 1_001, volumes: 1, restarts: 0 },
  ]);
});

test('the sums of counters do not fall when a process ends, is silent, or is started again', async () => {
  const scene = await started(2);
  const figures = { ...NO_FIGURES, residentBytes: 7, logBytes: 3 };
  const counts = async (): Promise<unknown[]> => {
    const asked = scene.handlers.stats({});
    const metrics = scene.processes.figures();
    await new Promise((resolve) => setImmediate(resolve));
    scene.clock.advance(PROCESS_ANSWER_MS);
    const { cpuSeconds, residentBytes } = joinedFigures(await metrics);
    const [{ requests, unansweredBytes } = path(0), ...more] = (await asked).paths;
    return [requests, unansweredBytes, more.length, cpuSeconds, residentBytes];
  };
  const counted = (number: number, requests: number): void => {
    const { results } = scene.running(number)!;
    results['stats'] = { paths: [path(requests, { unansweredBytes: 5 })], volumes: [] };
    results[OWN_METHODS.figures] = { ...figures, cpuSeconds: requests };
  };
  for (const number of [1, 2]) counted(number, 10);
  expect(await counts()).toEqual([21, 10, 0, 20, 14]);
  scene.startErrors.push(new Error('no memory'));
  scene.running(1)!.exit('signal SIGKILL');
  expect(await counts()).toEqual([21, 5, 0, 20, 7]);
  scene.clock.advance(PROCESS_PAUSE_MAX_MS);
  counted(1, 2);
  expect(await counts()).toEqual([23, 10, 0, 22, 14]);
  expect(await counts()).toEqual([23, 10, 0, 22, 14]);
  scene.running(2)!.answers = false;
  counted(1, 4);
  expect(await counts()).toEqual([25, 5, 0, 24, 7]);
  scene.running(2)!.answers = true;
  counted(2, 30);
  expect(await counts()).toEqual([45, 10, 0, 44, 14]);
});

test('the volumes of a process that is being started again, or hangs, are listed as awaited', async () => {
  const scene = await started(2);
  await scene.attach('a', 'b');
  scene.running(2)!.answers = false;
  scene.startErrors.push(...Array.from({ length: 20 }, () => new Error('no memory')));
  scene.running(1)!.exit('signal SIGKILL');
  const list = scene.handlers.local({});
  scene.clock.advance(PROCESS_ANSWER_MS);
  expect((await list).awaited.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([
    'a: Data process 1 is being started again',
    'b: Data process 2 does not answer',
  ]);
});

test('an answer of another form is an error, not an answer', async () => {
  const scene = await started(1);
  scene.running(1)!.results['local'] = { attachments: 'all' };
  await expect(async () => await scene.handlers.local({})).rejects.toMatchObject({ code: 'E_INTERNAL' });
});

test('a request about a mirror goes to the process that has it, else it stays here', async () => {
  const scene = await started(2);
  await scene.attach('a', 'b');
  const verified = { verification: null };
  for (const number of [1, 2]) scene.running(number)!.results['mirror-verify'] = verified;
  const named = { namespace: null, universe: 0, repair: false, from: null };
  await scene.handlers['mirror-verify']({ ...named, name: 'b' });
  const calls = (number: number): number =>
    scene.running(number)!.received.filter((one) => one.type === 'call' && one.method === 'mirror-verify').length;
  expect([calls(1), calls(2), scene.asked.includes('own mirror-verify')]).toEqual([0, 1, false]);
  scene.running(1)!.say({
    type: 'attached',
    number: 9,
    content: { boot: 'boot-1', attached: [kept('a'), { ...kept('b'), namespace: 'other' }], detached: [] },
  });
  await expect(async () => await scene.handlers['mirror-verify']({ ...named, name: 'b' })).rejects.toMatchObject({ code: 'E_AMBIGUOUS' });
  await scene.handlers['mirror-verify']({ ...named, name: 'elsewhere' });
  expect(scene.asked.at(-1)).toBe('own mirror-verify');
});
