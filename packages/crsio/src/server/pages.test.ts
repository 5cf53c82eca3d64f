// Tests the pages for clients, pools and interfaces with the keyboard alone: what a page shows, the edits of rssrvcfg that its forms make,
// and the question before each removal.

import { RsError } from '@rsio/base/lib/errors';
import { client, pool, sharedPool } from '@rsio/api/testing/server-views';
import { expect, test } from 'vitest';
import { answers, SERVER_TEXT, ServerWalker } from '../testing/server-walker.ts';
import { LOOK_INTERVAL_MS } from '../widgets/limits.ts';

const GIB = 1024 ** 3;

test('the menu marks the next step of a new server', async () => {
  const withoutPool = await ServerWalker.start();
  expect(withoutPool.marked()).toContain('Pools');
  const withoutClient = await ServerWalker.start({ daemon: answers({ 'pool-list': () => ({ pools: [pool()] }) }) });
  expect(withoutClient.marked()).toContain('Clients');
  expect(withoutClient.words()).toContain('Now add a client');
});

test('clients are listed with state, rights and volumes, and found by a volume', async () => {
  const walker = await ServerWalker.start({
    daemon: answers({
      'client-list': () => ({
        clients: [
          client(),
          client({
            name: 'venus',
            state: 'silent',
            role: 'manage',
            pools: ['fast'],
            limitBytes: 500 * GIB,
            ownedBytes: 20 * GIB,
            volumes: [],
          }),
          client({ name: 'ops', state: 'absent', role: 'admin', address: null, volumes: [] }),
        ],
      }),
    }),
  });
  await walker.choose('Clients');
  const screen = walker.screen();
  expect(screen).toMatch(/\+ big-2 +connected +use +oracle@0/);
  expect(screen).toMatch(/! venus +silent +manage fast 20\.0G of 50~? +-/);
  expect(screen).toMatch(/- ops +absent +admin +-/);
  await walker.press({ text: 'orac' }, 'enter');
  expect(walker.words()).toMatch(/Client big-2 .* state: connected from 192\.168\.10\.2, since/);
});

test('a client is added with its rights, and its key is shown once', async () => {
  const walker = await ServerWalker.start({ daemon: answers({ 'pool-list': () => ({ pools: [pool()] }) }) });
  await walker.press(
    'enter',
    'action',
    'enter',
    { text: 'mars' },
    'tab',
    'choose',
    'down',
    'down',
    'down',
    'enter',
    'tab',
    'choose',
    'enter',
    'tab',
    {
      text: '500g',
    },
  );
  await walker.press('save');
  expect(walker.question()).toContain('Key of client mars, shown only here:\n  kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\n');
  expect(walker.file()).toBe(`${SERVER_TEXT}mars kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\n\n[rights]\nmars manage pool=fast limit=500g\n`);
});

test('rights change, a second key is made, and a client is removed with consent', async () => {
  const walker = await ServerWalker.start({
    daemon: answers({ 'client-list': () => ({ clients: [client()] }), 'pool-list': () => ({ pools: [pool()] }) }),
  });
  await walker.choose('Clients');
  await walker.press('enter');
  await walker.choose('Rights');
  await walker.press('cut-before', { text: 'admin' }, 'save');
  expect(walker.file()).toContain('\n[rights]\nbig-2 admin\n');
  await walker.choose('give it a second one');
  const key = /^ {2}(\S+)$/m.exec(walker.question() ?? '')?.[1];
  expect(walker.file()).toContain(`big-2 z2bqehhz57cbs2vh8e9vvyhue9sfr8eb ${key}\n`);
  await walker.press('enter');
  expect(walker.screen()).not.toContain(key);
  await walker.choose('Remove');
  expect(walker.question()).toBe('Its session ends, and its key is gone. It holds oracle@0, and its holds stay');
  await walker.choose('Remove client big-2');
  expect(walker.file()).not.toContain('big-2');
  expect(walker.words()).toContain('Clients: 1 client');
});

test('a client is fenced with consent and let in again, and the whole outcome is said', async () => {
  let fencedMs: number | null = null;
  const walker = await ServerWalker.start({
    daemon: answers({
      'client-list': () => ({ clients: [client({ fencedMs, state: fencedMs === null ? 'connected' : 'absent' })] }),
      'client-fence': ({ name }) => {
        fencedMs = 0;
        return { name, wasConnected: true, isClean: true, volumes: ['oracle@0'] };
      },
      'client-unfence': ({ name }) => {
        fencedMs = null;
        return { name, wasFenced: true };
      },
      'client-release': ({ name }) => ({ name, released: ['oracle@0'], left: 0 }),
      'pool-list': () => ({ pools: [pool()] }),
    }),
  });
  await walker.choose('Clients');
  await walker.press('enter');
  await walker.choose('Fence');
  expect(walker.calls).toEqual([]);
  await walker.choose('Fence big-2');
  expect(walker.words()).toContain('big-2 is fenced: nothing of it can run on this server. It still holds oracle@0');
  expect(walker.words()).toContain('! fenced: kept out since');
  await walker.choose('End its holds', 'End the holds of big-2');
  expect(walker.words()).toContain('big-2 no longer holds oracle@0');
  await walker.press('escape');
  expect(walker.screen()).toMatch(/! big-2 +fenced/);
  await walker.press('enter');
  await walker.choose('Let it in again');
  expect(walker.words()).toContain('big-2 may connect again');
  expect(walker.calls.map(({ method }) => method)).toEqual(['client-fence', 'client-release', 'client-unfence']);
});

test('dropping the old key is refused while the session uses it', async () => {
  const walker = await ServerWalker.start({
    file: SERVER_TEXT.replace('fr8eb', 'fr8eb second2key'),
    daemon: answers({
      'client-list': () => ({ clients: [client({ keys: 2, sessionKey: 'old' })] }),
      'pool-list': () => ({ pools: [pool()] }),
    }),
  });
  await walker.choose('Clients');
  await walker.press('enter');
  expect(walker.words()).toContain('keys: 2; its session uses the old one');
  await walker.choose('drop the old one');
  expect(walker.question()).toContain('Changing the key of client big-2: The session of client big-2 at 192.168.10.2 uses the old key');
  expect(walker.file()).toContain('second2key');
});

test('a pool is added: rssrv prepares its directory before the file names it', async () => {
  const walker = await ServerWalker.start({
    daemon: answers({
      'pool-make': () => ({ isNew: false, volumes: 3 }),
      'pool-list': () => ({ pools: [pool({ name: 'slow', state: 'unavailable', reason: 'pool.json does not exist' })] }),
    }),
  });
  await walker.choose('Pools');
  await walker.press('action', 'enter', { text: 'slow' }, 'tab', { text: '/srv/slow' }, 'tab', { text: '2t' }, 'save');
  expect(walker.calls).toEqual([
    { method: 'pool-make', params: { path: '/srv/slow', noHolders: false } },
    { method: 'reload', params: {} },
  ]);
  expect(walker.file()).toContain('[pool slow]\npath = /srv/slow\nlimit = 2t\n');
  expect(walker.question()).toBe('Pool slow cannot be used: pool.json does not exist');
  expect(walker.words()).toContain('/srv/slow already was a pool, with 3 volumes');
});

test('pools have a bar and a percentage, and a pool its details, findings and settings', async () => {
  const month = { bytesPerDay: GIB, fullInMs: 2 * 24 * 60 * 60 * 1_000 };
  const walker = await ServerWalker.start({
    daemon: answers({
      'pool-list': () => ({
        pools: [pool({ freeBytes: 4 * GIB, usableBytes: 0, pace: { week: null, month }, findings: ['folder volumes/x has no manifest'] })],
      }),
      'pool-check': () => ({ pool: pool({ findings: ['folder volumes/x has no manifest'] }) }),
      'client-list': () => ({ clients: [client()] }),
    }),
  });
  await walker.choose('Pools');
  expect(walker.screen()).toMatch(/! fast +\[#{13}\.\] +96% +0 free, full in 2 days, 20\.0G promised/);
  await walker.press('enter');
  expect(walker.screen()).toMatch(/full: +- by the growth of 7 days, \d{4}_\d\d_\d\d by that of 30 days/);
  expect(walker.words()).toContain('! folder volumes/x has no manifest');
  await walker.choose('Check');
  expect(walker.words()).toContain('Pool fast: see the lines with !');
  await walker.choose('Limit and reserve');
  await walker.press({ text: '1t' }, 'save');
  expect(walker.file()).toMatch(/\[pool fast\]\npath = \/srv\/fast\nlimit = 1t\novercommit = warn\nreserve += 5%\n/);
  await walker.choose('Remove', 'Remove pool fast');
  expect(walker.file()).not.toContain('[pool');
});

test('the page of a shared pool has its owner, and what it waits for', async () => {
  let shared = sharedPool();
  const walker = await ServerWalker.start({
    daemon: answers({
      'pool-list': () => ({ pools: [pool({ state: 'elsewhere', reason: 'served by big-9' })] }),
      'farm-show': () => ({ server: 'big-8', pools: [sharedPool({ name: 'slow', owner: 'big-7' }), shared] }),
    }),
  });
  await walker.choose('Pools');
  expect(walker.screen()).toMatch(/fast .*served by big-9/);
  await walker.press('enter');
  expect(walker.words()).toContain('disk: rbd:rsio/fast, fence rbd');
  expect(walker.words()).toContain('owner: big-9, generation 17, heard 0.4 s ago; next: big-8');
  expect(walker.words()).not.toContain('big-7');
  const unfenced = [{ server: 'big-9', generation: 17 }];
  shared = sharedPool({
    state: 'taking',
    owner: 'big-8',
    generation: 18,
    next: null,
    takeOverMs: null,
    unfenced,
    why: 'no monitor answers',
  });
  await walker.pass(LOOK_INTERVAL_MS);
  expect(walker.words()).toContain('owner: big-8, generation 18, heard 0.4 s ago; moves by command only');
  expect(walker.words()).toContain('! taking, big-9 is not fenced yet: no monitor answers');
});

test('interfaces are listed with the reason for which they do not listen, added from this machine, and removed with consent', async () => {
  const card = {
    device: 'eth1',
    address: '10.0.1.9',
    prefixLength: 24,
    broadcast: null,
    isLoopback: false,
    hasCarrier: true,
    linkMbps: 10_000,
    mtuBytes: 1500,
  };
  const reason = 'the machine does not have this address';
  const walker = await ServerWalker.start({
    machine: [card],
    daemon: answers({
      'pool-list': () => ({ pools: [pool()] }),
      'client-list': () => ({ clients: [client()] }),
      'interface-list': () => ({ interfaces: [{ name: 'if1', address: '10.0.0.9', port: 5000, state: 'waiting', reason }] }),
    }),
  });
  await walker.choose('Interfaces');
  expect(walker.screen()).toMatch(/! if1 +10\.0\.0\.9 +5000 +waiting: the machine does not have/);
  await walker.press('action', 'enter');
  expect(walker.words()).toContain('name * [if0 ');
  await walker.press('choose', 'enter', 'save');
  expect(walker.file()).toContain('[interface if0]\naddress = 10.0.1.9\n');
  await walker.press('remove');
  await walker.choose('Remove interface if1');
  expect(walker.file()).not.toContain('if1');
});

test('a file that rssrv refuses stays as it was, and the refusal is shown whole', async () => {
  const walker = await ServerWalker.start({
    daemon: answers({
      'config-check': () => {
        throw new RsError('E_HELD', 'Client big-2 holds oracle@0 of pool fast: detach it first');
      },
      'pool-list': () => ({ pools: [pool()] }),
    }),
  });
  await walker.choose('Pools');
  await walker.press('remove');
  await walker.choose('Remove pool fast');
  expect(walker.question()).toBe('Removing pool fast: Client big-2 holds oracle@0 of pool fast: detach it first [E_HELD]');
  expect(walker.file()).toBe(SERVER_TEXT);
});
