// Tests `rsconfig servers`: one line for each server, and that a server that does not answer, or does not tell, is never ready.
// test/integration/rolling-restart.test.ts uses it to restart real servers.

import type { Readiness } from '@rsio/api/rssrv/observing-methods';
import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { volume } from '@rsio/api/testing/server-views';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { daemon, run } from '../testing/rsconfig-run.ts';
import { DOWN, machine, serve, useServerVolumes } from '../testing/server-volumes-scene.ts';

useServerVolumes();

const READY: Readiness = {
  server: 'big-9',
  version: '1.2.0',
  startedMs: 0,
  pools: { ready: 1, total: 2 },
  sessions: 3,
  mirrors: 4,
  isReady: true,
  reasons: [],
  warnings: [],
};
const telling = (server: string, changes: Partial<Readiness> = {}) =>
  machine(server, { readiness: () => ({ ...READY, server, ...changes }) });

test('all servers are ready', async () => {
  await serve([telling('big-9'), telling('big-8')]);
  const line = (server: string): string => `osl/${server}  1.2.0    1970_01_01-00:00:00 (GMT)  1 of 2        3        4  yes\n`;
  expect(await run('servers')).toEqual({
    code: 0,
    out: expect.stringContaining(line('big-8')),
    err: '',
  });
});

test('what stands against a restart is said, and a server that is down or does not tell is not ready', async () => {
  const refusing = machine('big-8', {
    daemon: () => ({ program: 'rssrv', version: '1.1.0', startedMs: 0 }) as never,
    readiness: () => {
      throw new RsError('E_RIGHTS', 'Client big-2 may not do that');
    },
  });
  const reasons = [{ kind: 'job', text: 'Job 7 is open' }] as const;
  await serve([telling('big-9', { isReady: false, reasons: [...reasons], warnings: ['1 client with a single path'] }), refusing, DOWN]);
  const { code, out, err } = await run('servers');
  expect(code).toBe(1);
  expect(out).toMatch(/^osl\/big-9 .* no$/m);
  expect(out).toMatch(/^osl\/big-8 .* -$/m);
  expect(out).toMatch(/^osl\/big-7 .* -$/m);
  for (const text of [
    'big-9: Job 7 is open',
    'big-9: 1 client with a single path',
    'big-8: Client big-2 may not do that',
    'big-7: Server big-7 of osl is down',
  ])
    expect(err).toContain(text);
  const shown = JSON.parse((await run('servers --json')).out) as { servers: { readiness: Readiness | null }[] };
  expect(shown.servers.map(({ readiness }) => readiness?.isReady ?? null)).toEqual([false, null, null]);
});

/** A mirror of big-9 and big-8 with the witness big-7, which does not answer. */
function mirror(changes: Partial<MirrorSummary> = {}): MirrorSummary {
  const voter = (server: string) => ({ server, serverid: 1, answers: server !== 'big-7', isSilent: false, trouble: null });
  const replica = (server: string) => ({
    ...{ server, serverid: 1, volume: 'db', universe: 0, inSync: true, isReachable: true, isSilent: false, copy: null },
  });
  return {
    ...{ namespace: 'osl', name: 'db', universe: 0, mirror: 'm', state: 'known', sizeBytes: 1, majority: 2, holder: 'big-2' },
    ...{ replicas: ['big-9', 'big-8'].map(replica), voters: ['big-9', 'big-8', 'big-7'].map(voter) },
    ...changes,
  };
}

test('a mirror that would stop because another server is away stands against a restart, and one that only waits does not', async () => {
  const shown = async (one: MirrorSummary, of: Partial<Readiness> = {}) => {
    await daemon?.close();
    await serve([telling('big-9', of), telling('big-8')], { mirrors: () => ({ mirrors: [one], gaps: [] }) });
    return run('servers');
  };
  const away = await shown(mirror());
  expect([away.code, away.out]).toEqual([1, expect.stringMatching(/^osl\/big-9 .* no\nosl\/big-8 .* no$/m)]);
  expect(away.err).toContain('big-9: Mirror osl:db@0 would stop, because too few other voters answer: wait until');
  const json = JSON.parse((await run('servers --json')).out) as { servers: { isReady: boolean; lacks: string[] }[] };
  expect(json.servers.map(({ isReady, lacks }) => [isReady, lacks.length])).toEqual([
    [false, 1],
    [false, 1],
  ]);
  const cut = mirror({ replicas: mirror().replicas.map((one) => ({ ...one, isReachable: one.server === 'big-9' })) });
  expect((await shown(cut)).err).toContain('big-9: Mirror osl:db@0 would stop, because no other replica with every write can be reached');
  // Nobody uses it, or it waits for each of its two voters at every restart, or another namespace has it.
  const two = { voters: mirror().voters.slice(0, 2) };
  for (const one of [mirror({ holder: null }), mirror(two), mirror({ namespace: 'lab' })]) expect((await shown(one)).code).toBe(0);
  const reasons = [{ kind: 'mirror' as const, text: 'Only this server has all writes of mirror db' }];
  expect((await shown(mirror(), { isReady: false, reasons })).err.match(/^rsconfig: big-9: /gm)).toHaveLength(1);
});

test('a mirror whose clients are others is judged by the records of the servers, and one that no server tells is not ready', async () => {
  const shown = async (record: object | null) => {
    await daemon?.close();
    const orders = {
      'volume-list': () => ({ volumes: [volume({ name: 'db', mirror: 'm' })], removed: [] }),
      'witness-list': () => ({
        ...{ isWitness: false, limit: 9, records: record === null ? [] : [{ mirror: 'm', trouble: null, record }] },
      }),
    };
    const readiness = (server: string) => ({ readiness: () => ({ ...READY, server }) });
    await serve([
      machine('big-9', { ...orders, ...readiness('big-9') }, { serverid: 1 }),
      machine('pi-1', readiness('pi-1'), { serverid: 3 }),
    ]);
    return run('servers');
  };
  const unknown = await shown(null);
  expect([unknown.code, unknown.out]).toEqual([1, expect.stringMatching(/^osl\/big-9 .* no\nosl\/pi-1 .* yes$/m)]);
  expect(unknown.err).toContain('big-9: Whether mirror osl:db@0 would stop is not known: no voter tells its state');
  const term = { number: 2, node: 'db-1', instance: 1 };
  const member = (serverid: number) => ({ serverid, volume: 'db', universe: 0, identity: `r${serverid}`, inSync: true });
  const told = await shown({
    ...{ name: 'db', universe: 0, voter: 'v1', founder: 'db-1', term, stored: { ...term, k: 1 }, isDetached: false },
    ...{ members: [1, 2].map(member), voters: [1, 2, 3].map((serverid) => ({ serverid, voter: `v${serverid}` })), clients: ['db-1'] },
  });
  expect(told.err).toContain('big-9: Mirror osl:db@0 would stop, because no other replica with every write can be reached');
});

test('a server that does not tell its volumes is not ready', async () => {
  const silent = () => {
    throw new RsError('E_TIMEOUT', 'big-9 did not answer');
  };
  await serve([machine('big-9', { readiness: () => READY, 'volume-list': silent })]);
  const { code, err } = await run('servers');
  expect([code, err]).toEqual([
    1,
    expect.stringContaining('big-9: Whether a mirror would stop without it is not known: big-9 did not answer'),
  ]);
});

test('no server is ready if the mirrors are not listed in time', async () => {
  const late = () => {
    throw new RsError('E_TIMEOUT', 'rsiod has not completed mirrors within 15 s');
  };
  await serve([telling('big-9')], { mirrors: late });
  const { code, out, err } = await run('servers');
  expect([code, out]).toEqual([1, expect.stringMatching(/^osl\/big-9 .* no$/m)]);
  expect(err).toContain('big-9: Whether a mirror would stop without it is not known: rsiod has not completed mirrors within 15 s');
});
