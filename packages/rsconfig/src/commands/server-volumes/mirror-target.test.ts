// Tests volume commands for mirrors: which server gets which request, which of two different snapshots with the same name counts, and
// refusals with their remedies. Invariant: a snapshot is read only where it is proven.

import { RsError } from '@rsio/base/lib/errors';
import { snapshot, volume } from '@rsio/api/testing/server-views';
import { expect, test } from 'vitest';
import { daemon, run } from '../../testing/rsconfig-run.ts';
import { AT, DOWN, asked, machine, serve, useServerVolumes } from '../../testing/server-volumes-scene.ts';
import { attachment } from '../../testing/views.ts';

useServerVolumes();

const MIRROR = 'a'.repeat(32);
const proven = (name: string, number: number, isProven = true) =>
  snapshot({ snapshot: name, id: `${name}-${number}`, moment: { mirror: MIRROR, term: 3, number, isProven } });

function replica(name: string, ...snapshots: ReturnType<typeof snapshot>[]) {
  return machine(name, { 'volume-show': () => ({ volume: volume({ mirror: MIRROR }), snapshots }) });
}

const changes = (): string[] => asked.filter((one) => !one.includes(' volume-show ')).map((one) => one.split(' {')[0]!.replace('osl/', ''));

test('a mirror needs no --server: it is shown with its proven snapshots, each once, by the latest moment', async () => {
  const plain = snapshot({ snapshot: 'old' });
  await serve([replica('big-9', plain, proven('x', 1), proven('y', 3)), replica('big-8', proven('x', 2), proven('z', 4, false))]);
  const { code, out, err } = await run('volume show oracle --json');
  expect(code).toBe(0);
  expect(err.split('\n').map((line) => line.replace('rsconfig: ', ''))).toEqual([
    'Server big-9 has snapshots of its replica that are not those of osl:oracle@0: old, x; --server big-9 shows them',
    'Server big-8 has snapshots of its replica that are not those of osl:oracle@0: z; --server big-8 shows them',
    '',
  ]);
  const { snapshots } = JSON.parse(out) as { snapshots: { snapshot: string; id: string }[] };
  expect(snapshots.map(({ id }) => id)).toEqual(['x-2', 'y-3']);
});

test('a snapshot is made by rsiod, which has the mirror, and the command says which servers have it', async () => {
  const orders: object[] = [];
  await serve([replica('big-9'), replica('big-8')], {
    'mirror-snapshot': (params) => {
      orders.push(params);
      const base = { namespace: 'osl', name: 'oracle', universe: 0, snapshot: 'x', id: params.id, sizeBytes: 1024 ** 2, usedBytes: null };
      const missing = [{ server: 'big-8', reason: 'its replica is being copied' }];
      return { ...base, createdMs: 0, mirror: MIRROR, term: 3, number: 1, servers: ['big-9'], missing };
    },
  });
  const { out, err } = await run('volume snapshot oracle@x');
  expect(orders).toEqual([{ name: 'oracle', universe: 0, namespace: 'osl', snapshot: 'x', id: 'id-1' }]);
  expect(out).toBe('osl:oracle@0@x made, 1.0M\n');
  expect(err).toContain('Server big-8 does not have osl:oracle@0@x: its replica is being copied');
  expect(err).toContain('osl:oracle@0@x is on big-9');
  expect(changes()).toEqual([]);
});

test('a clone and a diff read a server that has the snapshot proven; one of a replica only is refused with the way', async () => {
  const plain = snapshot({ snapshot: 'x' });
  await serve([replica('big-9', plain, proven('only', 1, false)), replica('big-8', proven('x', 1), proven('y', 2))]);
  for (const line of ['volume clone oracle@x copy', 'volume diff oracle@x oracle@y']) await run(line);
  expect(new Set(changes())).toEqual(new Set(['big-8 volume-clone', 'big-8 volume-diff']));
  const { err } = await run('volume clone oracle@only copy');
  expect(err).toContain('Mirror osl:oracle@0 has no snapshot only: one of that name on big-9 is of that replica only');
  expect(err).toContain('rsconfig volume clone osl:oracle@0@only NEW --server big-9');
});

test('a snapshot is removed everywhere, also where it is not proven, and not while a server is silent', async () => {
  const machines = [replica('big-9', proven('x', 1)), replica('big-8', proven('x', 1, false))];
  await serve(machines);
  expect((await run('volume remove oracle@x --yes')).code).toBe(0);
  expect(changes()).toEqual(['big-9 volume-snapshot-remove', 'big-8 volume-snapshot-remove']);
  expect((await run('volume remove oracle@none --yes')).err).toContain('Mirror osl:oracle@0 has no snapshot none');
});

test('while a server is away, a snapshot is made and cloned, and not removed', async () => {
  await serve([replica('big-9', proven('x', 1)), DOWN], {
    mirrors: () => ({ mirrors: [], gaps: [] }),
    'mirror-snapshot': () => {
      throw new RsError('E_BUSY', 'Try again');
    },
  });
  expect((await run('volume snapshot oracle@y')).err).toContain('Try again [E_BUSY]');
  expect((await run('volume clone oracle@x copy')).code).toBe(0);
  const refused = await run('volume remove oracle@x --yes');
  expect(refused.err).toContain('may be on a server that does not answer, too (Server big-7 of osl is down: Connection refused)');
  expect(changes()).toEqual(['big-9 volume-clone']);
});

test('a server that is away and has no replica by the configuration of the mirror keeps no snapshot from being removed', async () => {
  const has = (server: string) => ({
    server,
    serverid: 1,
    volume: 'oracle',
    universe: 0,
    inSync: true,
    isReachable: true,
    isSilent: false,
    copy: null,
  });
  const votes = (server: string, answers: boolean) => ({ server, serverid: 1, answers, isSilent: !answers, trouble: null });
  const remove = async (replicas: readonly string[], answering: readonly string[]) => {
    asked.length = 0;
    const voters = ['big-9', 'big-8', 'big-7'].map((name) => votes(name, answering.includes(name)));
    const mirror = {
      namespace: 'osl',
      name: 'oracle',
      universe: 0,
      mirror: MIRROR,
      state: 'known' as const,
      sizeBytes: 1,
      majority: 2,
      holder: null,
    };
    await serve([replica('big-9', proven('x', 1)), replica('big-8', proven('x', 1)), DOWN], {
      mirrors: () => ({ mirrors: [{ ...mirror, replicas: replicas.map(has), voters }], gaps: [] }),
    });
    const { err } = await run('volume remove oracle@x --yes');
    await daemon?.close();
    return [changes(), err === ''];
  };
  const both = ['big-9 volume-snapshot-remove', 'big-8 volume-snapshot-remove'];
  expect(await remove(['big-9', 'big-8'], ['big-9', 'big-8'])).toEqual([both, true]);
  // The silent one may have a replica, or the voters that answer may have an old configuration.
  expect(await remove(['big-9', 'big-8', 'big-7'], ['big-9', 'big-8'])).toEqual([[], false]);
  expect(await remove(['big-9', 'big-8'], ['big-9'])).toEqual([[], false]);
});

test('limits and halts go to all replicas, and what would change one alone is refused with the way', async () => {
  await serve([replica('big-9'), replica('big-8')]);
  for (const line of ['volume set oracle iops=100', 'volume stop oracle']) expect((await run(line)).code).toBe(0);
  expect(changes()).toEqual(['big-9 volume-set', 'big-8 volume-set', 'big-9 volume-stop', 'big-8 volume-stop']);
  const ways: readonly [string, string][] = [
    ['volume grow oracle 40g', 'rsconfig mirror grow oracle@0 SIZE'],
    ['volume rename oracle new', 'its voters know it by this name'],
    ['volume remove oracle --yes', 'rsconfig mirror remove oracle@0 --volumes removes it'],
    ['volume copy oracle new', 'make a snapshot first'],
  ];
  for (const [line, way] of ways) expect((await run(line)).err).toContain(way);
  await run('volume grow oracle 40g --server big-8');
  expect(asked.at(-1)).toContain('osl/big-8 volume-grow');
  expect(AT).toBe('osl/big-9');
});

test('a mirror is replicated by the orders of all its servers, and not to one of them', async () => {
  await serve([replica('big-9'), replica('big-8')]);
  const refused = await run('volume replicate oracle --to fast@big-8 --every 5m');
  expect([refused.code, changes()]).toEqual([2, []]);
  expect(refused.err).toBe(
    'rsconfig: Server big-8 has a replica of mirror osl:oracle@0, and cannot have its follower, which needs the same name: ' +
      'replicate the mirror to a server of another site that has no replica [E_USAGE]\n',
  );
  expect((await run('volume replicate oracle --to oslo --every 5m')).code).toBe(0);
  expect(changes()).toEqual(['big-9 volume-replicate', 'big-8 volume-replicate']);
});

test('a mirror is taken away from a client by rsiod, and the command succeeds only if every server has agreed', async () => {
  const orders: object[] = [];
  let left: { server: string; reason: string }[] = [];
  let isProven = true;
  const order = (params: { readonly name: string; readonly universe: number; readonly client: string }) => {
    orders.push(params);
    return { namespace: 'osl', mirror: MIRROR, servers: ['big-9'], wasHeld: true, isProven, left, ...params };
  };
  await serve([replica('big-9'), replica('big-8')], { 'mirror-revoke': order, 'mirror-allow': order });
  expect((await run('volume revoke oracle venus')).out).toBe('osl:oracle@0 was taken away from venus, which may not attach it any more\n');
  expect((await run('volume allow oracle venus')).out).toBe('venus may attach osl:oracle@0\n');
  left = [{ server: 'big-8', reason: 'It shows this client no replica of the mirror' }];
  const proven = await run('volume revoke oracle venus');
  expect([proven.code, proven.out]).toEqual([1, '']);
  expect(proven.err).toContain('A majority of the voters of mirror osl:oracle@0 proves that nothing of client venus takes effect');
  isProven = false;
  const unproven = await run('volume revoke oracle venus');
  expect([unproven.code, unproven.err]).toEqual([
    1,
    expect.stringContaining('is not executed at all servers of mirror osl:oracle@0 (server big-8'),
  ]);
  expect(orders[0]).toEqual({ namespace: 'osl', name: 'oracle', universe: 0, client: 'venus', id: null, endClaim: false });
});

test('a roll back of a mirror that a client has ends before anything is made', async () => {
  const names: string[][] = [];
  await serve([replica('big-9', proven('x', 1)), replica('big-8', proven('x', 1))], {
    'order-attach': ({ name, alone }) => {
      names.push([name, alone ? 'alone' : 'beside others']);
      const error = { code: 'E_HELD', message: 'Client big-3 has the mirror' } as const;
      return { ticket: 't', outcome: { volume: name, done: false, already: false, device: null, error } };
    },
  });
  const { code, err } = await run('volume rollback oracle@x');
  expect({ code, err }).toEqual({ code: 1, err: 'rsconfig: Client big-3 has the mirror [E_HELD]\n' });
  expect(names).toEqual([['osl:oracle@0', 'alone']]);
  expect((await run('volume rollback oracle@none')).err).toContain('has no snapshot none: volume show lists them');
});

test('an incremental backup attaches from a server that has both snapshots', async () => {
  const servers: (string | null)[] = [];
  await serve([replica('big-9', proven('new', 2)), replica('big-8', proven('old', 1), proven('new', 2))], {
    'order-attach': ({ name, server }) => {
      servers.push(server);
      const error = { code: 'E_NO_PATH', message: 'Not here' } as const;
      return { ticket: 't', outcome: { volume: name, done: false, already: false, device: null, error } };
    },
  });
  await run('backup oracle@new /tmp/none --since old');
  await run('backup oracle@new /tmp/none');
  expect(servers).toEqual(['big-8', null]);
  expect((await run('backup oracle@new /tmp/none --since gone')).err).toContain('has no snapshot gone');
});

test('a mirror that is attached nowhere is attached for its snapshot, and one that another client has is not', async () => {
  const calls: string[] = [];
  let holder: { code: string; message: string } | null = null;
  await serve([replica('big-9'), replica('big-8')], {
    'mirror-snapshot': (params) => {
      calls.push('snapshot');
      if (!calls.includes('attach')) throw new RsError('E_UNKNOWN_VOLUME', 'No mirror osl:oracle@0 is attached on this machine');
      const base = { namespace: 'osl', name: 'oracle', universe: 0, snapshot: 'x', id: params.id, sizeBytes: 1024 ** 2, usedBytes: null };
      return { ...base, createdMs: 0, mirror: MIRROR, term: 3, number: 1, servers: ['big-9', 'big-8'], missing: [] };
    },
    'order-attach': ({ name }) => {
      if (holder === null) calls.push('attach');
      return { ticket: 't', outcome: { volume: name, done: holder === null, already: false, device: null, error: holder } };
    },
    local: () => ({ attachments: [attachment({ namespace: 'osl', name: 'oracle', universe: 0 })], awaited: [] }),
    'order-detach': () => {
      calls.push('detach');
      return {};
    },
  });
  expect((await run('volume snapshot oracle@x')).code).toBe(0);
  expect(calls).toEqual(['snapshot', 'attach', 'snapshot', 'detach']);
  calls.length = 0;
  holder = { code: 'E_HELD', message: 'Client big-3 has the mirror' };
  expect((await run('volume snapshot oracle@x')).err).toContain('Client big-3 has the mirror [E_HELD]');
  expect(calls).toEqual(['snapshot']);
});

test('what one server refuses is told with the servers that have done it', async () => {
  const refuses = (): never => {
    throw new RsError('E_BUSY', 'Another change is made');
  };
  const second = replica('big-8');
  await serve([replica('big-9'), { ...second, orders: { ...second.orders, 'volume-set': refuses } }]);
  const { code, err } = await run('volume set oracle iops=100');
  expect({ code, err }).toEqual({
    code: 1,
    err: 'rsconfig: It is done on big-9, and not on big-8: Another change is made [E_BUSY]\n',
  });
});
