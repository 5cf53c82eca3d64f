// Tests how the servers are asked for /impact: with the role of the least token, once for all visitors, and within a bounded time.

import { volume } from '@rsio/api/testing/server-views';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { CallOptions } from '@rsio/common/control/control-client';
import { beforeEach, expect, test, vi } from 'vitest';
import type { DaemonCalls } from '../api/calls.ts';
import { FACTS_ANSWER_MS, FACTS_REST_MS, FACTS_WAIT_MS } from '../limits.ts';
import { ServerFacts } from './server-facts.ts';

const path = { state: 'up', localAddress: '10.0.0.2', address: '10.0.0.9', lastError: 'Connection refused' };
const QUERY = {
  namespaces: [
    {
      ...{ name: 'osl', nodename: 'big-2' },
      servers: [
        { name: 'big-9', state: 'connected', paths: [path], volumes: [] },
        { name: 'big-8', state: 'down', paths: [path], volumes: [] },
      ],
    },
  ],
};
const ANSWERS: Readonly<Record<string, object>> = {
  query: QUERY,
  mirrors: { mirrors: [], gaps: [] },
  gates: { gates: [] },
  'volume-list': { volumes: [volume()], removed: [] },
  'witness-list': { isWitness: false, limit: 1, records: [] },
  'farm-show': { server: 'big-9', pools: [] },
  'replication-list': { replications: [] },
};

let clock: FakeClock;
let asked: { readonly method: string; readonly options: CallOptions; readonly waitMs: unknown }[];

beforeEach(() => {
  clock = new FakeClock();
  asked = [];
});

function calls(changes: Readonly<Record<string, () => Promise<object>>> = {}): DaemonCalls {
  const answer = (method: string): Promise<object> => changes[method]?.() ?? Promise.resolve(ANSWERS[method] ?? {});
  const fails = async (): Promise<never> => {
    throw new RsError('E_NOT_RUNNING', 'rsapp is not running');
  };
  return {
    server: fails,
    applications: fails,
    client: async (method, params, options) => {
      const { method: inner = '', waitMs } = params as { method?: string; waitMs?: number };
      asked.push({ method: method === 'server-call' ? inner : method, options, waitMs });
      return method === 'server-call' ? { result: await answer(inner) } : answer(method);
    },
  };
}

test('each connected server is asked as the least token may, and one that is away has a trouble', async () => {
  const { namespaces, trouble } = await new ServerFacts(clock, calls()).tell();
  expect(trouble).toBeNull();
  const [only] = namespaces;
  expect(only?.facts.servers.map(({ server, trouble: why, volumes }) => [server, why, volumes.length])).toEqual([
    ['big-9', null, 1],
    ['big-8', 'Server big-8 of osl is down: Connection refused', 0],
  ]);
  expect(only?.facts.paths).toHaveLength(2);
  expect(asked.map(({ method }) => method).toSorted()).toEqual(Object.keys(ANSWERS).toSorted());
  expect(new Set(asked.map(({ options }) => options.role))).toEqual(new Set(['reader']));
  expect(asked.find(({ method }) => method === 'farm-show')?.waitMs).toBe(FACTS_ANSWER_MS);
});

test('one gathering serves all who ask meanwhile and shortly after', async () => {
  const facts = new ServerFacts(clock, calls());
  const [first, second] = await Promise.all([facts.tell(), facts.tell()]);
  expect(second).toBe(first);
  expect(await facts.tell()).toBe(first);
  const once = asked.length;
  clock.advance(FACTS_REST_MS);
  expect(await facts.tell()).not.toBe(first);
  expect(asked).toHaveLength(2 * once);
});

test('what is not answered in time is a trouble of its server', async () => {
  const facts = new ServerFacts(
    clock,
    calls({
      'farm-show': () =>
        new Promise((_, reject) => {
          const { signal } = asked.at(-1)?.options ?? {};
          signal?.addEventListener('abort', () => reject(new RsError('E_RESET', 'closed')));
        }),
    }),
  );
  const told = facts.tell();
  await vi.waitFor(() => expect(asked.map(({ method }) => method)).toContain('replication-list'));
  clock.advance(FACTS_WAIT_MS);
  const { namespaces } = await told;
  expect(namespaces[0]?.facts.servers[0]?.trouble).toMatch(/not asked to the end within 15 s/);
});

test('without rsiod, or with an answer of another form, nothing is made up', async () => {
  const gone = calls({ query: () => Promise.reject(new RsError('E_NOT_RUNNING', 'rsiod is not running: rsconfig start')) });
  expect(await new ServerFacts(clock, gone).tell()).toEqual({ namespaces: [], trouble: 'rsiod is not running: rsconfig start' });
  const odd = await new ServerFacts(clock, calls({ 'farm-show': async () => ({ pools: 'none' }) })).tell();
  expect(odd.namespaces[0]?.facts.servers[0]?.trouble).toMatch(/answers farm-show in another form/);
});
