// Tests which of several servers gets a command about a volume, and which one gets a new volume. The commands themselves are in
// server-volumes.test.ts.

import type { ServerView } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import { pool, volume } from '@rsio/api/testing/server-views';
import { describe, expect, test } from 'vitest';
import { volume as listedVolume } from '../../testing/views.ts';
import { daemon, run } from '../../testing/rsconfig-run.ts';
import {
  AT,
  BIG_8,
  BIG_9,
  DOWN,
  DOWN_WITHOUT,
  GIB,
  type Machine,
  ORACLE,
  type Orders,
  UNKNOWN,
  WITHOUT_ADMIN,
  asked,
  machine,
  serve,
  useServerVolumes,
} from '../../testing/server-volumes-scene.ts';

useServerVolumes();

describe('with several servers', () => {
  test('the one that has the volume gets the change, and no other', async () => {
    await serve([BIG_8, BIG_9]);
    expect((await run('volume grow oracle 40g')).code).toBe(0);
    expect(asked.filter((one) => !one.includes('volume-show'))).toEqual([
      `${AT} volume-grow {${ORACLE},"sizeBytes":${40 * GIB},"request":"id-1"}`,
    ]);
  });

  test.each([
    ['volume jobs', true],
    ['volume replications', true],
    ['volume jobs cancel 7', false],
  ])('%s needs the name of one; the refusal names rsconfig progress: %s', async (line, isShown) => {
    await serve(['big-8', 'big-9'].map((name) => machine(name, { 'volume-show': UNKNOWN })));
    const { code, err } = await run(line);
    expect(err).toContain('There are several servers: name one with --server');
    expect([code, err.includes('rsconfig progress')]).toEqual([2, isShown]);
  });

  test('a name that means two volumes is refused with both; --server or the namespace decides', async () => {
    await serve([BIG_9, machine('big-5', {}, {}, 'lab')]);
    const { code, err } = await run('volume grow oracle 40g');
    expect(code).toBe(1);
    expect(err).toBe(
      'rsconfig: oracle@0 means more than one volume: osl:oracle@0 (server big-9), lab:oracle@0 (server big-5): choose one with --server or --namespace [E_AMBIGUOUS]\n',
    );
    for (const line of ['lab:oracle 40g', 'oracle 40g --namespace lab', 'oracle 40g --server big-5']) {
      asked.length = 0;
      expect((await run(`volume grow ${line}`)).out).toBe('lab:oracle@0 now has 40.0G\n');
      expect(asked).toHaveLength(1);
      expect(asked[0]).toMatch(/^lab\/big-5 volume-grow /);
    }
  });

  test('no change while a server that may have the volume, too, is silent; show only notes it', async () => {
    await serve([BIG_9, DOWN]);
    const { code, err } = await run('volume grow oracle 40g');
    expect(code).toBe(1);
    expect(err).toBe(
      'rsconfig: osl:oracle@0 of server big-9 may not be the only volume oracle@0, because not all servers answer (Server big-7 of osl is down: Connection refused): give --server big-9 if you mean it [E_NO_PATH]\n',
    );
    expect(asked.some((one) => one.includes('volume-grow'))).toBe(false);
    expect((await run('volume grow oracle 40g --server big-9')).code).toBe(0);
    const shown = await run('volume show oracle');
    expect({ code: shown.code, err: shown.err }).toEqual({ code: 0, err: 'rsconfig: Server big-7 of osl is down: Connection refused\n' });
  });

  test('a server that is away and has said that it has no such volume blocks no change, and a new volume all the same', async () => {
    await serve([BIG_9, DOWN_WITHOUT]);
    expect((await run('volume grow oracle 40g')).code).toBe(0);
    expect((await run('volume remove oracle --yes')).code).toBe(0);
    expect((await run('volume show oracle')).err).toBe('rsconfig: Server big-7 of osl is down: Connection refused\n');
    await daemon?.close();
    await serve([BIG_8, DOWN_WITHOUT]);
    expect((await run('volume create oracle --size 1g')).err).toContain('choose the server of the new volume with --server [E_NO_PATH]');
    expect((await run('volume remove oracle --yes')).err).toContain('No connected server has a volume oracle@0, and not all answer');
  });

  test('a server without commands counts with the volumes that it lists', async () => {
    const old = (volumes: ServerView['volumes']): Machine => machine('big-6', { 'volume-show': WITHOUT_ADMIN }, { volumes });
    await serve([BIG_9, old([listedVolume({ name: 'other' })])]);
    expect((await run('volume grow oracle 40g')).code).toBe(0);
    await daemon?.close();
    await serve([BIG_9, old([listedVolume({ name: 'oracle' })])]);
    expect((await run('volume grow oracle 40g')).err).toContain('E_AMBIGUOUS');
  });

  test('a volume that no server has is refused with the way to the list', async () => {
    await serve([BIG_8, machine('big-5', { 'volume-show': UNKNOWN })]);
    expect((await run('volume show oracle')).err).toBe(
      'rsconfig: No server has a volume oracle@0: rsconfig volume list shows them [E_UNKNOWN_VOLUME]\n',
    );
  });

  test('restore goes to the server that has the removed volume', async () => {
    await serve([BIG_8, BIG_9]);
    expect((await run('volume restore oracle')).code).toBe(0);
    expect(asked.at(-1)).toMatch(/^osl\/big-9 volume-restore /);
    expect((await run('volume restore other')).err).toContain('No server has a removed volume other@0: rsconfig volume list --removed');
  });

  test.each([
    ['volume show oracle --server big-1', 'There is no server "big-1": known are big-9, big-8'],
    ['volume show oracle --namespace lab', 'There is no namespace "lab": known are osl'],
    ['volume show lab:oracle --namespace osl', 'lab:oracle is in namespace lab, and --namespace is osl: give one of them'],
    ['volume show oracle@4', 'Wrong universe in "oracle@4": allowed is 0 to 3'],
    ['volume rename oracle lab:data --server big-9', 'lab:data is in another namespace than osl:oracle@0: a volume stays in its namespace'],
    ['volume list --server=', '--server is empty: give the name of a server'],
  ])('%s is wrong usage', async (line, message) => {
    await serve([BIG_9, BIG_8]);
    expect(await run(line)).toEqual({ code: 2, out: '', err: `rsconfig: ${message}, see rsconfig --help [E_USAGE]\n` });
  });
});

describe('the server of a new volume', () => {
  const free = (name: string, freeGib: number, orders: Orders = {}): Machine =>
    machine(name, {
      'volume-show': UNKNOWN,
      'pool-list': () => ({ pools: [pool({ usableBytes: freeGib * GIB }), pool({ name: 'slow', usableBytes: 1 })] }),
      ...orders,
    });
  const places = (): string[] => asked.filter((one) => one.includes('volume-create')).map((one) => one.split(' ')[0] ?? '');

  test('is the one whose pool has the most room, and the output names it', async () => {
    await serve([free('big-1', 10), free('big-2', 30), free('big-3', 20)]);
    expect((await run('volume create db --size 1g')).out).toBe('osl:db@0 created in pool fast of server big-2, 1.0G\n');
    expect(places()).toEqual(['osl/big-2']);
  });

  test('a server whose pool has reflink comes first', async () => {
    const plain = { 'pool-list': () => ({ pools: [pool({ usableBytes: 90 * GIB, reflink: false })] }) };
    await serve([free('big-1', 0, plain), free('big-2', 10)]);
    await run('volume create db --size 1g');
    expect(places()).toEqual(['osl/big-2']);
  });

  test('a volume in a pool without reflink is created with a word', async () => {
    await serve([free('big-1', 10, { 'volume-create': () => ({ volume: volume({ name: 'db', sizeBytes: GIB, reflink: false }) }) })]);
    const { code, err } = await run('volume create db --size 1g');
    expect([code, err]).toEqual([0, expect.stringMatching(/^rsconfig: Pool fast has no reflink, so that its volumes have no snapshots/)]);
  });

  test('the limit of a pool counts, and a pool that cannot be used does not', async () => {
    const limited = pool({ usableBytes: 90 * GIB, promisedBytes: 19 * GIB, limitBytes: 20 * GIB });
    await serve([
      free('big-1', 0, { 'pool-list': () => ({ pools: [limited] }) }),
      free('big-2', 0, { 'pool-list': () => ({ pools: [pool({ usableBytes: 90 * GIB, state: 'unavailable', reason: 'not mounted' })] }) }),
      free('big-3', 2),
    ]);
    await run('volume create db --size 1g');
    expect(places()).toEqual(['osl/big-3']);
  });

  test('if it refuses this client, the next one is asked; if all refuse, the first refusal is shown', async () => {
    const refuse = (why: string) => ({
      'volume-create': (): never => {
        throw new RsError('E_RIGHTS', why);
      },
    });
    await serve([free('big-1', 10), free('big-2', 30, refuse('not here'))]);
    expect((await run('volume create db --size 1g')).out).toContain('of server big-1');
    expect(places()).toEqual(['osl/big-2', 'osl/big-1']);
    expect(asked.filter((one) => one.includes('volume-create')).map((one) => /"request":"(.*?)"/.exec(one)?.[1])).toEqual(['id-1', 'id-2']);
    await daemon?.close();
    await serve([free('big-1', 10, refuse('nor here')), free('big-2', 30, refuse('not here'))]);
    expect((await run('volume create db --size 1g')).err).toBe('rsconfig: not here [E_RIGHTS]\n');
  });

  test('a client that may not see the pools is told so by the server', async () => {
    const refuse = (): never => {
      throw new RsError('E_RIGHTS', 'Client big-6 may not do that: its right is use, and manage is needed');
    };
    await serve([
      free('big-1', 1, { 'pool-list': refuse, 'volume-create': refuse }),
      free('big-2', 1, { 'pool-list': refuse, 'volume-create': refuse }),
    ]);
    expect((await run('volume create db --size 1g')).err).toBe(
      'rsconfig: Client big-6 may not do that: its right is use, and manage is needed [E_RIGHTS]\n',
    );
  });

  test('a pool that only one server has decides', async () => {
    await serve([free('big-1', 10, { 'pool-list': () => ({ pools: [pool({ name: 'tape' })] }) }), free('big-2', 30)]);
    await run('volume create db --size 1g --pool tape');
    expect(places()).toEqual(['osl/big-1']);
    expect((await run('volume create db --size 1g --pool absent')).err).toContain(
      'No connected server has pool absent: on the server, rsadm pool add',
    );
  });

  test('a repeated command creates no second volume at another server', async () => {
    await serve([free('big-1', 10, { 'volume-show': () => ({ volume: volume({ name: 'db' }), snapshots: [] }) }), free('big-2', 30)]);
    const { code, err } = await run('volume create db --size 1g');
    expect(code).toBe(1);
    expect(err).toContain('rsconfig volume show db shows the volume that exists, and rsconfig -a db attaches it\n');
    expect(err).toContain('Volume osl:db@0 exists on server big-1: choose another name [E_EXISTS]\n');
    expect(places()).toEqual([]);
  });

  test('while a server is silent, the person chooses', async () => {
    await serve([free('big-1', 10), DOWN]);
    expect((await run('volume create db --size 1g')).err).toBe(
      'rsconfig: Server big-7 of osl is down: Connection refused; it may have a volume db@0, too: choose the server of the new volume with --server [E_NO_PATH]\n',
    );
    expect((await run('volume create db --size 1g --server big-1')).code).toBe(0);
  });
});
