// kill -9 of rssrv at the critical steps of changes of snapshots, on a file system with reflink: before and after each commit point, and
// between the changes of files after it. The next start must find the state before or after the change, and no file that belongs to no
// volume. snapshot-stops.test.ts in packages/rssrv/src/snapshots tests all steps without a process. Skipped without root or xfsprogs.
// Rules: G26.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { callServer } from '@rsio/api/rssrv/call-server';
import { PoolFiles } from '@rsio/rssrv/pools/disk/pool-files';
import { expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { serverConfig } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';

const SIZE_BYTES = 64 * 1024;
const TEST_MS = 300_000;

const hosts = useHosts();
let host: Host;
let pool: string;

type Call = readonly [method: string, params: Readonly<Record<string, unknown>>];

const DB = { name: 'db', universe: 0 };
const MONDAY = { ...DB, snapshot: 'monday' };
const SNAPSHOT: Call = ['volume-snapshot', { snapshots: [MONDAY, { name: 'log', universe: 0, snapshot: 'monday' }] }];

/**
 * Steps at which rssrv is killed. Each entry has the change, and whether the change must have been made when the next server has started.
 */
const KILLS: readonly (readonly [step: string, change: Call, isMade: boolean])[] = [
  ['snapshot: prepared', SNAPSHOT, false],
  ['snapshot: commit', SNAPSHOT, true],
  ['create: manifest', ['volume-clone', { ...MONDAY, newName: 'copy', newUniverse: 0 }], false],
  ['create: commit', ['volume-clone', { ...MONDAY, newName: 'copy', newUniverse: 0 }], true],
  ['rollback: data', ['volume-rollback', MONDAY], false],
  ['change: commit', ['volume-rollback', MONDAY], true],
  ['rollback: replaced', ['volume-rollback', MONDAY], true],
  ['snapshot removal: commit', ['volume-snapshot-remove', MONDAY], true],
];

async function call([method, params]: Call): Promise<unknown> {
  const ask = callServer as unknown as (socket: string, method: string, params: object) => Promise<unknown>;
  return await ask(host.rssrvPaths.controlSocket, method, params);
}

const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 8);

/** Returns the volumes and snapshots with their contents. Expects that the pool contains nothing else. */
async function state(): Promise<string[]> {
  const { pools } = await callServer(host.rssrvPaths.controlSocket, 'pool-list', {});
  expect(pools).toMatchObject([{ state: 'ready', findings: [] }]);
  const { volumes } = await callServer(host.rssrvPaths.controlSocket, 'volume-list', { pool: null });
  const lines: string[] = [];
  for (const { name, universe, path: data } of volumes) {
    const { snapshots } = await callServer(host.rssrvPaths.controlSocket, 'volume-show', { name, universe });
    const names = snapshots.map(({ snapshot }) => snapshot);
    const folder = path.dirname(data!);
    const present = readdirSync(folder, { recursive: true }) as string[];
    const expected = [...(present.includes('snapshots/last-removal') ? ['snapshots/last-removal'] : []), 'data', 'volume.json'];
    for (const one of names) expected.push(`snapshots/${one}.data`, `snapshots/${one}.json`);
    expect(present.filter((one) => one !== 'snapshots').toSorted()).toEqual(expected.toSorted());
    lines.push(`${name} ${digest(data!)}`);
    for (const one of names) {
      const shown = one.replace(/^before-rollback-.*/, 'before-rollback');
      lines.push(`${name}@${shown} ${digest(path.join(folder, 'snapshots', `${one}.data`))}`);
    }
  }
  return lines.toSorted();
}

it('the next start finds the state before or after, of all volumes of the change', { timeout: TEST_MS }, async (context) => {
  host = hosts.host();
  pool = path.join(reflinkDisk(hosts, host, context), 'pool');
  mkdirSync(pool);
  const allocate = (): Promise<void> => Promise.reject(new Error('An empty pool needs no space'));
  await new PoolFiles(pool, { allocate }).makePool({ id: crypto.randomUUID(), createdMs: Date.now() });
  const network = await hosts.network(1);
  host.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: { fast: { path: pool, reserve: '0%' } } }));
  await host.startFaulty();
  for (const name of ['db', 'log']) await call(['volume-create', { name, sizeBytes: SIZE_BYTES }]);
  for (const [step, change, isMade] of KILLS) {
    const { volumes } = await callServer(host.rssrvPaths.controlSocket, 'volume-list', { pool: null });
    const content = Buffer.alloc(SIZE_BYTES, step);
    for (const { path: data } of volumes) writeFileSync(data!, content, { flag: 'r+' });
    // If an earlier line of the table has already made this snapshot, removes it, so that the line can make it again.
    if (change === SNAPSHOT)
      for (const { name, universe } of volumes)
        await call(['volume-snapshot-remove', { name, universe, snapshot: 'monday' }]).catch(() => undefined);
    if (volumes.some(({ name }) => name === 'copy')) await call(['volume-remove', { name: 'copy' }]);
    const before = await state();
    await host.stop('rssrv');
    process.env['RSIO_TEST_KILL_AT'] = step;
    await host.startFaulty();
    delete process.env['RSIO_TEST_KILL_AT'];
    await expect(call(change), step).rejects.toThrow();
    // This start would fail if the server that the step should have killed was still running.
    await host.startFaulty();
    const found = await state();
    expect(JSON.stringify(found) !== JSON.stringify(before), step).toBe(isMade);
    // If the change was made, the result must be the same as without the kill.
    if (!isMade) continue;
    const both = change === SNAPSHOT ? ['db@monday', 'log@monday'] : change[0] === 'volume-clone' ? ['copy'] : ['db'];
    const changed = [...found.filter((line) => !before.includes(line)), ...before.filter((line) => !found.includes(line))];
    for (const name of both)
      expect(
        changed.some((line) => line.startsWith(name)),
        `${step}: ${name}`,
      ).toBe(true);
  }
});
