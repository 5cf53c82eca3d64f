// Tests which requests to rsiod carry the name of rsapp. What rsiod answers is tested with real daemons, in test/postgres-app.
// Invariant: a question, which comes each second, leaves no line in the log of rsiod.

import { createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '@rsio/base/lib/clock';
import { RsiodSight } from './rsiod-sight.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rsapp-sight-'));
const socket = path.join(folder, 'control');
const asked: (readonly [method: string, by: unknown, owner: unknown])[] = [];
let code = 'E_BUSY';
/** Refuses every request, and notes it. */
const rsiod = createServer((connection) => {
  connection.on('data', (bytes: Buffer) => {
    for (const line of bytes.toString('utf8').split('\n').filter(Boolean)) {
      const { id, method, by, params } = JSON.parse(line) as { id: number; method: string; by?: string; params: { owner?: string } };
      if (method !== 'daemon') asked.push([method, by, params.owner]);
      connection.write(`${JSON.stringify({ version: 1, id, error: { code, message: 'no' } })}\n`);
    }
  });
});

beforeAll(() => new Promise<void>((resolve) => rsiod.listen(socket, resolve)));
afterAll(() => {
  rsiod.close();
  rmSync(folder, { recursive: true });
});

it('only changes are asked for by name, so that the log of rsiod does not grow each second', async () => {
  const sight = new RsiodSight(socket, systemClock);
  const calls = [
    () => sight.volumes(),
    () => sight.facts('db', true),
    () => sight.silentMs('db', ['b']),
    () => sight.writeNote('db', '{}'),
    () => sight.attach('db', false, 'pg'),
    () => sight.detach('db', 'pg'),
  ];
  for (const call of calls) await call().catch(() => undefined);
  expect(asked).toEqual([
    ['local', undefined, undefined],
    ['volume-note', undefined, undefined],
    ['nodes-seen', undefined, undefined],
    ['volume-note-set', 'rsapp', undefined],
    ['attach', 'rsapp', 'rsapp:pg'],
    ['detach', 'rsapp', 'rsapp:pg'],
  ]);
});

it('a volume that no server has is named, with the command that lists volumes', async () => {
  code = 'E_UNKNOWN_VOLUME';
  const asked = new RsiodSight(socket, systemClock).facts('db2', true);
  await expect(asked).rejects.toMatchObject({ code, message: 'No server in reach has volume db2: see rsconfig volume list' });
});
