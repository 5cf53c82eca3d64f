// Tests `server list`, `server remove` and `identity new`: what they show with and without rsiod, and that no server is removed that a volume, a mirror or a
// shared pool needs. config-commands.test.ts tests the edits of the file.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sampleRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { beforeEach, expect, test } from 'vitest';
import { root, run, serveControl, useRsconfig } from '../testing/rsconfig-run.ts';
import { attachment, mirror, namespace, server, volume } from '../testing/views.ts';

const SAMPLE = `${sampleRscltcfg({ near: ['127.45.0.20', '127.46.0.20'], far: ['127.45.0.10', '127.46.0.10'] })}
[server big-8-1]
address       = 127.45.0.11
`;
const BIG_9 = server({ name: 'big-9', sections: ['big-9-1', 'big-9-2'] });
const BIG_8 = server({ name: 'big-8', sections: ['big-8-1'], serverid: 2, state: 'down', volumes: [volume({ id: 'x' })] });

let file: string;

useRsconfig();

beforeEach(() => {
  file = join(root, 'etc/rscltcfg');
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(file, SAMPLE, { mode: 0o600 });
});

const serve = (handlers: Partial<ControlHandlers> = {}): Promise<void> =>
  serveControl({
    query: () => ({ namespaces: [namespace({ servers: [BIG_9, BIG_8] })] }),
    local: () => ({ attachments: [], awaited: [] }),
    mirrors: () => ({ mirrors: [], gaps: ['Server big-7 was not asked'] }),
    reload: () => ({ applied: [] }),
    ...handlers,
  });

test('the list shows what rsiod knows of the server of each section', async () => {
  await serve();
  expect(await run('server list')).toEqual({
    code: 0,
    out: `NAMESPACE  SECTION  ADDRESS      SERVER  ID  STATE
osl        big-9-1  127.45.0.10  big-9    1  connected
osl        big-9-2  127.46.0.10  big-9    1  connected
osl        big-8-1  127.45.0.11  big-8    2  down
`,
    err: '',
  });
});

test('without rsiod, the list shows what rsiod knew last', async () => {
  const known = { namespaceid: 200, serverid: 7, name: 'big-9', interfaces: [], sections: ['127.45.0.10/5000'] };
  mkdirSync(join(root, 'var/lib/rsio/rsiod'), { recursive: true });
  writeFileSync(join(root, 'var/lib/rsio/rsiod/servers.json'), JSON.stringify({ version: 1, content: { servers: [known] } }));
  const { out, err } = await run('server list --json');
  expect(err).toBe('');
  expect((JSON.parse(out) as { servers: unknown[] }).servers.slice(0, 2)).toEqual([
    { namespace: 'osl', section: 'big-9-1', address: '127.45.0.10', server: 'big-9', serverid: 7, state: null },
    { namespace: 'osl', section: 'big-9-2', address: '127.46.0.10', server: null, serverid: null, state: null },
  ]);
  expect((await run('server remove big-9')).err).toContain('rsiod is not running: whether a volume needs the server is not known');
  expect(readFileSync(file, 'utf8')).not.toContain('[server big-9-1]');
});

test('by its name, a server is removed with all its sections; one of several interfaces goes although it is needed', async () => {
  await serve({ local: () => ({ attachments: [attachment()], awaited: [] }) });
  expect((await run('server remove big-9-2')).code).toBe(0);
  expect(readFileSync(file, 'utf8')).not.toContain('big-9-2');
  expect((await run('server remove big-9')).err).toContain('Server big-9 is needed: volume osl:oracle@0 is attached from it.');
  expect(await run('server remove big-8')).toMatchObject({
    out: 'server big-8 removed\n',
    err: expect.stringContaining('Server big-7 was not asked'),
  });
  expect(readFileSync(file, 'utf8')).not.toContain('big-8');
  expect((await run('server remove big-7')).err).toContain('No section [server big-7] in the file');
});

const awaited = { namespace: 'osl', name: 'db', universe: 0, id: 'y', readonly: false, server: 'big-8', reason: 'r' };

test.each<[string, Partial<ControlHandlers>, string]>([
  [
    'an attached volume',
    { local: () => ({ attachments: [attachment({ id: 'x' })], awaited: [] }) },
    'volume osl:oracle@0 is attached from it',
  ],
  ['a volume that waits for it', { local: () => ({ attachments: [], awaited: [awaited] }) }, 'volume osl:db@0 waits for it'],
  ['a replica', { mirrors: () => ({ mirrors: [mirror()], gaps: [] }) }, 'mirror osl:db@0 has a replica there'],
  ['a witness', { mirrors: () => ({ mirrors: [mirror({ replicas: [] })], gaps: [] }) }, 'it is a witness of mirror osl:db@0'],
  [
    'a shared pool of which no server tells the owners',
    { local: () => ({ attachments: [attachment({ id: 'z', sharedPool: true })], awaited: [] }) },
    'volume osl:oracle@0 is in a shared pool that it may take over',
  ],
])('%s keeps a server, unless it is removed by force', async (_, handlers, use) => {
  await serve(handlers);
  const refused = await run('server remove big-8-1 --reload');
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toContain(`Server big-8 is needed: ${use}. Detach`);
  expect(readFileSync(file, 'utf8')).toBe(SAMPLE);
  const forced = await run('server remove big-8-1 --force');
  expect(forced.code).toBe(0);
  expect(forced.err).toContain(`Until server big-8 is added again, they go without it: ${use}\n`);
  expect(readFileSync(file, 'utf8')).not.toContain('big-8');
});

test('identity new puts the identity of a stopped rsiod aside, and never that of a running one', async () => {
  const state = join(root, 'var/lib/rsio/rsiod');
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, 'identity.json'), '{}');
  expect((await run('identity new')).out).toContain('rsiod makes a new identity at its next start; the old one is in ');
  expect(readdirSync(state)).toEqual([expect.stringMatching(/^identity.json-before-\d+$/)]);
  expect((await run('identity new')).err).toContain('rsiod makes a new identity anyway');
  await serve({
    daemon: () => ({ program: 'rsiod', version: '1', control: 1, methods: [], pid: 1, nodename: 'a', startedMs: 0, configuredMs: 0 }),
  });
  expect(await run('identity new')).toMatchObject({ code: 1, err: expect.stringContaining('rsiod is running with its identity') });
});
