// Tests the commands about shared pools: the requests to rssrv, the changes of rssrvcfg, the tables, and the exit codes. rssrv is a fake.
// edits.test.ts tests the commands about other pools.

import type { SharedPoolView } from '@rsio/api/views/views';
import { pool, sharedPool } from '@rsio/api/testing/server-views';
import { describe, expect, test } from 'vitest';
import { CONFIG, FARM, refusing, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();

/** Returns the lines of a file without the spaces that align its values. */
const keysOf = (text: string): string[] => text.split('\n').map((line) => line.replace(/ +=/, ' ='));

describe('farm', () => {
  const shows = (...pools: readonly SharedPoolView[]) => scene.serve({ 'farm-show': () => ({ server: 'big-9', pools }) });

  test('without a shared pool it says how one is made, exit code 0', async () => {
    await shows();
    const err = 'rsadm: No shared pool: rsadm pool add NAME PATH --disk DISK ... makes one\n';
    expect(await scene.run(['farm'])).toEqual({ code: 0, out: '', err });
  });

  test('a pool that waits is explained on stderr, exit code 1', async () => {
    const why = 'it waits for the fence of big-9, generation 17: the monitors do not answer';
    const unfenced = [{ server: 'big-9', generation: 17 }];
    await shows(sharedPool(), sharedPool({ name: 'slow', state: 'taking', owner: 'big-8', generation: 18, unfenced, why }));
    const { code, out, err } = await scene.run(['farm']);
    expect([code, err]).toEqual([1, `rsadm: Pool slow: ${why}\n`]);
    expect(out.split('\n')[2]).toMatch(/^slow .* 18 .* taking, big-9 is not fenced yet$/);
  });

  test.each(['unknown', 'claimed', 'making', 'free', 'taking', 'interrupted'] as const)(
    'a pool in state %s waits, also with --json',
    async (state) => {
      await shows(sharedPool({ state, owner: null, heartbeatMs: null, sinceMs: null, next: null, why: 'the reason' }));
      expect(await scene.run(['farm'])).toMatchObject({ code: 1, err: 'rsadm: Pool fast: the reason\n' });
      const { code, out, err } = await scene.run(['farm', '--json']);
      expect([code, err, (JSON.parse(out) as { pools: unknown[] }).pools]).toEqual([
        1,
        '',
        [expect.objectContaining({ name: 'fast', state, why: 'the reason' })],
      ]);
    },
  );

  test('--json prints the answer', async () => {
    await scene.serve();
    const { code, out, err } = await scene.run(['farm', '--json']);
    expect([code, err, JSON.parse(out)]).toEqual([0, '', { server: 'big-9', pools: [sharedPool()] }]);
  });

  test('a pool that another server serves needs no remark', async () => {
    await shows(sharedPool({ isHere: false, why: 'server big-9 serves it' }));
    expect(await scene.run(['farm'])).toEqual({ code: 0, out: FARM, err: '' });
  });
});

describe('farm balance', () => {
  const pools = [
    sharedPool({ name: 'fast', load: 1_200 }),
    sharedPool({ name: 'slow', load: 800 }),
    sharedPool({ name: 'new', load: null, state: 'serving' }),
  ];

  test('prints the loads and the commands of the moves, and sends none of them', async () => {
    await scene.serve({ 'farm-show': () => ({ server: 'big-9', pools }) });
    expect(await scene.run(['farm', 'balance'])).toEqual({
      code: 0,
      out: 'SERVER  LOAD  AFTER\nbig-9   2000    800\nbig-8      0   1200\nrsadm pool move fast --to big-8\n',
      err: 'rsadm: The load of pool new is not known: it stays\n',
    });
    expect(scene.asked).toEqual([['farm-show', {}]]);
  });

  test('--json has the same', async () => {
    await scene.serve({ 'farm-show': () => ({ server: 'big-9', pools }) });
    const { code, out } = await scene.run(['farm', 'balance', '--json']);
    expect([code, JSON.parse(out)]).toEqual([
      0,
      {
        servers: [
          { server: 'big-9', load: 2_000, loadAfter: 800 },
          { server: 'big-8', load: 0, loadAfter: 1_200 },
        ],
        moves: [{ pool: 'fast', from: 'big-9', to: 'big-8', command: 'rsadm pool move fast --to big-8' }],
      },
    ]);
  });

  test('says that nothing is to be moved', async () => {
    await scene.serve();
    expect(await scene.run(['farm', 'balance'])).toEqual({
      code: 0,
      out: 'SERVER  LOAD  AFTER\nbig-9   1200   1200\nbig-8      0      0\n',
      err: 'rsadm: No move would relieve a server much\n',
    });
  });
});

describe('pool grow', () => {
  test('a disk that has not grown is named', async () => {
    await scene.serve({ 'pool-grow': () => ({ beforeBytes: 2 ** 40, sizeBytes: 2 ** 40 }) });
    expect(await scene.run(['pool', 'grow', 'fast'])).toEqual({
      code: 0,
      out: '',
      err: 'rsadm: Pool fast has 1.0T as before: grow its disk first\n',
    });
  });

  test('the refusal of a server that is not the owner is shown', async () => {
    const reason = 'Pool fast: give this command at its owner, big-8';
    await scene.serve({ 'pool-grow': refusing('E_POOL', reason) });
    expect(await scene.run(['pool', 'grow', 'fast'])).toEqual({ code: 1, out: '', err: `rsadm: ${reason} [E_POOL]\n` });
  });
});

describe('pool move', () => {
  test('--json prints the answer', async () => {
    await scene.serve();
    const { code, out } = await scene.run(['pool', 'move', 'fast', '--to', 'big-8', '--json']);
    expect([code, JSON.parse(out)]).toEqual([0, { server: 'big-8', tookMs: 3_200 }]);
  });

  test('without --to nothing is sent', async () => {
    await scene.serve();
    expect(await scene.run(['pool', 'move', 'fast'])).toEqual({
      code: 2,
      out: '',
      err: expect.stringMatching(/^rsadm: No server: give --to SERVER.*\[E_USAGE\]\n$/) as string,
    });
    expect(scene.asked).toEqual([]);
  });

  test('a refusal of the server is shown, exit code 1', async () => {
    const reason = 'Pool fast: Job 7 uses pool fast: wait for its end, or run rsadm jobs cancel 7';
    await scene.serve({ 'pool-move': refusing('E_POOL', reason) });
    expect(await scene.run(['pool', 'move', 'fast', '--to', 'big-8'])).toEqual({ code: 1, out: '', err: `rsadm: ${reason} [E_POOL]\n` });
  });
});

describe('pool add --disk', () => {
  const DISK = ['--disk', 'rbd:rsio/slow', '--fence', 'rbd', '--owners', 'big-9,big-8'];
  const SECTION = '[pool slow]\npath = /srv/slow\ndisk = rbd:rsio/slow\nfence = rbd\nowners = big-9,big-8\n';

  test('makes the pool on the disk, and adds the section', async () => {
    await scene.serve({
      'pool-list': () => ({ pools: [pool({ name: 'slow', state: 'unavailable', reason: 'its record was not read yet' })] }),
    });
    expect(await scene.run(['pool', 'add', 'slow', '/srv/slow', ...DISK])).toEqual({
      code: 0,
      out: 'pool x is added\nPool slow was made on rbd:rsio/slow; rsadm farm shows who owns it\n',
      err: '',
    });
    expect(scene.asked).toEqual([
      ['farm-make', { name: 'slow', path: '/srv/slow', disk: 'rbd:rsio/slow', fence: 'rbd', owners: 'big-9,big-8' }],
      ['config-check', { text: scene.config() }],
      ['reload', {}],
      ['pool-list', {}],
    ]);
    expect(keysOf(scene.config())).toEqual(keysOf(CONFIG.replace('/srv/fast\n', `/srv/fast\n\n${SECTION}`)));
  });

  test('on the next owner, the pool is there; limit, reserve and take-over-after go into the section', async () => {
    await scene.serve({ 'farm-make': () => ({ isNew: false }) });
    const more = ['--limit', '5t', '--reserve', '1%', '--take-over-after', '20s'];
    const { code, out } = await scene.run(['pool', 'add', 'slow', '/srv/slow', ...DISK, ...more]);
    expect([code, out]).toEqual([0, 'pool x is added\nPool slow is there on rbd:rsio/slow; rsadm farm shows who owns it\n']);
    const section = scene.config().slice(scene.config().indexOf('[pool slow]'), scene.config().indexOf('[clients]'));
    expect(keysOf(section).filter((line) => line !== '')).toEqual([
      '[pool slow]',
      'path = /srv/slow',
      'limit = 5t',
      'reserve = 1%',
      'disk = rbd:rsio/slow',
      'fence = rbd',
      'owners = big-9,big-8',
      'take-over-after = 20s',
    ]);
  });

  test.each([
    [['--disk', 'rbd:rsio/slow'], 'A shared disk needs --disk, --fence and --owners'],
    [DISK.slice(2), 'A shared disk needs --disk, --fence and --owners'],
    [DISK.slice(0, 4), 'A shared disk needs --disk, --fence and --owners'],
    [['--take-over-after', '20s'], 'A shared disk needs --disk, --fence and --owners'],
    [[...DISK, '--no-holders'], '--no-holders is for pools without --disk'],
  ])('with %j it is refused before anything is sent', async (options, message) => {
    await scene.serve();
    const { code, out, err } = await scene.run(['pool', 'add', 'slow', '/srv/slow', ...options]);
    expect([code, out, err.startsWith(`rsadm: ${message}`), err]).toEqual([2, '', true, expect.stringContaining('[E_USAGE]')]);
    expect(scene.asked).toEqual([]);
    expect(scene.config()).toBe(CONFIG);
  });

  test.each([
    [DISK.toSpliced(3, 1, 'reservation'), 'fence = reservation of pool "slow" does not fit its disk: use rbd or none'],
    [DISK.toSpliced(1, 1, 'fast'), 'rbd:POOL/IMAGE, or the absolute path of a device'],
  ])('a section with wrong values is refused before the disk is touched: %j', async (options, message) => {
    await scene.serve();
    const { code, err } = await scene.run(['pool', 'add', 'slow', '/srv/slow', ...options]);
    expect([code, err]).toEqual([1, expect.stringContaining(message)]);
    expect(scene.asked).toEqual([]);
    expect(scene.config()).toBe(CONFIG);
  });

  test('a disk with other content adds no section', async () => {
    const reason = 'Disk /dev/x has the signature ext4: use another disk';
    await scene.serve({ 'farm-make': refusing('E_EXISTS', reason) });
    expect(await scene.run(['pool', 'add', 'slow', '/srv/slow', ...DISK])).toEqual({
      code: 1,
      out: '',
      err: `rsadm: ${reason} [E_EXISTS]\n`,
    });
    expect(scene.config()).toBe(CONFIG);
  });
});

describe('pool set of a shared pool', () => {
  const SHARED = CONFIG.replace('/srv/fast\n', '/srv/fast\ndisk = rbd:rsio/fast\nfence = rbd\nowners = big-9, big-8\n');

  test('changes owners and take-over-after, also together with the other keys', async () => {
    scene.write(SHARED);
    await scene.serve();
    const settings = ['owners=big-9,big-7', 'take-over-after=30s', 'limit=2t', 'reserve=1%'];
    expect((await scene.run(['pool', 'set', 'fast', ...settings])).code).toBe(0);
    for (const line of ['owners = big-9,big-7', 'take-over-after = 30s', 'limit = 2t', 'reserve = 1%', 'disk = rbd:rsio/fast'])
      expect(keysOf(scene.config())).toContain(line);
    expect((await scene.run(['pool', 'set', 'fast', 'take-over-after='])).code).toBe(0);
    expect(scene.config()).not.toContain('take-over-after');
  });

  test.each([
    ['path=/srv/other', 'A pool keeps its path: remove the pool, and add it at the other path'],
    ['disk=rbd:rsio/other', 'A pool keeps its disk: remove the pool, and add it again'],
    ['fence=none', 'A pool keeps its fence: remove the pool, and add it again'],
  ])('%s is refused', async (setting, message) => {
    scene.write(SHARED);
    await scene.serve();
    expect(await scene.run(['pool', 'set', 'fast', setting])).toMatchObject({
      code: 2,
      err: expect.stringContaining(`rsadm: ${message}`) as string,
    });
    expect(scene.asked).toEqual([]);
    expect(scene.config()).toBe(SHARED);
  });

  test('without owners the pool would have no section that can be read, and the file stays', async () => {
    scene.write(SHARED);
    await scene.serve();
    expect(await scene.run(['pool', 'set', 'fast', 'owners='])).toMatchObject({
      code: 1,
      err: expect.stringContaining('was not changed: No owners in pool "fast", which has a disk') as string,
    });
    expect(scene.config()).toBe(SHARED);
  });
});
