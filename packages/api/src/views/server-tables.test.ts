// Tests the tables and texts of rsadm with views that the test makes: sizes, aligned columns, unavailable pools and volumes, rights, and
// names with control characters.

import { shownSize } from '@rsio/base/lib/units';
import { describe, expect, test } from 'vitest';
import { IMAGE, client, pool, removedVolume, sessionStats, sharedPool, snapshot, volume } from '../testing/server-views.ts';
import { clientsTable, farmTable, poolsTable, removedTable, volumeDetails, volumesTable } from './server-tables.ts';

const GIB = 1024 ** 3;

test.each<[number | null, string]>([
  [null, '-'],
  [0, '0'],
  [512, '512'],
  [1023, '1023'],
  [1024, '1.0K'],
  [1536, '1.5K'],
  [1024 ** 2 - 1, '1024.0K'],
  [20 * GIB, '20.0G'],
  [1024 ** 4, '1.0T'],
  [2 ** 53 - 1024 ** 2, '8.0P'],
])('%j bytes are shown as %s', (bytes, expected) => {
  expect(shownSize(bytes)).toBe(expected);
});

test('volumes: sizes to the right, and the reason in place of the holders of a volume that is not served', () => {
  const holder = { address: '10.0.0.2', sinceMs: 0 };
  const volumes = [
    volume({
      snapshots: 3,
      holders: [
        { ...holder, node: 'big-2' },
        { ...holder, node: 'big-3' },
      ],
    }),
    volume({ name: 'a', universe: 3, sizeBytes: 512, usedBytes: null, pool: null }),
    volume({ name: 'lost', state: 'unavailable', reason: 'its file is gone: restore it', usedBytes: 0 }),
  ];
  expect(volumesTable(volumes, 0)).toBe(
    `VOLUME     SIZE  USED  POOL  SNAPSHOTS  HELD BY
oracle@0  20.0G  1.5K  fast          3  big-2, big-3
a@3         512     -  -             0  -
lost@0    20.0G     0  fast          0  unavailable: its file is gone: restore it
`,
  );
});

test('volumes: writes that wait for space show in the list and in the details', () => {
  const waiting = volume({ waitsForSpace: true, pool: 'fast' });
  const [list, details] = [volumesTable([waiting], 0), volumeDetails(waiting)];
  expect([list, details]).toEqual([
    expect.stringContaining(' (writes wait for space)\n'),
    expect.stringContaining('served; writes wait for space in pool fast\n'),
  ]);
  expect(volumeDetails(volume({ waitsForSpace: true, fullPool: 'slow' }))).toContain('writes wait for space in pool slow\n');
});

// Regression: moments and snapshots of a clock that was ahead had a date in the future.
test('no moment and no snapshot has a date in the future', () => {
  const [minute, hour] = [60_000, 3_600_000];
  const follower = volume({ follows: { server: 'oslo', name: 'db', universe: 0, momentMs: 9 * hour, promotedMs: null } });
  const unknown = 'an unknown time (the clock was ahead)';
  expect(volumesTable([follower], hour)).toContain(`follows db@0 of oslo, of ${unknown}`);
  const shown = (changes: object): string => volumeDetails(follower, 'db@0', null, [snapshot({ createdMs: 9 * hour, ...changes })], hour);
  expect(shown({})).toContain(`newest moment ${unknown}`);
  expect(shown({})).toContain(`monday of ${unknown}, `);
  // The place of a later snapshot is in the future as well, and its own time is known.
  expect(shown({ shownMs: hour - minute })).toContain('monday of 1970_01_01-00:59:00 (GMT), ');
  // Clocks of two machines differ by seconds.
  expect(shown({ shownMs: hour + minute })).toContain('monday of 1970_01_01-01:00:00 (GMT), ');
});

test('images: of which volume they are, how old they are, and what has become of the volume', () => {
  const image = (changes: Partial<typeof IMAGE>) => volume({ name: 'oracle', universe: 1, image: { ...IMAGE, ...changes } });
  const [minute, hour] = [60_000, 3_600_000];
  const nowMs = 50 * hour;
  const cases = [
    image({ momentMs: nowMs - 2 * hour - 10 * minute }),
    image({ momentMs: nowMs - 49 * hour, state: 'removed' }),
    image({ momentMs: nowMs - minute, state: 'unknown' }),
    // This moment lies in the future, because the clock was set back.
    image({ momentMs: nowMs + hour, name: null, universe: null }),
  ];
  const lines = volumesTable([volume(), ...cases], nowMs).split('\n');
  expect(lines[0]).toMatch(/  HELD BY  IMAGE$/);
  expect(lines.slice(1, 6).map((line) => line.replace(/^.*?fast +0  - */, ''))).toEqual([
    '',
    'image of oracle@0, 2h 10m old',
    'image of oracle@0 (removed), 2d 1h old',
    'image of oracle@0 (in no open pool), 1m old',
    'image of a volume of other clients, 0m old',
  ]);
  expect(volumeDetails(image({}), 'oracle@1', null, [], 3 * hour)).toContain(
    '    image:     of oracle@0, 3h 0m old, as of 1970_01_01-00:00:00 (GMT)\n',
  );
  expect(volumeDetails(volume())).not.toContain('image:');
});

test('removed volumes: who removed them, and how long they are kept', () => {
  const removed = [removedVolume({ by: 'big-2', untilMs: 86_399_999 }), removedVolume({ name: 'late', untilMs: 59_999 })];
  expect(removedTable(removed, 60_000)).toBe(
    `VOLUME     SIZE  POOL  REMOVED                    BY     KEPT FOR
oracle@0  20.0G  fast  1970_01_01-00:00:00 (GMT)  big-2  23h 59m
late@0    20.0G  fast  1970_01_01-00:00:00 (GMT)  -      0h 0m
`,
  );
});

const NOW_MS = Date.UTC(2026, 10, 30, 12);

test('pools: unknown space is a dash, and the reason stands in place of the path', () => {
  const lost = { state: 'unavailable', reason: 'not mounted: mount it', totalBytes: null, usableBytes: null } as const;
  const away = { ...lost, state: 'elsewhere', reason: 'served by big-8' } as const;
  expect(
    poolsTable(
      [
        pool({ limitBytes: 1024 ** 4, pace: { week: { bytesPerDay: GIB, fullInMs: 86_400_000 }, month: null } }),
        pool({ name: 'slow', volumes: 0, promisedBytes: 0, ...lost }),
        pool({ name: 'farm', volumes: 0, promisedBytes: 0, ...away }),
      ],
      NOW_MS,
    ),
  ).toBe(
    `POOL    SIZE  USED   FREE  PROMISED  LIMIT        FULL  VOLUMES  PATH
fast  100.0G   40%  55.0G     20.0G   1.0T  2026_12_01        1  /srv/fast
slow       -     -      -         0      -           -        0  unavailable: not mounted: mount it
farm       -     -      -         0      -           -        0  served by big-8
`,
  );
});

test('clients: what they may do with which limit, and what they hold', () => {
  const clients = [
    client({ volumes: ['oracle@0', 'data@1'] }),
    client({ name: 'mars', role: 'manage', pools: ['fast', 'slow'], limitBytes: 500 * GIB, ownedBytes: 20 * GIB, state: 'silent' }),
    client({ name: 'venus', role: 'manage', state: 'absent', address: null, volumes: [] }),
    client({ name: 'x', role: 'admin', state: 'absent', address: null, volumes: [] }),
  ];
  expect(clientsTable(clients, { sessions: [sessionStats()], waits: [] })).toBe(
    `CLIENT  STATE      ADDRESS          READS    WRITES  RIGHTS                            HOLDS
big-2   connected  192.168.10.2  0.8 MB/s  0.0 MB/s  use                               oracle@0, data@1
mars    silent     192.168.10.2         -         -  manage fast,slow 20.0G of 500.0G  oracle@0
venus   absent     -                    -         -  manage all pools                  -
x       absent     -                    -         -  admin                             -
`,
  );
});

test('clients: a change of the key that is not finished, and a fence, stand beside the state', () => {
  const clients = [
    client({ name: 'ceres', keys: 2, sessionKey: 'old', volumes: [] }),
    client({ name: 'pluto', state: 'absent', keys: 2, fencedMs: 1, address: null, volumes: [] }),
    client({ name: 'io', fencedMs: 1, volumes: [] }),
  ];
  expect(clientsTable(clients, { sessions: [], waits: [] })).toBe(
    `CLIENT  STATE                                  ADDRESS       READS  WRITES  RIGHTS  HOLDS
ceres   connected, two keys, session uses old  192.168.10.2      -       -  use     -
pluto   fenced, two keys                       -                 -       -  use     -
io      fenced, its session is ending          192.168.10.2      -       -  use     -
`,
  );
});

describe('details of a volume', () => {
  test('name who holds it, who may take it over, and its modes', () => {
    const text = volumeDetails(
      volume({
        readonly: true,
        shared: true,
        thick: true,
        clients: ['big-2', 'big-3'],
        takeOver: [],
        takeOverForce: true,
        owner: 'big-2',
        holders: [{ node: 'big-2', address: '10.0.0.2', sinceMs: 0 }],
      }),
    );
    expect(text).toContain('    mode:      read-only, shared, thick\n');
    expect(text).toContain('    clients:   big-2, big-3\n    take-over: none, also by force\n    owner:     big-2\n');
    expect(text).toMatch(/\n {4}held by: {3}big-2 10\.0\.0\.2 since 1970_01_01-00:00:00 \(GMT\)\n$/);
  });

  test('show the layout and the files of a volume over several pools, and a pool that is absent', () => {
    const parts = [
      { pool: 'a', path: '/a/data', sizeBytes: GIB },
      { pool: null, path: null, sizeBytes: GIB },
    ];
    const striped = volume({ pool: 'a', path: '/a/data', layout: { chunkBytes: 65_536, parts } });
    expect(volumeDetails(striped)).toContain(
      `    pool:      a,?
    layout:    stripe of 2 files, chunks of 64k
    file:      /a/data, 1.0G in pool a
    file:      -, 1.0G in pool ?
`,
    );
    expect(volumeDetails({ ...striped, layout: { chunkBytes: null, parts } })).toContain('    layout:    concat of 2 files\n');
    expect(volumesTable([striped], 0)).toContain(' a,? ');
  });

  test('tell when a schedule made and missed snapshots', () => {
    const schedule = { text: 'hourly keep 2', lastMs: null, failedMs: 0, failure: 'no room', skipped: 'in use' };
    expect(volumeDetails(volume({ schedule }))).toMatch(
      /\n {4}snapshots: hourly keep 2; the first is made at once\n {4}failed: {4}1970_.*: no room\n {4}kept: {6}in use\n/,
    );
    const [daily, monthly] = ['daily', 'monthly'].map((label) => ({ label, keep: 7, kept: 0, lastMs: null, nextMs: 86_400_000 }));
    const details = volumeDetails(volume({ schedule: { ...schedule, rules: [daily!, { ...monthly!, kept: 1, lastMs: 0 }] } }));
    expect(details).toMatch(
      /\n {4}rule: {6}daily: 0 of 7, the first is made at once\n {4}rule: {6}monthly: 1 of 7, last: 1970_.*, next: 1970_/,
    );
    expect(volumeDetails(volume({ schedule: { ...schedule, rules: [daily!] } }))).not.toContain('rule:');
    expect(volumeDetails(volume({}))).not.toContain('snapshots:');
  });

  test('of a section have no pool, and no time of creation', () => {
    const text = volumeDetails(volume({ pool: null, createdMs: null, id: null, state: 'unavailable', reason: 'no file' }));
    expect(text).toContain('    id:        -\n    state:     unavailable: no file\n');
    expect(text).toContain('    pool:      - (section [volume] of rssrvcfg)\n');
    expect(text).toContain('    created:   -\n');
  });
});

test('control characters in names and reasons never reach the terminal', () => {
  const bad = '\u001b[2J\nx';
  const texts = [
    volumesTable([volume({ name: bad, pool: bad, state: 'unavailable', reason: bad })], 0),
    volumeDetails(volume({ name: bad, path: bad })),
    poolsTable([pool({ name: bad, path: bad })], 0),
    clientsTable([client({ name: bad, address: bad, volumes: [bad] })], { sessions: [], waits: [] }),
    removedTable([removedVolume({ name: bad, by: bad })], 0),
  ];
  for (const text of texts) {
    expect(text).not.toContain('\u001b');
    expect(text).toContain('\\x1b[2J\\nx');
  }
  expect(texts[0]?.split('\n')).toHaveLength(3);
});

test('shared pools: the owner with its generation and heartbeat, and who is not fenced yet', () => {
  const unfenced = [
    { server: 'big-9', generation: 17 },
    { server: 'big-7', generation: 18 },
  ];
  const waiting = sharedPool({
    name: 'slow',
    disk: '/dev/x',
    owner: 'big-8',
    generation: 19,
    heartbeatMs: 12_340,
    state: 'taking',
    unfenced,
  });
  const unread = sharedPool({ name: 'new', state: 'unknown', owner: null, generation: 0, sinceMs: null, heartbeatMs: null, next: null });
  expect(farmTable([sharedPool(), waiting, unread])).toBe(
    `POOL  DISK           OWNER  GENERATION                      SINCE  HEARTBEAT  NEXT   STATE
fast  rbd:rsio/fast  big-9          17  1970_01_01-00:00:00 (GMT)      0.4 s  big-8  serving
slow  /dev/x         big-8          19  1970_01_01-00:00:00 (GMT)     12.3 s  big-8  taking, big-9 is not fenced yet, big-7 is not fenced yet
new   rbd:rsio/fast  -               0                          -          -  -      unknown
`,
  );
});
