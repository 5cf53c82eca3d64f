// Tests the output and the confirmation prompts of `status`, `pool check` and `volume remove`, with a fake rssrv. The tables and warnings themselves
// have tests in common's manage/.

import { shownCall } from '@rsio/common/cli/command';
import { misfit } from '@rsio/base/lib/shape';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { client, DAEMON_ANSWER, pool, sessionStats, volume, volumeStats } from '@rsio/api/testing/server-views';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../command-table.ts';
import { CLIENTS, INTERFACES, POOLS, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();

const HEAD = `server big-9, release 9.9.9, pid 4711
up since 1970_01_01-00:00:00 (GMT), configured 1970_01_01-00:00:00 (GMT)

${INTERFACES}`;

describe('status', () => {
  test('shows the server, interfaces, pools, volumes and clients on one page', async () => {
    await scene.serve();
    const out = `${HEAD}\n${POOLS}\n1 volume, 20.0G, 0 held (rsadm volume list)\n\n${CLIENTS}`;
    expect(await scene.run(['status'])).toEqual({ code: 0, out, err: '' });
    expect(await scene.run([]), 'the first command').toEqual({ code: 0, out, err: '' });
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test('of a new server says how to begin', async () => {
    await scene.serve({
      'pool-list': () => ({ pools: [] }),
      'volume-list': () => ({ volumes: [], removed: [] }),
      'client-list': () => ({ clients: [] }),
    });
    expect((await scene.run(['status'])).out).toBe(
      `${HEAD}\nNo pool: rsadm pool add NAME PATH makes one\n\n` +
        'No volume: rsadm volume create NAME --size SIZE makes one\n\nNo client: rsadm client add NAME lets one connect\n',
    );
  });

  test('lists only volumes that wait or are not served, and says what each warning needs', async () => {
    const nowMs = new FakeClock().wallMs();
    const lost = { state: 'unavailable', reason: 'its file is locked' } as const;
    const many = Array.from({ length: 25 }, (_unused, index) => volume({ name: `v${index}`, ...lost }));
    await scene.serve({
      'interface-list': () => ({
        interfaces: [{ name: 'if1', address: '10.0.0.9', port: 5000, state: 'waiting', reason: 'no such address' }],
      }),
      'volume-list': () => ({ volumes: [volume(), ...many], removed: [] }),
      'change-show': () => ({ change: { what: 'the creation of volume db', sinceMs: nowMs, waiting: 2 } }),
      stats: () => ({
        sessions: [sessionStats()],
        waits: [{ client: 'big-2', volume: 'oracle@0', why: 'storage', heldBy: null, requests: 3, sinceMs: nowMs - 12_000 }],
      }),
    });
    const { code, out } = await scene.run(['status']);
    expect(code).toBe(1);
    expect(out).toMatch(/\nchange in progress: the creation of volume db, since .* \(GMT\), 2 wait behind it\n/);
    expect(out).toContain('26 volumes, 520.0G, 0 held, 25 waiting or not served (rsadm volume list)\nVOLUME');
    expect(out).toContain('\nand 5 more\n');
    expect(out).not.toContain('\noracle@0');
    expect(out).toContain('Warning: Interface if1 does not listen: no such address\n');
    expect(out).toContain('Warning: Volume v24@0 is not served: its file is locked\n');
    expect(out).toMatch(/\nWarning: I\/O of client big-2 on volume oracle@0 has waited 12s for the storage: .*\n$/);
  });

  test('says for how many mirrors the server votes, and which record cannot be read', async () => {
    const [mirror, trouble] = ['a'.repeat(32), 'State file x.json cannot be used'];
    await scene.serve({
      daemon: () => ({ ...DAEMON_ANSWER, methods: ['witness-list'] }),
      'witness-list': () => ({ isWitness: true, limit: 1_024, records: [{ mirror, trouble, record: null }] }),
    });
    const { code, out } = await scene.run(['status']);
    expect(code).toBe(1);
    expect(out).toContain('\nvotes for 1 mirror\n');
    expect(out).toContain(`\nWarning: This server does not vote for mirror ${mirror}: ${trouble}\n`);
  });

  test('a warning makes the exit code 1, also with --json', async () => {
    await scene.serve({
      'volume-list': () => ({ volumes: [volume({ state: 'unavailable', reason: 'its file is locked' })], removed: [] }),
    });
    expect((await scene.run(['status'])).code).toBe(1);
    const json = await scene.run(['status', '--json']);
    expect({ code: json.code, err: json.err }).toEqual({ code: 1, err: '' });
    const page: unknown = JSON.parse(json.out);
    expect(page).toMatchObject({ daemon: { pid: 4711 }, pools: [pool()], clients: [client()], stats: { sessions: [sessionStats()] } });
    expect(page).toHaveProperty('warnings', ['Volume oracle@0 is not served: its file is locked']);
    const shape = COMMANDS.find(({ call }) => shownCall(call) === 'status')?.json;
    expect(shape === undefined ? 'no shape' : misfit(shape, page, 'exactly')).toBeNull();
  });
});

describe('clients and statistics', () => {
  test('client list has rates, and -v paths and waits', async () => {
    const nowMs = new FakeClock().wallMs();
    const waits = [{ client: 'big-2', volume: 'oracle@0', why: 'storage' as const, heldBy: null, requests: 3, sinceMs: nowMs - 12_000 }];
    await scene.serve({ stats: () => ({ sessions: [sessionStats()], waits }) });
    const warning = 'rsadm: I/O of client big-2 on volume oracle@0 has waited 12s for the storage: check its disks and rsslogcat -n 20\n';
    expect(await scene.run(['client', 'list'])).toEqual({ code: 0, out: CLIENTS, err: warning });
    const details = `big-2
    path if1 from 192.168.10.2, since 1970_01_01-00:00:00 (GMT), 1200 requests, plain
    volume oracle@0: 3 waiting for its storage, for 12s
`;
    expect(await scene.run(['client', 'list', '-v'])).toEqual({ code: 0, out: `${CLIENTS}\n${details}`, err: '' });
  });

  test('stats takes two samples over the interval', async () => {
    const clock = new FakeClock();
    let reads = 1_000;
    await scene.serve({
      stats: () => {
        const volumes = [volumeStats({ reads })];
        reads += 500;
        return { sessions: [sessionStats({ volumes })], waits: [] };
      },
    });
    const running = scene.run(['stats', 'oracle', '--interval', '10s'], null, clock);
    await expect.poll(() => clock.timersPending, { timeout: 5_000, interval: 2 }).toBe(1);
    clock.advance(10_000);
    const { code, out } = await running;
    expect(code).toBe(0);
    expect(out).toContain('read    1500    50');
  });

  test.each(['0s', 'x', '2h'])('stats --interval %s is refused', async (interval) => {
    await scene.serve();
    expect(await scene.run(['stats', '--interval', interval])).toMatchObject({ code: 2, out: '' });
    expect(scene.asked).toEqual([]);
  });
});

describe('pool check', () => {
  test('prints what is unexplained, exit code 1', async () => {
    const findings = ['/srv/fast/a\nb does not belong to the pool', '/srv/fast/c does not belong to the pool'];
    await scene.serve({ 'pool-check': () => ({ pool: pool({ findings }) }) });
    const out = '/srv/fast/a\\nb does not belong to the pool\n/srv/fast/c does not belong to the pool\n';
    expect(await scene.run(['pool', 'check', 'fast'])).toEqual({ code: 1, out, err: '' });
    expect((await scene.run(['pool', 'check', 'fast', '--json'])).code).toBe(1);
  });

  test('prints why the pool cannot be used', async () => {
    await scene.serve({ 'pool-check': () => ({ pool: pool({ state: 'unavailable', reason: 'it is not mounted: mount it' }) }) });
    const out = 'Pool fast cannot be used: it is not mounted: mount it\n';
    expect(await scene.run(['pool', 'check', 'fast'])).toEqual({ code: 1, out, err: '' });
  });
});

describe('removing a volume', () => {
  const question = 'Remove volume oracle@0, 20.0G, from pool fast? [y/N] ';

  test.each(['y', 'yes', ' YES '])('asks, and %j consents', async (answer) => {
    await scene.serve();
    const questions: string[] = [];
    const { code } = await scene.run(['volume', 'remove', 'oracle'], async (text) => {
      questions.push(text);
      return answer;
    });
    expect(code).toBe(0);
    expect(questions).toEqual([question]);
    expect(scene.asked.map(([method]) => method)).toEqual(['volume-show', 'volume-remove']);
  });

  test.each(['', 'n', 'no', 'yesterday', 'ja'])('asks, and %j does not consent', async (answer) => {
    await scene.serve();
    expect(await scene.run(['volume', 'remove', 'oracle'], async () => answer)).toEqual({
      code: 1,
      out: '',
      err: 'rsadm: Nothing was removed\n',
    });
    expect(scene.asked.map(([method]) => method)).toEqual(['volume-show']);
  });

  test('without a terminal needs --yes, and sends nothing without it', async () => {
    await scene.serve();
    const err = 'rsadm: Removing needs consent: give --yes, see rsadm --help [E_USAGE]\n';
    for (const argv of [['oracle'], ['oracle', '--json']])
      expect(await scene.run(['volume', 'remove', ...argv])).toEqual({ code: 2, out: '', err });
    expect(scene.asked).toEqual([]);
  });

  test('deleting for good tells how many removed volumes it means, and sends nothing without consent', async () => {
    await scene.serve();
    let question = '';
    const { code } = await scene.run(['volume', 'purge'], async (text) => {
      question = text;
      return 'n';
    });
    expect([code, question]).toEqual([1, 'Delete 1 removed volume, 20.0G, for good? [y/N] ']);
    expect((await scene.run(['volume', 'purge'])).code).toBe(2);
    expect(scene.asked.map(([method]) => method)).toEqual(['volume-list']);
  });
});
