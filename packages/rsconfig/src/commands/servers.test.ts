// Tests `rsconfig servers`: one line for each server, and that a server that does not answer, or does not tell, is never ready.
// test/integration/rolling-restart.test.ts uses it to restart real servers.

import type { Readiness } from '@rsio/api/rssrv/observing-methods';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { run } from '../testing/rsconfig-run.ts';
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
