// Tests crsio's part for the server with the keyboard alone: creating and handing out volumes, changing and removing them, filters, and
// what happens when rssrv is silent, refuses or is not running.

import { removedVolume, client, pool, volume } from '@rsio/api/testing/server-views';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { answers, SERVER_TEXT, ServerWalker, type ServerWorld } from '../testing/server-walker.ts';

const CLIENTS = [client({ volumes: [] }), client({ name: 'venus', state: 'absent', address: null, volumes: [] })];

/** Returns a server with one pool, two clients and the given volumes. The server creates each volume that crsio requests. */
function serverWith(...volumes: ReturnType<typeof volume>[]): Partial<ServerWorld> {
  const all = [...volumes];
  return {
    daemon: answers({
      'pool-list': () => ({ pools: [pool()] }),
      'client-list': () => ({ clients: CLIENTS }),
      'volume-list': () => ({ volumes: all, removed: [] }),
      'volume-create': ({ name, universe, sizeBytes, clients }) => {
        const made = volume({ name, universe, sizeBytes, clients });
        all.push(made);
        return { volume: made };
      },
      'volume-set': ({ name }) => ({ volume: volume({ name }) }),
      'volume-remove': ({ name }) => ({ removed: removedVolume({ name }) }),
    }),
  };
}

test('a volume is created and handed out to a known client with 12 keys', async () => {
  const walker = await ServerWalker.start(serverWith());
  await walker.press('enter', { text: 'db' }, 'tab', { text: '20g' }, 'tab', 'choose', 'down', 'enter', 'save');
  expect(walker.keys).toBe(12);
  expect(walker.calls).toEqual([
    {
      method: 'volume-create',
      params: expect.objectContaining({
        name: 'db',
        universe: 0,
        sizeBytes: 20 * 1024 ** 3,
        clients: ['venus'],
        pool: null,
        request: 'id-1',
      }) as unknown,
    },
  ]);
  expect(walker.words()).toContain('db@0 created in pool fast, 20.0G, for venus');
  expect(walker.words()).toContain('Volume db@0');
});

test('several clients are marked with the space bar, and all of them with one line', async () => {
  const walker = await ServerWalker.start(serverWith());
  await walker.press('enter', { text: 'db' }, 'tab', { text: '20g' }, 'tab', 'choose', { text: ' ' }, 'down', { text: ' ' });
  expect(walker.screen()).toContain('> [x] venus');
  await walker.press('enter');
  expect(walker.words()).toContain('[big-2,venus ');
  await walker.press('choose', 'up', { text: ' ' }, 'enter', 'save');
  expect(walker.calls[0]?.params).toMatchObject({ clients: null });
});

test('a volume over several pools names them with commas', async () => {
  const walker = await ServerWalker.start(serverWith());
  await walker.press('enter', { text: 'db' }, 'tab', { text: '20g' }, 'tab', 'tab', { text: 'fast,slow' }, 'save');
  expect(walker.calls[0]?.params).toMatchObject({ pool: null, pools: ['fast', 'slow'], chunkBytes: null });
});

test('a stripe needs several pools', async () => {
  const walker = await ServerWalker.start(serverWith());
  await walker.press('enter', { text: 'db' }, 'tab', { text: '20g' });
  await walker.press('pagedown', 'up', 'up', 'pagedown', 'tab', 'tab', 'enter', { text: '64k' }, 'save');
  expect(walker.words()).toContain('! A stripe needs several pools');
  expect(walker.calls).toEqual([]);
});

test('an unknown client is added on request, and its key is shown with the command for the client', async () => {
  const walker = await ServerWalker.start(serverWith());
  await walker.press('enter', { text: 'db@1' }, 'tab', { text: '1g' }, 'tab', { text: 'mars' }, 'save');
  expect(walker.question()).toBe('mars: not listed in [clients] of /etc/dvsc/rssrvcfg');
  expect(walker.calls).toEqual([]);
  await walker.press('enter');
  expect(walker.calls.map(({ method }) => method)).toEqual(['volume-create', 'reload']);
  expect(walker.file()).toBe(`${SERVER_TEXT}mars kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\n`);
  expect(walker.question()).toContain('rsconfig join 10.0.0.9 --name mars --key-file -');
  expect(walker.question()).toContain('\n  kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\n');
  await walker.press('enter');
  expect(walker.screen()).not.toContain('kkkk');
});

test('a client that cannot be added does not hide that the volume was created', async () => {
  const walker = await ServerWalker.start(serverWith());
  (walker.world.daemon as ReturnType<typeof answers>)['config-check'] = () => {
    throw new RsError('E_CONFIG', 'Too many clients: remove one');
  };
  await walker.press('enter', { text: 'db' }, 'tab', { text: '1g' }, 'tab', { text: 'mars' }, 'save', 'enter');
  expect(walker.question()).toContain('The volume was created, but client mars was not added: Too many clients: remove one [E_CONFIG]');
});

test('a wrong value is marked in its field, and nothing is sent', async () => {
  const walker = await ServerWalker.start(serverWith());
  await walker.press('enter', { text: 'd b' }, 'tab', { text: '20' }, 'save');
  expect(walker.words()).toContain('! Wrong value for name: allowed is 1 to 63');
  expect(walker.calls).toEqual([]);
});

test('a refusal is shown whole, and the form stays for a correction', async () => {
  const walker = await ServerWalker.start({
    daemon: answers({
      'pool-list': () => ({ pools: [pool()] }),
      'client-list': () => ({ clients: CLIENTS }),
      'volume-create': () => {
        throw new RsError(
          'E_VOLUME',
          'Pool fast promises 20.0G of 20.0G, asked for 20.0G: raise its limit with an editor, then run rsadm reload',
        );
      },
    }),
  });
  await walker.press('enter', { text: 'db' }, 'tab', { text: '20g' }, 'save');
  expect(walker.question()).toBe(
    'Creating volume db@0: Pool fast promises 20.0G of 20.0G, asked for 20.0G: raise its limit with an editor, then run rsadm reload [E_VOLUME]',
  );
  await walker.press('escape');
  expect(walker.words()).toContain('name * [db ');
});

test('while rssrv is silent, keys work, the title line counts the time, and an order is not sent twice', async () => {
  const walker = await ServerWalker.start(serverWith());
  await walker.press('enter', { text: 'db' }, 'tab', { text: '20g' });
  walker.world.daemon = 'silent';
  await walker.press('save');
  await walker.pass(5_000);
  expect(walker.screen().split('\n')[0]).toMatch(/Creating volume db@0 \.\.\. [45] s$/);
  await walker.press('save');
  expect(walker.words()).toContain('Creating volume db@0: rssrv has not answered yet');
  expect(walker.calls).toHaveLength(1);
  await walker.press('escape', 'down', 'enter', 'escape', 'down', 'enter');
  expect(walker.words()).toContain('0 volumes');
  await walker.press('leave');
  expect(walker.question()).toBe('In progress: Creating volume db@0. rssrv continues without crsio');
  await walker.choose('Leave');
  expect(walker.hasLeft).toBe(true);
});

test('a silent server is asked only once, and the limit is shown', async () => {
  const walker = await ServerWalker.start({ daemon: 'silent' });
  await walker.pass(6_000);
  expect(walker.screen().split('\n')[0]).toMatch(/asking rssrv \.\.\. [56] s, at most 10 s$/);
});

test('a server that is not running shows its file and how to start it', async () => {
  const walker = await ServerWalker.start({ daemon: null });
  expect(walker.words()).toContain('! rssrv is not running on this machine Start it with: rssrv');
  await walker.choose('Volumes');
  expect(walker.words()).toContain('1 entry in the file tvol1@0 1.0G memory');
  walker.world.daemon = answers();
  await walker.pass(4_000);
  expect(walker.words()).not.toContain('not running');
});

test('an answer that stays out does not remove what rssrv said before', async () => {
  const walker = await ServerWalker.start(serverWith(volume()));
  walker.world.daemon = answers({
    daemon: () => {
      throw new RsError('E_TIMEOUT', 'rssrv did not answer daemon within 10 s');
    },
  });
  await walker.choose('Volumes');
  await walker.pass(5_000);
  expect(walker.words()).toMatch(/! rssrv did not answer daemon within 10 s \[E_TIMEOUT\] Below is what it said [45] s ago/);
  expect(walker.words()).toContain('oracle@0');
});

test('a reader without rights to the file sees what rssrv says, and a change is refused with a clear word', async () => {
  const denied = new RsError('E_RIGHTS', 'Members of the control group may only read: run rsadm as root');
  const walker = await ServerWalker.start({
    file: new RsError('E_RIGHTS', 'No permission to read /etc/dvsc/rssrvcfg: run as root or as the owner of the file'),
    daemon: answers({
      'volume-list': () => ({ volumes: [volume()], removed: [] }),
      'volume-remove': () => {
        throw denied;
      },
    }),
  });
  expect(walker.words()).toContain('No permission to read /etc/dvsc/rssrvcfg');
  await walker.choose('Volumes');
  expect(walker.words()).toContain('oracle@0');
  await walker.press('remove');
  await walker.choose('Remove volume oracle@0');
  expect(walker.question()).toContain('Members of the control group may only read');
});

test('a volume is removed only with consent', async () => {
  const walker = await ServerWalker.start(serverWith(volume()));
  await walker.choose('Volumes');
  await walker.press('remove');
  expect(walker.question()).toBe('Remove volume oracle@0, 20.0G, from pool fast? It can be restored for a day');
  await walker.press('enter');
  expect(walker.calls).toEqual([]);
  await walker.press('remove');
  await walker.choose('Remove volume oracle@0');
  expect(walker.calls).toEqual([{ method: 'volume-remove', params: { name: 'oracle', universe: 0, request: 'id-1' } }]);
  expect(walker.words()).toContain('oracle@0 removed; until');
});

test('settings of a volume change from its page', async () => {
  const walker = await ServerWalker.start(serverWith(volume({ clients: ['big-2', 'gone'] })));
  await walker.choose('Volumes');
  await walker.press('enter');
  await walker.choose('Choose its clients');
  expect(walker.screen()).toContain('[x] gone   not in [clients]');
  await walker.press('down', { text: ' ' }, 'enter');
  expect(walker.calls.at(-1)?.params).toMatchObject({ settings: ['clients=big-2,venus,gone'] });
  await walker.choose('Make read-only');
  expect(walker.calls.at(-1)?.params).toMatchObject({ settings: ['readonly=yes'] });
  await walker.choose('Take-over');
  await walker.press('cut-before', { text: 'venus' }, 'save');
  expect(walker.calls.at(-1)?.params).toMatchObject({ settings: ['take-over=venus', 'take-over-force=no'] });
});

test('ten thousand volumes: typed text finds one, and the focus stays on its volume when the list changes', async () => {
  const volumes = Array.from({ length: 10_000 }, (_, index) => volume({ name: `v${String(index).padStart(5, '0')}` }));
  const walker = await ServerWalker.start(serverWith(...volumes));
  await walker.choose('Volumes');
  await walker.press('end', 'up');
  expect(walker.marked()).toContain('v09999@0');
  await walker.press({ text: '04321' });
  expect(walker.words()).toContain('Volumes: 1 of 10000 volumes');
  expect(walker.marked()).toContain('v04321@0');
  await walker.press('escape', 'down', 'down');
  expect(walker.marked()).toContain('v00002@0');
  walker.world.daemon = answers({ 'volume-list': () => ({ volumes: volumes.slice(1), removed: [] }) });
  await walker.pass(60_000);
  expect(walker.words()).toContain('Volumes: 9999 volumes');
  expect(walker.marked()).toContain('v00002@0');
});

test('a removed volume is restored from the list of removed ones', async () => {
  const walker = await ServerWalker.start({
    daemon: answers({
      'volume-list': () => ({ volumes: [], removed: [removedVolume({ untilMs: Date.UTC(2010, 8, 14, 16, 2, 32) })] }),
      'volume-restore': () => ({ volume: volume() }),
    }),
  });
  await walker.choose('Volumes');
  await walker.press('action');
  await walker.choose('Removed volumes (1)');
  expect(walker.marked()).toMatch(/oracle@0 +20\.0G +fast +1h 0m +an administrator/);
  await walker.press('enter');
  expect(walker.calls).toEqual([{ method: 'volume-restore', params: { name: 'oracle', universe: 0, request: 'id-1' } }]);
});

test('wide and hostile names keep the columns, and no control character passes', async () => {
  const walker = await ServerWalker.start(
    serverWith(volume({ name: '日本\u001b[31m\n' }), volume({ name: 'b', holders: [{ node: '名\u202e', address: 'x', sinceMs: 0 }] })),
  );
  await walker.choose('Volumes');
  const screen = walker.screen();
  expect(screen).toContain('\\x1b[31m\\n@0');
  expect(screen).toContain('\\u202e');
  expect(walker.rows().every((runs) => !/[\p{Cc}\u202e]/u.test(runs.map(({ text }) => text).join('')))).toBe(true);
  const at = (text: string): number =>
    (screen.split('\n').find((line) => line.includes(text)) ?? '').replaceAll(/[日本名]/g, 'xx').indexOf('20.0G');
  expect(at('b@0')).toBe(at('31m'));
});

test('states have signs and colours', async () => {
  const walker = await ServerWalker.start(
    serverWith(
      volume({ name: 'a', holders: [{ node: 'big-2', address: 'x', sinceMs: 0 }] }),
      volume({ name: 'b', state: 'unavailable', reason: 'gone' }),
    ),
  );
  await walker.choose('Volumes');
  await walker.press('end');
  const styled = walker.rows().flatMap((runs) => runs.filter(({ style }) => style === 'ok' || style === 'problem'));
  expect(styled).toEqual([
    { style: 'ok', text: '+' },
    { style: 'problem', text: expect.stringMatching(/^ +! b@0 .* unavailable: gone +$/) as unknown },
  ]);
});

test('Esc in the menu leads to the start page if there is one, otherwise nowhere', async () => {
  const alone = await ServerWalker.start();
  await alone.press('escape');
  expect([alone.atStart, alone.hasLeft]).toEqual([false, false]);
  const both = await ServerWalker.start({ hasStart: true });
  await both.press('escape');
  expect(both.atStart).toBe(true);
});

test('an edited form asks before it closes', async () => {
  const walker = await ServerWalker.start(serverWith());
  await walker.press('enter', { text: 'x' }, 'leave');
  expect(walker.question()).toBe('The form has entries that are not applied');
  await walker.choose('Discard');
  expect(walker.words()).toContain('RSIO server big-9');
});
