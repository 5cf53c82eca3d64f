// Tests the commands about replications with a fake rssrv: requests, output, warnings, and values that are refused before anything is sent.
// The rules are tested in packages/rssrv/src/replication.

import { DAEMON_ANSWER, replication as view, volume } from '@rsio/api/testing/server-views';
import type { ReplicationView } from '@rsio/api/views/views';
import { SOURCE_LOOK_EVERY_MS, SOURCE_LOOK_MS } from '@rsio/api/manage/volumes/limits';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { describe, expect, test } from 'vitest';
import { useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();

const volumes = [
  { name: 'db', universe: 0 },
  { name: 'log', universe: 1 },
];

describe('volume replicate', () => {
  test('sends the settings, with the defaults of those that are not given', async () => {
    await scene.serve({ 'volume-replicate': () => ({ replication: view({ volumes }) }) });
    expect(await scene.run(['volume', 'replicate', 'db', 'log@1', '--to', 'big-8', '--every', '5m'])).toEqual({
      code: 0,
      out: 'db@0, log@1: replicated to big-8 every 5m, 3 moments are kept\n',
      err: '',
    });
    await scene.run([
      'volume',
      'replicate',
      'db',
      '--to',
      'fast@big-8',
      '--every',
      '1h',
      '--keep',
      '12',
      '--limit',
      '50m',
      '--reversible',
      'bergen',
    ]);
    const request = expect.any(String) as string;
    const first = { to: 'big-8', pool: null, everyMs: 300_000, keep: 3, limitBytes: null, reversible: null, request };
    const second = { to: 'big-8', pool: 'fast', everyMs: 3_600_000, keep: 12, limitBytes: 50 * 1024 ** 2, reversible: 'bergen', request };
    expect(scene.asked).toEqual([
      ['volume-replicate', { volumes, ...first }],
      ['volume-replicate', { volumes: volumes.slice(0, 1), ...second }],
    ]);
  });

  test('--end names the other server, and says that moments stay', async () => {
    await scene.serve();
    const run = () => scene.run(['volume', 'replicate', 'db', '--end']);
    expect((await run()).out).toBe('db@0: no longer replicated to big-8; the last moments stay as snapshots\n');
    await scene.daemon?.close();
    await scene.serve({ 'volume-replicate-end': () => ({ replication: view({ momentMs: null }) }) });
    expect((await run()).out).toBe('db@0: no longer replicated to big-8\n');
    await scene.daemon?.close();
    await scene.serve({ 'volume-replicate-end': () => ({ replication: null }) });
    expect((await run()).out).toBe('db@0: no longer replicated\n');
    expect(scene.asked.map(([method]) => method)).toEqual(Array.from({ length: 3 }, () => 'volume-replicate-end'));
  });

  test.each<[string, string]>([
    ['--every 5m', 'No server: give --to [POOL@]CLIENT'],
    ['--to big-8', 'No time: give --every TIME, such as --every 5m'],
    ['--to big-8 --every 0s', 'Wrong --every "0s": allowed is '],
    ['--to big-8 --every 31d', 'Wrong --every "31d": allowed is '],
    ['--to big-8 --every 5m --keep 0', 'Wrong --keep "0": allowed is 1 to 500'],
    ['--to big-8 --every 5m --keep x', 'Wrong --keep "x": allowed is 1 to 500'],
    ['--to big-8 --every 5m --keep 501', 'Wrong --keep "501": allowed is 1 to 500'],
    ['--to big-8 --every 5m --limit fast', 'Wrong --limit "fast": allowed is '],
    ['--to @big-8 --every 5m', 'Wrong --to "@big-8": give CLIENT or POOL@CLIENT'],
    ['--to fast@ --every 5m', 'Wrong --to "fast@": give CLIENT or POOL@CLIENT'],
    ['--to a@b@c --every 5m', 'Wrong --to "a@b@c": give CLIENT or POOL@CLIENT'],
    ['--end --keep 3', 'Both --end and --keep are given: give one of them'],
  ])('db %s is refused before anything is sent', async (options, sentence) => {
    await scene.serve();
    const { code, err } = await scene.run(['volume', 'replicate', 'db', ...options.split(' ')]);
    expect([code, err]).toEqual([2, expect.stringContaining(sentence)]);
    expect(scene.asked).toEqual([]);
  });
});

describe('volume replications', () => {
  const all = [
    view({ volumes }),
    view({ peer: 'big-7', state: 'copying', ageMs: 7_800_000, everyMs: 3_600_000 * 2, doneBytes: 3, totalBytes: 4 }),
    view({ direction: 'in', peer: 'big-1', state: 'waiting', ageMs: null }),
    view({ direction: 'out', peer: 'big-1', state: 'ended', ageMs: 900_000_000, everyMs: 0, volumes: [] }),
  ];

  test('prints a table, and nothing else if all is well', async () => {
    await scene.serve({ 'replication-list': () => ({ replications: all }) });
    expect(await scene.run(['volume', 'replications'])).toEqual({
      code: 0,
      out: `DIR  VOLUMES     PEER   MOMENT AGE  EVERY  STATE
out  db@0,log@1  big-8         12s     5m  waiting
out  oracle@0    big-7      2h 10m     2h  copying (75 %)
in   oracle@0    big-1           -     5m  waiting
out  -           big-1     10d 10h      -  ended
`,
      err: '',
    });
  });

  test('names what fails or is late with the remedy, and exits with 1', async () => {
    const replications = [
      view({ state: 'failing', text: 'Pool fast cannot be used: it is not mounted' }),
      view({ direction: 'in', state: 'absent', text: 'server big-8 is not connected' }),
      view({ ageMs: 600_001 }),
      view({ ageMs: 600_000 }),
      view({ ageMs: 600_001, state: 'promoted' }),
      view({ direction: 'in', state: 'ended', text: 'replicate it there' }),
      view({ direction: 'in', state: 'diverged', text: 'promote it' }),
    ];
    await scene.serve({ 'replication-list': () => ({ replications }) });
    const { code, err } = await scene.run(['volume', 'replications']);
    expect([code, err]).toEqual([
      1,
      `rsadm: The replication of oracle@0 to big-8 fails: Pool fast cannot be used: it is not mounted
rsadm: The replication of oracle@0 from big-8 stands still: server big-8 is not connected
rsadm: The replication of oracle@0 to big-8 is late, its last moment is 10m old, and a moment is wanted every 5m: check the network and the pools of both servers, or choose a longer time (volume replicate --every)
rsadm: The replication of oracle@0 from big-8 has ended: replicate it there
rsadm: The replication of oracle@0 from big-8 is diverged: promote it
`,
    ]);
    expect((await scene.run(['volume', 'replications', '--json'])).code).toBe(1);
  });

  test('of a server without replications says how one begins', async () => {
    await scene.serve({ 'replication-list': () => ({ replications: [] }) });
    const err = 'rsadm: No replication: volume replicate NAME --to CLIENT --every TIME begins one\n';
    expect(await scene.run(['volume', 'replications'])).toEqual({ code: 0, out: '', err });
  });
});

test('status counts the replications, and warns of those that fail', async () => {
  const daemon = () => ({ ...DAEMON_ANSWER, methods: ['replication-list'] });
  const failing = view({ state: 'failing', text: 'it is not mounted: mount it' });
  await scene.serve({
    daemon,
    'volume-list': () => ({ volumes: [volume()], removed: [] }),
    'replication-list': () => ({ replications: [failing] }),
  });
  const { code, out } = await scene.run(['status']);
  expect(code).toBe(1);
  expect(out).toContain('\n1 replication (rsadm volume replications)\n');
  expect(out).toContain('\nWarning: The replication of oracle@0 to big-8 fails: it is not mounted: mount it\n');
  expect(JSON.parse((await scene.run(['status', '--json'])).out)).toMatchObject({ replications: [failing] });
});

test('a demotion says which volumes follow, and what keeps their content', async () => {
  await scene.serve();
  const kept = 'server big-8; snapshot before has the 4k that changed after 1970_01_01-00:00:00 (GMT)\n';
  const { out } = await scene.run(['volume', 'demote', 'db', '--for', 'big-8', '--yes']);
  expect(out).toBe(`db@0 follows ${kept}`);
  expect((await scene.run(['volume', 'demote', 'db', 'log', '--for', 'big-8', '--yes'])).out).toBe(`db@0, log@0 follow ${kept}`);
});

describe('a promotion', () => {
  const order = ['volume', 'promote', 'db', 'log@1'];
  const serve = (given: Partial<ReplicationView>): Promise<void> =>
    scene.serve({ 'replication-list': () => ({ replications: [view({ direction: 'in', peer: 'oslo', volumes, ...given })] }) });
  const isGiven = (): boolean => scene.asked.some(([method]) => method === 'volume-promote');

  test.each(['waiting', 'copying'] as const)('of a replication that is %s asks, and names the order that loses nothing', async (state) => {
    await serve({ state });
    const clock = new FakeClock();
    const running = scene.run(order, null, clock);
    await expect
      .poll(() => {
        clock.advance(SOURCE_LOOK_MS);
        return Promise.race([running, Promise.resolve(null)]);
      })
      .not.toBeNull();
    const refused = await running;
    expect([refused.code, refused.err]).toEqual([
      2,
      expect.stringMatching(/oslo.* is connected: rsadm volume reverse db log@1 makes .*--yes/),
    ]);
    let question = '';
    const answer = (text: string) => (asked: string) => {
      question = asked;
      return Promise.resolve(text);
    };
    expect(await scene.run(order, answer('n'))).toEqual({ code: 1, out: '', err: 'rsadm: Nothing was changed\n' });
    expect(question).toMatch(/^Server oslo, which has the source of db@0, log@1, is connected\..*Promote all the same\? \[y\/N\] $/);
    expect(isGiven()).toBe(false);
    expect((await scene.run(order, answer('y'))).code).toBe(0);
    expect(isGiven()).toBe(true);
  });

  test('right after the source has failed waits until that is known, and needs no --yes', async () => {
    let looks = 0;
    const at = (): ReplicationView => view({ direction: 'in', peer: 'oslo', volumes, state: ++looks < 3 ? 'waiting' : 'absent' });
    await scene.serve({ 'replication-list': () => ({ replications: [at()] }) });
    const clock = new FakeClock();
    const running = scene.run(order, null, clock);
    for (const look of [1, 2]) {
      await expect.poll(() => [looks, clock.timersPending]).toEqual([look, 1]);
      clock.advance(SOURCE_LOOK_EVERY_MS);
    }
    expect((await running).code).toBe(0);
    expect(isGiven()).toBe(true);
  });

  test.each<[string, readonly string[], Partial<ReplicationView>]>([
    ['without its source', order, { state: 'absent' }],
    ['after the end of the replication', order, { state: 'ended' }],
    ['of other followers', order, { volumes: [{ name: 'db', universe: 1 }] }],
    ['with --yes', [...order, '--yes'], {}],
  ])('%s does not ask', async (_what, words, given) => {
    await serve({ state: 'waiting', ...given });
    expect((await scene.run(words)).code).toBe(0);
    expect(isGiven()).toBe(true);
  });
});
