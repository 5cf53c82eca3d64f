// Tests `rsconfig mirror create`, `list` and `remove` from arguments to output. rsiod is a fake; the real work is tested in rsiod's
// mirrors/commands/ and in test/integration/mirror-commands.test.ts.

import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import type { MirrorSummary, RemovedMirror } from '@rsio/api/views/mirror-views';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { describe, expect, test } from 'vitest';
import { daemon, run } from '../../testing/rsconfig-run.ts';
import { serve, useServerVolumes } from '../../testing/server-volumes-scene.ts';
import { mirror } from '../../testing/views.ts';

useServerVolumes();

const CREATE = 'mirror create db --size 20g --servers big-9,big-8';

describe('mirror create', () => {
  test('passes on what was asked, with an id, and says what there is', async () => {
    const seen: unknown[] = [];
    const create: ControlHandlers['mirror-create'] = (params) => {
      seen.push(params);
      return { mirror: mirror(), warnings: [] };
    };
    await serve([], { 'mirror-create': create });
    expect(await run(`${CREATE} --witness pi-1 --pool fast`)).toEqual({
      code: 0,
      out: 'osl:db@0 created on big-9 and big-8, witness pi-1, 20.0G\n',
      err: '',
    });
    const asked = { namespace: null, name: 'db', universe: 0, sizeBytes: 20 * 1024 ** 3, blockSizeBytes: 512, request: 'id-1' };
    expect(seen).toEqual([{ ...asked, servers: ['big-9', 'big-8'], witness: 'pi-1', pool: 'fast', pools: [] }]);
    await run(`${CREATE} --pool big-9=fast,big-8=p2`);
    expect(seen.pop()).toMatchObject({
      pool: null,
      pools: [
        { server: 'big-9', pool: 'fast' },
        { server: 'big-8', pool: 'p2' },
      ],
    });
    await run('mirror create osl:db@1 --size 20g --servers big-9,big-8,pi-1 --block-size 4096');
    expect(seen[1]).toMatchObject({
      namespace: 'osl',
      universe: 1,
      servers: ['big-9', 'big-8', 'pi-1'],
      witness: null,
      blockSizeBytes: 4096,
    });
  });

  test('--attach attaches it, and says what to do if that fails', async () => {
    await serve([], { 'mirror-create': () => ({ mirror: mirror(), warnings: [] }) });
    expect(await run(`${CREATE} --attach`)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/\nosl:db@0 attached \/dev\/av0\/db\n$/) as string,
    });
    expect(JSON.parse((await run(`${CREATE} --attach --json`)).out)).toMatchObject({ device: '/dev/av0/db', mirror: { name: 'db' } });
    await daemon?.close();
    const attach = (): never => {
      throw new RsError('E_NO_PATH', 'No majority');
    };
    await serve([], { 'mirror-create': () => ({ mirror: mirror(), warnings: [] }), attach });
    expect(await run(`${CREATE} --attach`)).toMatchObject({
      code: 1,
      out: expect.stringContaining('osl:db@0 created') as string,
      err: 'rsconfig: osl:db@0 was created and is not attached: No majority; rsconfig -a osl:db@0 attaches it [E_NO_PATH]\n',
    });
  });

  test('prints the warning of a mirror without a witness', async () => {
    const good = mirror();
    const warnings = ['The mirror has no witness: if big-9 or big-8 fails, the volume stops'];
    await serve([], { 'mirror-create': () => ({ mirror: { ...good, voters: good.voters.slice(0, 2) }, warnings }) });
    expect(await run(CREATE)).toEqual({ code: 0, out: 'osl:db@0 created on big-9 and big-8, 20.0G\n', err: `rsconfig: ${warnings[0]}\n` });
  });

  test('a refusal of rsiod is the error of the command', async () => {
    const refuse = (): never => {
      throw new RsError('E_VOLUME', 'Mirror osl:db@0 was not made: Server pi-1: This server is no witness; nothing of it is left');
    };
    await serve([], { 'mirror-create': refuse });
    expect(await run(CREATE)).toEqual({
      code: 1,
      out: '',
      err: expect.stringContaining('E_VOLUME') as string,
    });
  });

  test('is sent again with the same id if rsiod ends meanwhile', async () => {
    const seen: unknown[] = [];
    const once: ControlHandlers['mirror-create'] = ({ request }) => {
      seen.push(request);
      return new Promise(() => undefined);
    };
    await serve([], { 'mirror-create': once });
    const clock = new FakeClock();
    const running = run(CREATE, { clock });
    await expect.poll(() => seen.length, { timeout: 5_000, interval: 2 }).toBe(1);
    await daemon?.close();
    const again: ControlHandlers['mirror-create'] = ({ request }) => {
      seen.push(request);
      return { mirror: mirror(), warnings: [] };
    };
    await serve([], { 'mirror-create': again });
    await expect
      .poll(
        () => {
          clock.advance(500);
          return seen.length;
        },
        { timeout: 5_000, interval: 2 },
      )
      .toBe(2);
    expect((await running).code).toBe(0);
    expect(seen).toEqual(['id-1', 'id-1']);
  });

  test.each([
    ['mirror create db --servers big-9,big-8', 'No --size'],
    ['mirror create db --size 20g', 'No --servers'],
    [`${CREATE} --pool big-9=fast,big-9=slow`, 'server big-9 has two pools'],
    [`${CREATE} --pool big-9=fast,slow`, 'allowed is a pool, or SERVER=POOL of each server'],
    [`${CREATE} --block-size 1000`, 'Wrong --block-size 1000'],
    ['mirror create db --size 20g --servers big-9,,big-8', '--servers has an empty name'],
    [`mirror create lab:db --namespace osl --size 20g --servers big-9,big-8`, 'lab:db is in namespace lab'],
  ])('%s is wrong usage', async (line, message) => {
    await serve([]);
    const { code, err } = await run(line);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(message) as string });
  });
});

describe('mirror list', () => {
  const list = (mirrors: readonly MirrorSummary[], gaps: readonly string[] = []): Partial<ControlHandlers> => ({
    mirrors: () => ({ mirrors, gaps }),
  });

  test('shows what is in sync, and who holds it', async () => {
    const good = mirror({ holder: 'big-2' });
    const [first, second] = good.replicas;
    const other = mirror({ name: 'oracle', replicas: [first!, { ...second!, inSync: false }], sizeBytes: 15 * 1024 ** 3 });
    await serve([], list([good, other]));
    expect(await run('mirror list')).toEqual({
      code: 0,
      out:
        'MIRROR         SIZE  IN SYNC      OTHER  WITNESS  HELD BY\n' +
        'osl:db@0      20.0G  big-9 big-8  -      pi-1     big-2\n' +
        'osl:oracle@0  15.0G  big-9        big-8  pi-1     -\n',
      err: '',
    });
  });

  test('shows how much of a replica is copied, and how long the rest takes', async () => {
    const good = mirror({ holder: 'big-2' });
    const [first, second] = good.replicas;
    const copy = { state: 'copying' as const, leftBytes: Math.round(0.585 * good.sizeBytes!), bytesPerSecond: 1e8, etaMs: 121_000 };
    const shown = async (changes: object): Promise<string> => {
      await serve([], list([{ ...good, replicas: [first!, { ...second!, inSync: false, copy: { ...copy, ...changes } }] }]));
      const { out } = await run('mirror list');
      await daemon?.close();
      return /big-9 {2,}(big-8.*?) {2,}pi-1/.exec(out)?.[1] ?? out;
    };
    expect(await shown({})).toBe('big-8 resync 41% 2m');
    expect(await shown({ etaMs: null })).toBe('big-8 resync 41%');
    expect(await shown({ leftBytes: null, etaMs: 59_400 })).toBe('big-8 resync 59s');
    expect(await shown({ state: 'behind' })).toBe('big-8');
  });

  test('marks what is silent, says why, and exits with 1 if a server is missing', async () => {
    const good = mirror();
    const down = mirror({
      replicas: good.replicas.map((one) => (one.server === 'big-8' ? { ...one, isReachable: false, isSilent: true } : one)),
      voters: good.voters.map((one) =>
        one.server === 'big-9' ? one : { ...one, answers: false, isSilent: true, trouble: `${one.server} is down` },
      ),
    });
    await serve([], list([down], ['Server big-8 of osl is not connected']));
    const { code, out, err } = await run('mirror list');
    expect(code).toBe(1);
    expect(out).toContain('osl:db@0  20.0G  big-9 big-8(silent)  -      pi-1(silent)  -\n');
    expect(err).toBe(
      'rsconfig: Mirror osl:db@0: big-8 does not vote: big-8 is down\n' +
        'rsconfig: Mirror osl:db@0: pi-1 does not vote: pi-1 is down\n' +
        'rsconfig: Server big-8 of osl is not connected\n',
    );
  });

  // Regression: a server that had lost its record was shown as silent.
  test('a server that answers, and has lost its record or its replica, is not silent', async () => {
    const good = mirror();
    const lost = mirror({
      replicas: good.replicas.map((one) => (one.server === 'big-8' ? { ...one, isReachable: false } : one)),
      voters: good.voters.map((one) => ({ ...one, answers: false, trouble: 'The server has lost its record of the mirror' })),
    });
    await serve([], list([lost]));
    expect((await run('mirror list')).out).toContain('osl:db@0  20.0G  big-9 big-8(unusable)  -      pi-1(unusable)  -\n');
  });

  test('names the command for what is half made', async () => {
    await serve([], list([mirror({ state: 'unfinished', voters: [], sizeBytes: null })]));
    const { out, err } = await run('mirror list');
    expect(out).toMatch(/^osl:db@0 +- .*unfinished$/m);
    expect(err).toContain('rsconfig mirror remove osl:db@0 removes what there is');
  });

  test('says that there is none', async () => {
    await serve([], list([]));
    expect(await run('mirror list')).toEqual({
      code: 0,
      out: '',
      err: 'rsconfig: No mirror for this client: rsconfig mirror create NAME makes one\n',
    });
  });
});

describe('mirror grow', () => {
  test('says the new size, and wrong sizes are wrong usage', async () => {
    const seen: unknown[] = [];
    const grow: ControlHandlers['mirror-grow'] = (params) => {
      seen.push(params);
      return { namespace: 'osl', name: 'db', universe: 0, fromBytes: 20 * 1024 ** 3, sizeBytes: params.sizeBytes };
    };
    await serve([], { 'mirror-grow': grow });
    expect(await run('mirror grow db 30g')).toEqual({ code: 0, out: 'osl:db@0 now has 30.0G\n', err: '' });
    expect(seen).toEqual([{ namespace: null, name: 'db', universe: 0, sizeBytes: 30 * 1024 ** 3 }]);
    expect(JSON.parse((await run('mirror grow osl:db 30g --json')).out)).toMatchObject({ fromBytes: 20 * 1024 ** 3 });
    expect(await run('mirror grow db much')).toMatchObject({ code: 2 });
  });
});

describe('mirror remove', () => {
  const removed = (changes: Partial<RemovedMirror> = {}): RemovedMirror => ({
    namespace: 'osl',
    name: 'db',
    universe: 0,
    mirror: 'a'.repeat(32),
    left: [],
    volumes: [
      { server: 'big-9', volume: 'db', universe: 0, inSync: true, isRemoved: false },
      { server: 'big-8', volume: 'db', universe: 0, inSync: false, isRemoved: false },
    ],
    ...changes,
  });

  test('says which volume has everything', async () => {
    const seen: unknown[] = [];
    const remove: ControlHandlers['mirror-remove'] = (params) => {
      seen.push(params);
      return removed();
    };
    await serve([], { 'mirror-remove': remove });
    expect(await run('mirror remove db')).toEqual({
      code: 0,
      out:
        'osl:db@0 is no mirror any more\n' +
        '    big-9: volume osl:db@0 is a plain volume, with all that was written\n' +
        '    big-8: volume osl:db@0 is a plain volume, and lacks writes\n',
      err: '',
    });
    await run('mirror remove osl:db@1 --volumes --force');
    expect(seen).toEqual([
      { namespace: null, name: 'db', universe: 0, volumes: false, force: false, id: null },
      { namespace: 'osl', name: 'db', universe: 1, volumes: true, force: true, id: null },
    ]);
  });

  test('names what is left, and exits with 1', async () => {
    const [first] = removed().volumes;
    const left = ['server pi-1 may keep its record (Gone): on it, rsadm witness remove ID removes it'];
    await serve([], { 'mirror-remove': () => removed({ volumes: [{ ...first!, isRemoved: true }], left }) });
    expect(await run('mirror remove db --volumes')).toEqual({
      code: 1,
      out: 'osl:db@0 is no mirror any more\n    big-9: volume osl:db@0 was removed\n',
      err: `rsconfig: Left behind: ${left[0]}\n`,
    });
  });
});

describe('changes of an attached mirror', () => {
  const changed = (left: readonly string[] = []) => {
    const good = mirror();
    const [first, second] = good.replicas;
    const third = { ...second!, server: 'big-7', serverid: 4, inSync: false };
    return { mirror: { ...good, replicas: [first!, third] }, warnings: ['Server big-8 may keep a replica'], left };
  };

  test.each<[string, 'mirror-add' | 'mirror-detach' | 'mirror-replace' | 'mirror-witness', object]>([
    ['mirror add db --server big-7 --pool fast', 'mirror-add', { server: 'big-7', pool: 'fast', request: 'id-1' }],
    ['mirror detach db --server big-8 --volume', 'mirror-detach', { server: 'big-8', volume: true }],
    ['mirror replace db --server big-8 --with big-7', 'mirror-replace', { server: 'big-8', with: 'big-7', pool: null, request: 'id-1' }],
    ['mirror witness db --server pi-2', 'mirror-witness', { witness: 'pi-2' }],
    ['mirror witness db --none', 'mirror-witness', { witness: null }],
  ])('%s passes on what was asked, and says what there is', async (line, method, asked) => {
    const seen: unknown[] = [];
    const handler = (params: unknown) => {
      seen.push(params);
      return changed();
    };
    await serve([], { [method]: handler });
    expect(await run(line)).toEqual({
      code: 0,
      out: 'osl:db@0 is in sync on big-9, to be copied on big-7, witness big-8 and pi-1\n',
      err: 'rsconfig: Server big-8 may keep a replica\n',
    });
    expect(seen).toEqual([{ namespace: null, name: 'db', universe: 0, ...asked }]);
  });

  test('what is left ends with 1, and is in the JSON', async () => {
    const left = ['server big-8 still has volume osl:db@0'];
    await serve([], { 'mirror-detach': () => changed(left) });
    const { code, out, err } = await run('mirror detach db --server big-8 --volume --json');
    expect([code, err]).toEqual([1, `rsconfig: Left behind: ${left[0]}\n`]);
    expect(JSON.parse(out)).toMatchObject({ left, mirror: { name: 'db' } });
  });

  test.each([
    ['mirror add db', 'No server of the new replica: give --server S'],
    ['mirror replace db --server big-8', 'No server that takes its place: give --with NEW'],
    ['mirror witness db', 'Give either --server'],
    ['mirror witness db --none --server pi-1', 'Give either --server'],
  ])('%s is wrong usage', async (line, message) => {
    await serve([]);
    expect(await run(line)).toMatchObject({ code: 2, err: expect.stringContaining(message) as string });
  });
});
