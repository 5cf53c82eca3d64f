// Tests what switch asks of rsiod, in which order, and what it says. The fake daemon has a volume db of server oslo attached, and server
// bergen offers its follower. Nothing may be detached for a volume that the other server does not offer.

import { beforeEach, expect, test } from 'vitest';
import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { contextOf } from '../testing/context.ts';
import { attachment, namespace, server, volume } from '../testing/views.ts';
import { SWITCH } from './switch.ts';

const outcome = (name: string, error: string | null = null): AttachOutcome => ({
  volume: `osl:${name}@0`,
  done: error === null,
  already: false,
  device: null,
  error: error === null ? null : { code: 'E_VOLUME', message: error },
});

let asked: [string, unknown][] = [];
let refusal: string | null = null;
let isLost = false;
let follows: string | null = null;

async function run(names: readonly string[], options: { force?: boolean; server?: string } = {}) {
  const said: string[] = [];
  const bergen = server({
    name: 'bergen',
    state: isLost ? 'down' : 'connected',
    volumes: isLost ? [] : [volume({ name: 'db', id: 'b', follows })],
  });
  const oslo = server({ name: 'oslo', volumes: [volume({ name: 'db', id: 'o' }), volume({ name: 'log', id: 'l' })] });
  const answers: Record<string, (params: { server?: string | null; names?: string[] }) => unknown> = {
    query: () => ({ namespaces: [namespace({ servers: [oslo, bergen] })] }),
    local: () => ({ attachments: [attachment({ name: 'db', id: 'o' })], awaited: [] }),
    detach: () => ({ outcomes: [outcome('db')] }),
    attach: ({ server: at }) => ({ outcomes: [outcome('db', at === 'bergen' ? refusal : null)] }),
    events: () => ({ events: [] }),
  };
  const context = contextOf({
    call: async (method, params) => {
      if (method !== 'query' && method !== 'local' && method !== 'events') asked.push([method, params]);
      return answers[method]?.(params as object);
    },
    out: (text) => void said.push(text.trimEnd()),
    report: (code, text) => void said.push(`${code} ${text}`),
  });
  const code = await SWITCH.run(context, { server: options.server ?? 'bergen', force: options.force ?? false, json: false }, names);
  return { code, said };
}

beforeEach(() => {
  [asked, refusal, isLost, follows] = [[], null, false, null];
});

test.each(['db', 'osl:db', 'osl:db@0', 'db@0'])('%s is detached, and attached at the other server', async (name) => {
  const { code } = await run([name]);
  expect(code).toBe(0);
  expect(asked).toEqual([
    ['detach', { names: [name], force: false }],
    ['attach', { names: [name], readOnly: false, server: 'bergen', take: 'no' }],
  ]);
});

test('nothing is detached if the other server does not offer all volumes, or is not connected or not known', async () => {
  expect(await run(['db', 'log'], { force: true })).toEqual({
    code: 1,
    said: ['E_UNKNOWN_VOLUME log: Server bergen offers no volume log to this client: rsconfig -q lists the volumes; nothing was detached'],
  });
  isLost = true;
  expect((await run(['db'])).said).toEqual([
    'E_NO_PATH db: Server bergen is not connected: rsconfig -m status shows the paths; nothing was detached',
  ]);
  await expect(run(['db'], { server: 'stavanger' })).rejects.toThrow('There is no server "stavanger": known are oslo, bergen');
  expect(asked).toEqual([]);
});

test('nothing is detached, also by --force, for a follower that was not promoted', async () => {
  follows = 'oslo';
  expect(await run(['osl:db'], { force: true })).toEqual({
    code: 1,
    said: [
      'E_VOLUME osl:db: Volume osl:db of server bergen follows server oslo, or is being handed over to it: ' +
        'rsadm volume promote db@0 at bergen makes a follower an ordinary volume; nothing was detached',
    ],
  });
  expect(asked).toEqual([]);
});

test('a volume that cannot be attached at the other server is attached again where it was', async () => {
  refusal = 'Volume db follows a volume of server oslo: promote it';
  const { code, said } = await run(['db']);
  expect([code, said]).toEqual([1, [`E_VOLUME osl:db@0: ${refusal}; the volume of server oslo is attached again`]]);
  expect(asked.at(-1)).toEqual(['attach', { names: ['osl:db@0'], readOnly: false, server: 'oslo', take: 'no' }]);
});

test('after --force, which may have lost data, the earlier volume stays detached', async () => {
  refusal = 'Volume db follows a volume of server oslo: promote it';
  const { code, said } = await run(['db'], { force: true });
  expect([code, said]).toEqual([1, [`E_VOLUME osl:db@0: ${refusal}`]]);
  expect(asked.map(([method]) => method)).toEqual(['detach', 'attach']);
});
