// Tests `rsconfig volume list`: the volumes of all servers in all namespaces, and the message about a server that does not answer. Commands
// about one volume are in server-volumes.test.ts.

import { RsError } from '@rsio/base/lib/errors';
import { removedVolume, volume } from '@rsio/api/testing/server-views';
import { describe, expect, test } from 'vitest';
import { volume as listedVolume } from '../../testing/views.ts';
import { run } from '../../testing/rsconfig-run.ts';
import { BIG_8, DOWN, GIB, NOW_MS, WITHOUT_ADMIN, asked, machine, serve, useServerVolumes } from '../../testing/server-volumes-scene.ts';

useServerVolumes();

describe('volume list', () => {
  const LAB = machine(
    'big-5',
    { 'volume-list': () => ({ volumes: [volume({ name: 'tvol1', pool: null, usedBytes: null })], removed: [] }) },
    {},
    'lab',
  );
  const OSL = machine('big-9', {
    'volume-list': () => ({
      volumes: [
        volume({ holders: [{ node: 'big-2', address: '192.168.10.2', sinceMs: 0 }] }),
        volume({ universe: 1, state: 'unavailable', reason: 'it is not open' }),
      ],
      removed: [removedVolume({ name: 'old', by: 'big-2', untilMs: NOW_MS + 5_400_000 })],
    }),
  });

  test('has the volumes of all servers in all namespaces', async () => {
    await serve([LAB, OSL, BIG_8]);
    expect(await run('volume list')).toEqual({
      code: 0,
      out:
        'VOLUME         SIZE  USED  SERVER  POOL  SNAPSHOTS  HELD BY\n' +
        'lab:tvol1@0   20.0G     -  big-5   -             0  -\n' +
        'osl:oracle@0  20.0G  1.5K  big-9   fast          0  big-2\n' +
        'osl:oracle@1  20.0G  1.5K  big-9   fast          0  unavailable: it is not open\n',
      err: '',
    });
  });

  test('a volume over several pools shows all of them', async () => {
    const layout = {
      chunkBytes: 65_536,
      parts: [
        { pool: 'fast', path: '/srv/fast/x', sizeBytes: GIB },
        { pool: 'slow', path: '/srv/slow/x', sizeBytes: GIB },
      ],
    } as const;
    await serve([machine('big-9', { 'volume-list': () => ({ volumes: [volume({ layout })], removed: [] }) })]);
    expect((await run('volume list')).out).toMatch(/ big-9 +fast,slow +0 +-\n$/);
  });

  test('--removed has what can be restored', async () => {
    await serve([OSL, BIG_8]);
    expect((await run('volume list --removed')).out).toBe(
      'VOLUME      SIZE  SERVER  POOL  REMOVED                    BY     KEPT FOR\n' +
        'osl:old@0  20.0G  big-9   fast  1970_01_01-00:00:00 (GMT)  big-2  1h 30m\n',
    );
    expect(await run('volume list --removed --server big-8')).toEqual({
      code: 0,
      out: '',
      err: 'rsconfig: No removed volume can be restored\n',
    });
  });

  test('a silent server is named with its reason, the others are shown, and the exit code is 1', async () => {
    const late = machine('big-6', {
      'volume-list': () => {
        throw new RsError('E_TIMEOUT', 'The server did not answer volume-list within 15s');
      },
    });
    await serve([OSL, DOWN, late]);
    const { code, out, err } = await run('volume list');
    expect(code).toBe(1);
    expect(out).toContain('osl:oracle@0');
    expect(err).toBe(
      'rsconfig: Server big-7 of osl is down: Connection refused\n' +
        'rsconfig: Server big-6 of osl shows only what this client may attach: The server did not answer volume-list within 15s\n',
    );
    const json = await run('volume list --json');
    const { servers } = JSON.parse(json.out) as { servers: { server: string; state: string; error: { code: string } | null }[] };
    expect(servers.map((one) => [one.server, one.state, one.error?.code ?? null])).toEqual([
      ['big-9', 'answered', null],
      ['big-7', 'silent', 'E_NO_PATH'],
      ['big-6', 'listed', 'E_TIMEOUT'],
    ]);
  });

  test('a server without commands shows what it lists for this client', async () => {
    await serve([machine('big-6', { 'volume-list': WITHOUT_ADMIN }, { volumes: [listedVolume()] })]);
    const { code, out, err } = await run('volume list');
    expect({ code, out }).toEqual({
      code: 0,
      out: 'VOLUME       SIZE  USED  SERVER  POOL  SNAPSHOTS  HELD BY\nosl:tvol1@0  1.0G     -  big-6   -             0  -\n',
    });
    expect(err).toContain('Server big-6 of osl shows only what this client may attach: The server takes no commands');
  });

  test('--pool, --server and --namespace select', async () => {
    const other = (): never => {
      throw new RsError('E_UNKNOWN_POOL', 'No pool fast');
    };
    await serve([OSL, LAB, machine('big-8', { 'volume-list': other })]);
    const { code, out } = await run('volume list --pool fast --namespace osl');
    expect({ code, rows: out.split('\n').length }).toEqual({ code: 0, rows: 4 });
    expect(asked).toEqual(['osl/big-9 volume-list {"pool":"fast"}', 'osl/big-8 volume-list {"pool":"fast"}']);
    expect((await run('volume list --server big-5')).out).toContain('lab:tvol1@0');
  });

  test('nothing at all is said', async () => {
    await serve([BIG_8]);
    expect((await run('volume list')).err).toBe('rsconfig: No volume: rsconfig volume create NAME --size SIZE makes one\n');
    expect((await run('volume list --pool fast')).err).toBe('rsconfig: No volume in pool fast\n');
  });
});
