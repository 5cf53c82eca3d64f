// Tests the page of mirrors with keys only: what it shows of replicas, witnesses and holders, and which requests it sends to rsiod. rsiod
// is scripted (testing/walker.ts). The package rsiod tests the mirrors.

import type { AttachedMirrorView, MirrorSummary } from '@rsio/api/views/mirror-views';
import { RsError } from '@rsio/base/lib/errors';
import { SAMPLE_RSCLTCFG } from '@rsio/common/testing/sample-rscltcfg';
import { expect, test } from 'vitest';
import { Walker } from '../testing/walker.ts';

const GIB = 1024 ** 3;

function mirror(change: Partial<MirrorSummary> = {}): MirrorSummary {
  const replica = (server: string, serverid: number) => ({
    server,
    serverid,
    volume: 'db',
    universe: 0,
    inSync: true,
    isReachable: true,
    isSilent: false,
    copy: null,
  });
  const voter = (server: string, serverid: number) => ({ server, serverid, answers: true, isSilent: false, trouble: null });
  return {
    namespace: 'osl',
    name: 'db',
    universe: 0,
    mirror: 'a'.repeat(32),
    state: 'known',
    sizeBytes: 20 * GIB,
    majority: 2,
    holder: null,
    replicas: [replica('big-9', 1), replica('big-8', 2)],
    voters: [voter('big-9', 1), voter('big-8', 2), voter('pi-1', 3)],
    ...change,
  };
}

function attached(state: AttachedMirrorView['replicas'][number]['state'], leftBytes: number | null): AttachedMirrorView {
  const rest = { isOpen: true, bytesPerSecond: null };
  return {
    volume: 'osl:db@0',
    term: 3,
    waitsFor: null,
    replicas: [
      { server: 'big-9', state: 'in sync', leftBytes: null, etaMs: null, ...rest },
      { server: 'big-8', state, leftBytes, etaMs: leftBytes === null ? null : 120_400, ...rest },
    ],
  };
}

function walkerWith(mirrors: readonly MirrorSummary[], here: readonly AttachedMirrorView[] = [], gaps: readonly string[] = []): Walker {
  return new Walker({
    file: SAMPLE_RSCLTCFG,
    daemon: {
      status: () => ({ interfaces: [], waiting: [], logs: [], mirrors: [...here] }),
      query: () => ({ namespaces: [{ servers: ['big-9', 'big-8', 'pi-1'].map((name) => ({ name })) }] }) as never,
      mirrors: () => ({ mirrors: [...mirrors], gaps: [...gaps] }),
    },
  });
}

async function opened(...given: Parameters<typeof walkerWith>): Promise<Walker> {
  const walker = walkerWith(...given);
  await walker.choose('Mirrors');
  return walker;
}

test('a mirror that is well has no sign of trouble', async () => {
  const screen = (await opened([mirror()])).screen();
  expect(screen).toMatch(/> osl:db@0 +20\.0G +not attached/);
  expect(screen).toMatch(/\+ big-9 +in sync/);
  expect(screen).toMatch(/\+ pi-1 +witness/);
  expect(screen).not.toContain('! ');
});

test('what lacks writes, is silent, waits or is held elsewhere is said', async () => {
  const { replicas, voters } = mirror();
  const copying = await opened([mirror({ holder: 'big-2' })], [attached('copying', 8 * GIB)]);
  expect(copying.screen()).toMatch(/attached here/);
  expect(copying.screen()).toMatch(/! big-8 +copying, 8\.0G left, 2m/);
  expect((await opened([mirror()], [attached('behind', null)])).screen()).toMatch(/! big-8 +behind/);
  const waits = { ...attached('in sync', null), waitsFor: 'Most voters are away' };
  expect((await opened([mirror()], [waits])).screen()).toContain('! waits: Most voters are away');
  const silent = mirror({
    holder: 'big-6',
    replicas: replicas.map((each, index) => ({ ...each, inSync: index === 0, isReachable: index === 0 })),
    voters: voters.map((each, index) => (index === 2 ? { ...each, answers: false, trouble: 'Server pi-1 is not connected' } : each)),
  });
  const { screen } = { screen: (await opened([silent], [], ['Server pi-1 of osl is not connected'])).screen() };
  expect(screen).toContain('held by big-6');
  expect(screen).toMatch(/! big-8 +lacks writes/);
  expect(screen).toMatch(/! pi-1 +witness: Server pi-1 is not connected/);
  expect(screen).toContain('! Server pi-1 of osl is not connected');
  expect((await opened([mirror({ state: 'unfinished', sizeBytes: null })])).screen()).toContain('not made or removed to the end');
});

test('the page is looked at again while it is shown, and not afterwards', async () => {
  const walker = await opened([]);
  expect(walker.screen()).toContain('No mirror: F7 creates one');
  const asked = (): number => walker.calls.filter(({ method }) => method === 'mirrors').length;
  expect(asked()).toBe(1);
  await walker.pass(3_000);
  expect(asked()).toBe(2);
  await walker.press('escape');
  await walker.pass(60_000);
  expect(asked()).toBe(2);
});

test('a mirror is created by a form, whose wrong fields are named', async () => {
  const walker = await opened([]);
  const seen: unknown[] = [];
  walker.world.daemon!['mirror-create'] = (params) => {
    seen.push(params);
    return { mirror: mirror(), warnings: ['No witness'] };
  };
  await walker.press('action');
  await walker.choose('Create mirror');
  await walker.press({ text: 'db' }, 'enter', { text: '20' }, 'enter', { text: 'big-9, big-8' }, 'action', 'enter');
  expect(seen).toEqual([]);
  expect(walker.words()).toContain('Wrong value for size');
  await walker.press({ text: 'g' }, 'action', 'enter');
  const named = { namespace: 'osl', name: 'db', universe: 0, pool: null, witness: null, request: 'id-1' };
  expect(seen).toEqual([{ ...named, sizeBytes: 20 * GIB, blockSizeBytes: 512, servers: ['big-9', 'big-8'] }]);
  expect(walker.words()).toContain('osl:db@0 created; No witness');
  expect(walker.screen()).not.toContain('not saved');
});

test('the form offers the servers that rsiod knows', async () => {
  const walker = await opened([]);
  await walker.press('action');
  await walker.choose('Create mirror');
  await walker.press({ text: 'db' }, 'enter', { text: '20g' }, 'enter', 'choose');
  await walker.choose('big-9,pi-1');
  await walker.press('enter', 'choose');
  await walker.choose('big-8');
  expect(walker.screen()).toMatch(/servers \* +\[big-9,pi-1/);
  expect(walker.screen()).toMatch(/witness +\[big-8/);
});

test('a refused creation is shown with its reason', async () => {
  const walker = await opened([]);
  walker.world.daemon!['mirror-create'] = () => {
    throw new RsError('E_NO_PATH', 'Server big-8 of osl is not connected');
  };
  await walker.press('action');
  await walker.choose('Create mirror');
  await walker.press({ text: 'db' }, 'enter', { text: '20g' }, 'enter', { text: 'big-9,big-8' }, 'action', 'enter');
  expect(walker.question()).toBe('Server big-8 of osl is not connected [E_NO_PATH]');
});

test('Enter attaches, detaches and dissolves, and asks before the last two', async () => {
  const walker = await opened([mirror()]);
  const seen: unknown[] = [];
  const outcome = { volume: 'osl:db@0', done: true, already: false, device: '/dev/av0/db', error: null };
  Object.assign(walker.world.daemon!, {
    attach: (params: unknown) => {
      seen.push(params);
      return { outcomes: [outcome] };
    },
    'mirror-remove': (params: unknown) => {
      seen.push(params);
      return { namespace: 'osl', name: 'db', universe: 0, mirror: 'a'.repeat(32), volumes: [], left: [] };
    },
  });
  await walker.choose('osl:db@0', 'Attach osl:db@0');
  expect(seen).toEqual([{ names: ['osl:db@0'], readOnly: false, server: null, take: 'no' }]);
  expect(walker.words()).toContain('osl:db@0 attached /dev/av0/db');
  await walker.choose('osl:db@0', 'Dissolve it');
  expect(seen).toHaveLength(1);
  await walker.choose('Dissolve osl:db@0');
  expect(seen[1]).toEqual({ namespace: 'osl', name: 'db', universe: 0, volumes: false, force: false, id: null });
  walker.world.daemon!.status = () => ({ interfaces: [], waiting: [], logs: [], mirrors: [attached('in sync', null)] });
  await walker.pass(3_000);
  await walker.choose('osl:db@0');
  expect(walker.words()).not.toContain('Dissolve it');
  await walker.choose('Detach osl:db@0');
  expect(walker.question()).toContain('no longer be available');
});
