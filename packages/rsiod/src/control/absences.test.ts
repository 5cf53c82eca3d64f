// Tests what rsiod remembers of volumes that servers do not have, and what the error of a server that is away says about it. A word that is
// wrong after a change, a list or a restart would let a command act on the wrong volume of two with one name.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HAD_NONE } from '@rsio/api/rssrv/server-methods';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Namespace } from '../network/namespace.ts';
import { Absences } from './absences.ts';
import { ABSENCES_KEPT_MAX } from './limits.ts';
import { ServerCalls } from './server-calls.ts';

const ORACLE = { name: 'oracle', universe: 0 };
const UNKNOWN = new RsError('E_UNKNOWN_VOLUME', 'No volume oracle@0 on this server');
let folder = '';
let warnings: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-absences-'));
  warnings = [];
});

afterEach(() => removeFolder(folder));

async function loaded(): Promise<Absences> {
  const absences = new Absences(join(folder, 'absences.json'), { warn: (text) => void warnings.push(text) });
  await absences.load();
  return absences;
}

/** One server with serverid 9, which was reached or, after a restart of rsiod, is known only by its section. */
function scene(absences: Absences, answer: () => Promise<unknown>, { isConnected = true, isReached = true, listed = [] as object[] } = {}) {
  const server = { name: 'big-9', serverid: 9, isProved: true, isConnected, volumes: listed, callAdmin: answer };
  const namespace = {
    config: { name: 'osl', namespaceid: 4, servers: [{ name: 'big-9', position: 0 }] },
    orderedServers: isReached ? [server] : [],
    serversBySection: () => new Map(isReached ? [[0, server]] : []),
    serveridOf: () => 9,
    routes: [],
  } as unknown as Namespace;
  const calls = new ServerCalls({ absences, log: { info: () => undefined }, namespaces: { list: [namespace] } });
  return (method: string, params: object = ORACLE): Promise<unknown> =>
    calls.call({ namespace: 'osl', server: 'big-9', method, params, waitMs: null });
}

async function hadNone(absences: Absences, changes: Parameters<typeof scene>[2] = { isConnected: false }): Promise<boolean> {
  const thrown = await scene(
    absences,
    () => Promise.reject(new RsError('E_TIMEOUT', 'No answer')),
    changes,
  )('volume-show').catch(toRsError);
  expect(thrown).toBeInstanceOf(RsError);
  return (thrown as RsError).context[HAD_NONE] === true;
}

const deny = (absences: Absences, changes = {}): Promise<unknown> =>
  scene(absences, () => Promise.reject(UNKNOWN), changes)('volume-show').catch(() => undefined);

test('the word of a server counts while it is away or silent, and over a restart of rsiod that has not reached it since', async () => {
  expect(await hadNone(await loaded())).toBe(false);
  const absences = await loaded();
  await deny(absences);
  expect(await hadNone(absences)).toBe(true);
  expect(await hadNone(absences, { isConnected: true })).toBe(true);
  expect(await hadNone(await loaded(), { isReached: false })).toBe(true);
});

test('a server that has shown or listed the volume since may have it', async () => {
  const absences = await loaded();
  await deny(absences);
  await scene(absences, async () => ({}))('volume-show');
  expect(await hadNone(await loaded())).toBe(false);
  await deny(absences);
  await absences.shown({ namespaceid: 4, serverid: 9 }, [ORACLE]);
  expect(await hadNone(await loaded())).toBe(false);
  // The list arrived before the answer.
  await deny(absences, { listed: [ORACLE] });
  expect(await hadNone(await loaded())).toBe(false);
});

test('a change that mentions the name ends the word before it is sent, whatever its outcome; other changes do not', async () => {
  const absences = await loaded();
  const lost = (params: object) =>
    scene(absences, async () => {
      expect((await loaded()).has({ namespaceid: 4, serverid: 9 }, ORACLE)).toBe(false);
      throw new RsError('E_RESET', 'Lost');
    })('volume-rename', { ...params, request: 'id-1' }).catch(() => undefined);
  for (const params of [{ name: 'data', universe: 0, newName: 'oracle' }, { volumes: [ORACLE] }]) {
    await deny(absences);
    expect(await hadNone(absences)).toBe(true);
    await lost(params);
    expect(await hadNone(absences)).toBe(false);
  }
  await deny(absences);
  await scene(absences, async () => ({}))('volume-set', { name: 'oracle-2', universe: 0, request: 'id-2' });
  expect(await hadNone(absences)).toBe(true);
});

test('the memory is bounded, and a damaged file is a warning', async () => {
  const absences = await loaded();
  const of = (name: string, serverid: number | null = 9) =>
    [
      { namespaceid: 4, serverid },
      { name, universe: 0 },
    ] as const;
  await absences.said(...of('first'));
  await Promise.all(Array.from({ length: ABSENCES_KEPT_MAX }, (_, at) => absences.said(...of(`volume-${at}`))));
  expect([absences.has(...of('first')), absences.has(...of('volume-0'))]).toEqual([false, true]);
  expect(absences.has(...of('volume-0', null))).toBe(false);
  expect((await loaded()).has(...of('volume-0'))).toBe(true);
  writeFileSync(join(folder, 'absences.json'), '{');
  expect((await loaded()).has(...of('volume-0'))).toBe(false);
  expect(warnings).toEqual([expect.stringContaining('absences.json')]);
});
