// Tests the status page with a running rsiod and without: samples, rates, attaching and detaching. rsiod is scripted, and the test
// advances the clock.

import type { AttachmentView, NamespaceView, StatsView, StatusView } from '@rsio/api/rsiod/methods';
import { pathStats } from '@rsio/api/testing/path-stats';
import { expect, test } from 'vitest';
import { Walker } from '../../testing/walker.ts';

const PATH = {
  number: 1,
  localAddress: '192.168.45.20',
  address: '192.168.45.10',
  port: 5000,
  tx: 'ok',
  rx: 'ok',
  sinceMs: 0,
  lastError: null,
  lastErrorMs: null,
  retries: 0,
  roundTripMs: 0.214,
  cipher: null,
  tls: false,
} as const;

const status: StatusView = {
  interfaces: [
    {
      position: 0,
      name: 'if0',
      address: '192.168.45.20',
      port: 5000,
      reps: [
        { ...PATH, interface: 'if0', state: 'up', position: 0, section: 'big-9-1' },
        {
          ...PATH,
          interface: 'if0',
          port: 5001,
          state: 'down',
          tx: '-',
          rx: '-',
          roundTripMs: null,
          lastError: 'Connection refused',
          position: 1,
          section: 'big-9-2',
        },
      ],
    },
  ],
  waiting: [{ volume: 'osl:oracle@0', waitsFor: 'a path to big-9', sinceMs: 0, untilMs: null, requests: 4 }],
  logs: [],
  mirrors: [],
};

function statsAt(receivedBytes: number): StatsView {
  const path = { address: '192.168.45.10', sentBytes: receivedBytes / 4, receivedBytes };
  // Two paths lead to the same address but to different servers, which have different ports.
  return { paths: [pathStats({ address: '192.168.45.10', port: 5001 }), pathStats(path)], volumes: [] };
}

const volume = {
  universe: 0,
  id: '7d444840-9dc0-11d1-b245-5ffdce74fad2',
  blocks: 31_457_280,
  blockSizeBytes: 512,
  readonly: false,
} as const;
const oracle: AttachmentView = {
  ...volume,
  namespace: 'osl',
  name: 'oracle',
  byId: 'rsio-200-7d444840-9dc0-11d1-b245-5ffdce74fad2',
  state: 'attached',
  shared: false,
  servers: 1,
  rawDevice: null,
  blockDevice: '/dev/av0/oracle',
};
const namespaces: readonly NamespaceView[] = [
  {
    position: 0,
    name: 'osl',
    namespaceid: 200,
    nodename: 'big-2',
    servers: [
      {
        position: 0,
        name: 'big-9',
        sections: [],
        serverid: 1,
        instance: null,
        state: 'connected',
        addresses: [],
        limits: null,
        release: null,
        clockOffMs: null,
        volumes: [
          { ...volume, name: 'oracle', shared: false, holders: [], mirror: null, follows: null },
          {
            ...volume,
            name: 'tvol1',
            shared: false,
            holders: [{ node: 'venus', address: '192.168.45.21', sinceMs: 0 }],
            mirror: null,
            follows: null,
          },
        ],
        paths: [],
      },
    ],
  },
];

function watching(): Walker {
  let attachments: readonly AttachmentView[] = [oracle];
  let receivedBytes = 0;
  const walker = new Walker();
  walker.world.daemon = {
    status: () => status,
    stats: () => {
      receivedBytes += 80e6;
      return statsAt(receivedBytes);
    },
    local: () => ({ attachments, awaited: [] }),
    query: () => ({ namespaces }),
    detach: ({ names }) => {
      attachments = [];
      return { outcomes: [{ volume: names[0] ?? '', done: true, already: false, device: null, error: null }] };
    },
    attach: ({ names }) => {
      const error = { code: 'E_HELD', message: 'Volume osl:tvol1@0 is held by venus' };
      return { outcomes: [{ volume: names[0] ?? '', done: false, already: false, device: null, error }] };
    },
  };
  return walker;
}

test('the page shows paths with both directions and rates, and volumes with their state', async () => {
  const walker = watching();
  await walker.choose('Status');
  expect(walker.screen()).toMatch(/-> 192\.168\.45\.10\/5000 +connected +tx ok +rx ok +0\.21 ms/);
  expect(walker.screen()).toContain('in  [...............]    0.0 MB/s');
  await walker.pass(1_000);
  expect(walker.screen()).toContain('in  [###############]   80.0 MB/s  out [####...........]   20.0 MB/s');
  expect(walker.screen()).toMatch(/-> 192\.168\.45\.10\/5001 +down +tx - +rx - +-/);
  expect(walker.screen()).toContain('! Connection refused');
  expect(walker.screen()).toMatch(/osl:oracle@0 +attached +15 GiB +\/dev\/av0\/oracle/);
  expect(walker.screen()).toMatch(/osl:tvol1@0 +not attached +15 GiB +on big-9, held by venus/);
  expect(walker.screen()).toContain('! osl:oracle@0 waits for a path to big-9, 4 requests, for ever');
});

test('the page shows work that takes time, and what it waits for', async () => {
  const walker = watching();
  const known = { name: 'osl:db@0', doneBytes: 25, totalBytes: 100, bytesPerSecond: 5, leftMs: 15_000, goesOn: true } as const;
  const progress = [
    { ...known, kind: 'resync', id: 'a', about: 'to server big-8', state: 'running', waitsFor: null },
    { ...known, kind: 'verify', id: 'b', about: 'the replicas in sync', state: 'waiting', waitsFor: 'a server' },
  ] as const;
  Object.assign(walker.world.daemon!, { progress: () => ({ progress }) });
  await walker.choose('Status');
  expect(walker.words()).toMatch(/Work in progress .*resync osl:db@0 to server big-8 \[#+\.+\] 25% 25 of 100, 5\/s, 15 s left/);
  expect(walker.words()).toContain('waits for a server');
});

test('the page asks again each second, and stops when the user leaves it', async () => {
  const walker = watching();
  await walker.choose('Status');
  for (let second = 0; second < 3; second++) await walker.pass(1_000);
  const asked = (): number => walker.calls.filter(({ method }) => method === 'status').length;
  expect(asked()).toBe(4);
  await walker.press('escape');
  await walker.pass(5_000);
  expect(asked()).toBe(4);
});

test('Enter detaches after a question, attaches at once, and shows a refusal', async () => {
  const walker = watching();
  await walker.choose('Status', 'osl:oracle@0');
  expect(walker.question()).toContain('osl:oracle@0 will no longer be available on this machine');
  await walker.choose('Detach osl:oracle@0');
  expect(walker.screen()).toMatch(/osl:oracle@0 +not attached/);
  await walker.choose('osl:tvol1@0');
  expect(walker.question()).toBe('Volume osl:tvol1@0 is held by venus [E_HELD]');
});

test('without rsiod the page says how to start it, and shows its state once it runs', async () => {
  const walker = watching();
  const { daemon } = walker.world;
  walker.world.daemon = null;
  await walker.choose('Status');
  expect(walker.words()).toContain('! rsiod is not running on this machine Start it with: rsiod');
  walker.world.daemon = daemon;
  await walker.pass(1_000);
  expect(walker.screen()).toContain('connected');
});

test('addresses of the same socket, and devices below a long root, are shown by their differing ends', async () => {
  const walker = watching();
  const socket = '?socket=/a/rather/long/root/of/a/daemon/run/rsio/rsiod/nbd';
  const named = ['oracle', 'tvol1', 'archive'].map((name) => ({ ...oracle, name, blockDevice: `nbd+unix:///osl/${name}${socket}` }));
  const deep = { ...oracle, name: 'deep', blockDevice: `/a/rather/long/root/of/a/daemon/dev/av0/deep` };
  walker.world.daemon = { ...walker.world.daemon, local: () => ({ attachments: [...named, deep], awaited: [] }) };
  await walker.choose('Status');
  for (const { name } of named) expect(walker.screen()).toMatch(new RegExp(`osl:${name}@0 .* nbd\\+unix:///osl/${name} `));
  expect(walker.screen()).toMatch(/osl:deep@0 .* ~\S*\/dev\/av0\/deep /);
  await walker.press('end');
  expect(walker.words()).toContain(`All NBD URIs end with ${socket}`);
});

test('a path that is down is drawn as a problem, with all its details', async () => {
  const walker = watching();
  await walker.choose('Status');
  const runs = walker.rows().flat();
  const problems = runs.filter(({ style }) => style === 'problem').map(({ text }) => text);
  expect(problems.some((text) => text.includes('192.168.45.10/5001'))).toBe(true);
  expect(problems.some((text) => text.includes('! Connection refused'))).toBe(true);
  expect(problems.some((text) => text.includes('192.168.45.10/5000'))).toBe(false);
});
