// Tests the edits of rssrvcfg by rsadm: the changed lines, the requests to rssrv before and after an edit, and that a refused change leaves
// the file unchanged. rssrv is a fake.

import { chmodSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { RsError } from '@rsio/base/lib/errors';
import { pool, volume } from '@rsio/api/testing/server-views';
import { describe, expect, test } from 'vitest';
import { CONFIG, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();

describe('edits of rssrvcfg', () => {
  test('client add prints the key alone on stdout, and adds the line', async () => {
    await scene.serve({ reload: () => ({ applied: ['client mars is added'] }) });
    const { code, out, err } = await scene.run(['client', 'add', 'mars', '--rights', 'manage pool=fast limit=5g']);
    expect({ code, err }).toEqual({ code: 0, err: 'rsadm: client mars is added\n' });
    expect(out).toMatch(/^[2-9a-z]{32}\n$/);
    expect(scene.config()).toBe(`${CONFIG}\nmars ${out.trim()}\n\n[rights]\nmars manage pool=fast limit=5g`);
    expect(statSync(scene.configFile).mode & 0o777).toBe(0o600);
    expect(scene.asked).toEqual([
      ['config-check', { text: scene.config() }],
      ['reload', {}],
    ]);
  });

  test('client add --json prints name and key', async () => {
    await scene.serve();
    const { code, out } = await scene.run(['client', 'add', 'mars', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ name: 'mars', key: expect.stringMatching(/^[2-9a-z]{32}$/) });
  });

  test('client add --key-file takes the key that the client has, and prints none', async () => {
    await scene.serve();
    const file = `${scene.configFile}.key`;
    writeFileSync(file, '23456789abcdefghjkmnpqrstuvwyz23\n');
    expect(await scene.run(['client', 'add', 'mars', '--key-file', file])).toEqual({ code: 0, out: '', err: 'rsadm: pool x is added\n' });
    expect(scene.config()).toContain('\nmars 23456789abcdefghjkmnpqrstuvwyz23');
    expect(JSON.parse((await scene.run(['client', 'add', 'venus', '--key-file', file, '--json'])).out)).toEqual({
      name: 'venus',
      key: null,
    });
    const before = scene.config();
    for (const [content, code] of [
      ['', 'E_USAGE'],
      ['a\nb\n', 'E_USAGE'],
      ['zu kurz', 'E_'],
    ] as const) {
      writeFileSync(file, content);
      const refused = await scene.run(['client', 'add', 'pluto', '--key-file', file]);
      expect(refused.err).toContain(code);
      expect(refused.code).not.toBe(0);
    }
    expect((await scene.run(['client', 'add', 'pluto', '--key-file', `${file}.none`])).err).toContain('E_SYSTEM');
    expect(scene.config()).toBe(before);
  });

  test('client rights and client remove change only the lines of the client', async () => {
    await scene.serve();
    expect(await scene.run(['client', 'rights', 'big-2', 'manage', 'pool=fast'])).toEqual({ code: 0, out: 'pool x is added\n', err: '' });
    expect(scene.config()).toBe(`${CONFIG}\n\n[rights]\nbig-2 manage pool=fast`);
    expect((await scene.run(['client', 'remove', 'big-2', '--force'])).code).toBe(0);
    expect(scene.config()).not.toContain('big-2');
    expect(scene.config()).toContain('# the disks\npath = /srv/fast\n');
  });

  test('pool add prepares the directory, adds the section and reports the pool', async () => {
    await scene.serve({
      'pool-make': () => ({ isNew: false, volumes: 3 }),
      'pool-list': () => ({ pools: [pool(), pool({ name: 'slow', path: '/srv/slow' })] }),
    });
    const out = 'pool x is added\n/srv/slow already was a pool, with 3 volumes\n';
    expect(await scene.run(['pool', 'add', 'slow', '/srv/slow', '--limit', '5t', '--overcommit', 'refuse', '--reserve', '10%'])).toEqual({
      code: 0,
      out,
      err: '',
    });
    expect(scene.asked).toEqual([
      ['pool-make', { path: '/srv/slow', noHolders: false }],
      ['config-check', { text: scene.config() }],
      ['reload', {}],
      ['pool-list', {}],
    ]);
    expect(scene.config()).toBe(
      CONFIG.replace('/srv/fast\n', '/srv/fast\n\n[pool slow]\npath = /srv/slow\nlimit = 5t\novercommit = refuse\nreserve = 10%\n'),
    );
  });

  test('pool add of a pool without reflink says what its volumes cannot have', async () => {
    await scene.serve({ 'pool-list': () => ({ pools: [pool({ name: 'slow', reflink: false })] }) });
    const { code, err } = await scene.run(['pool', 'add', 'slow', '/srv/slow']);
    expect([code, err]).toEqual([
      0,
      expect.stringMatching(/^rsadm: Pool slow has no reflink, so that its volumes have no snapshots.*mkfs\.xfs -m reflink=1/),
    ]);
  });

  test('pool add of a pool that then cannot be used says why, exit code 1', async () => {
    await scene.serve({
      'pool-list': () => ({ pools: [pool({ name: 'slow', state: 'unavailable', reason: 'it is locked: stop the other' })] }),
    });
    const { code, err } = await scene.run(['pool', 'add', 'slow', '/srv/slow']);
    expect({ code, err }).toEqual({ code: 1, err: 'rsadm: Pool slow cannot be used: it is locked: stop the other\n' });
  });

  test.each<[string[], string]>([
    [['fast', '/srv/slow'], 'Pool fast exists, in line 11: choose another name, or give that pool up first (rsadm pool remove fast)'],
    [['a b', '/srv/slow'], 'Wrong pool name "a b": allowed is 1 to 63'],
    [['slow', '/srv/fast/'], 'ROOT/etc/dvsc/rssrvcfg was not changed: Duplicate pool path "/srv/fast/" (first in line 13)'],
    [['slow', '/srv/slow', '--limit', '5x'], 'ROOT/etc/dvsc/rssrvcfg was not changed: Wrong value "5x" for limit: allowed is'],
    [['slow', '/srv/slow', '--reserve', '5'], 'ROOT/etc/dvsc/rssrvcfg was not changed: Wrong value "5" for reserve: allowed is'],
    [['slow', '/srv/a\nb'], 'Wrong value for "path": allowed is text without line breaks'],
  ])('pool add %j is refused before the directory is prepared', async (words, message) => {
    await scene.serve();
    const { code, out, err } = await scene.run(['pool', 'add', ...words]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`rsadm: ${message}`);
    expect(err).toMatch(/^[^\n]* \[E_CONFIG\]\n$/);
    expect(scene.asked).toEqual([]);
    expect(scene.config()).toBe(CONFIG);
  });

  test.each<[string[], string]>([
    [['add', 'big-2'], 'Client big-2 exists, in line 16: choose another name, or remove it first'],
    [['add', 'a b'], 'Wrong client name "a b"'],
    [['add', 'mars', '--rights', 'bogus'], 'ROOT/etc/dvsc/rssrvcfg was not changed: Client mars in [rights] has the right "bogus"'],
    [['add', 'mars', '--rights', ''], 'ROOT/etc/dvsc/rssrvcfg was not changed: Client mars in [rights] has the right ""'],
    [['add', 'mars', '--rights', 'use\nbig-2 admin'], 'Wrong rights "use\\nbig-2 admin" of client mars: give them in one line'],
    [['rights', 'mars', 'admin'], 'No client "mars" in [clients]: rsadm client list shows the clients'],
    [
      ['rights', 'big-2', 'manage', 'pool=nosuch'],
      'ROOT/etc/dvsc/rssrvcfg was not changed: Client big-2 in [rights] may use pool "nosuch"',
    ],
    [['remove', 'mars'], 'No client "mars" in [clients]: rsadm client list shows the clients'],
  ])('client %j is refused, and nothing is changed', async (words, message) => {
    await scene.serve();
    const { code, out, err } = await scene.run(['client', ...words]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`rsadm: ${message}`);
    expect(err).toMatch(/^[^\n]* \[E_CONFIG\]\n$/);
    expect(scene.asked).toEqual([]);
    expect(scene.config()).toBe(CONFIG);
  });

  test.each(['\n', '\r\n'])('if rssrv refuses the file, it is restored byte for byte (line ends %j)', async (end) => {
    const before = CONFIG.replaceAll('\n', end);
    writeFileSync(scene.configFile, before);
    chmodSync(scene.configFile, 0o640);
    const seen: string[] = [];
    await scene.serve({
      reload: () => {
        seen.push(scene.config());
        throw new RsError('E_CONFIG', 'Interface if1 cannot be opened: check its address');
      },
    });
    for (const argv of [
      ['client', 'add', 'mars'],
      ['client', 'rights', 'big-2', 'admin'],
      ['client', 'remove', 'big-2', '--force'],
      ['pool', 'add', 'slow', '/srv/slow'],
    ]) {
      const err = 'rsadm: Interface if1 cannot be opened: check its address [E_CONFIG]\n';
      expect(await scene.run(argv)).toEqual({ code: 1, out: '', err });
      expect(scene.config()).toBe(before);
      expect(statSync(scene.configFile).mode & 0o777).toBe(0o640);
    }
    expect(seen.filter((text) => text === before)).toEqual([]);
    expect(seen).toHaveLength(4);
  });

  test('if another program changes the file meanwhile, the refusal says that it cannot be put back', async () => {
    await scene.serve({
      reload: () => {
        writeFileSync(scene.configFile, '# of somebody else\n');
        throw new RsError('E_CONFIG', 'Interface if1 cannot be opened: check its address');
      },
    });
    const { code, out, err } = await scene.run(['client', 'remove', 'big-2', '--force']);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe(
      'rsadm: Interface if1 cannot be opened: check its address; the change stays in ROOT/etc/dvsc/rssrvcfg, which cannot be put back ' +
        '(ROOT/etc/dvsc/rssrvcfg was changed by another program meanwhile: check the file and try again) [E_CONFIG]\n',
    );
    expect(scene.config()).toBe('# of somebody else\n');
  });

  test('if rssrv ends during the reload, the file is restored, and a sentence says what rssrv uses', async () => {
    await scene.serve({ reload: () => new Promise(() => undefined) });
    const running = scene.run(['client', 'remove', 'big-2', '--force']);
    await expect.poll(() => scene.asked.map(([method]) => method), { timeout: 5_000, interval: 2 }).toContain('reload');
    await scene.daemon?.close();
    const { code, err } = await running;
    expect(code).toBe(1);
    expect(err).toContain(
      'rsadm: ROOT/etc/dvsc/rssrvcfg is as it was before: when rssrv answers again, rsadm reload makes it use the file\n',
    );
    expect(err).toMatch(/\[E_RESET\]\n$/);
    expect(scene.config()).toBe(CONFIG);
  });

  test('a change without effect is said', async () => {
    await scene.serve({ reload: () => ({ applied: [] }) });
    const err = 'rsadm: rssrv works as before: the change has no effect\n';
    expect(await scene.run(['client', 'rights', 'big-2', 'use'])).toEqual({ code: 0, out: '', err });
  });

  test('without rssrv, clients are changed in the file, and rssrv reads it when it starts', async () => {
    const err = 'rsadm: rssrv is not running: it reads the file when it starts\n';
    const added = await scene.run(['client', 'add', 'mars']);
    expect({ code: added.code, err: added.err }).toEqual({ code: 0, err });
    expect(scene.config()).toBe(`${CONFIG}\nmars ${added.out.trim()}`);
    expect(await scene.run(['client', 'remove', 'mars'])).toEqual({ code: 0, out: '', err });
    expect(scene.config()).toBe(CONFIG);
  });

  test('a client is renamed by rssrv, in the pools and in the file', async () => {
    await scene.serve();
    const out = 'client big-2 is mars now: 2 volumes and 1 snapshot of pools named it\n';
    expect(await scene.run(['client', 'rename', 'big-2', 'mars'])).toEqual({ code: 0, out, err: '' });
    expect(scene.asked).toEqual([['client-rename', { name: 'big-2', to: 'mars', file: true, plan: false }]]);
    expect(scene.config()).toBe(CONFIG);
  });

  test('a broken file is not edited', async () => {
    await scene.serve();
    writeFileSync(scene.configFile, `${CONFIG}\n[server two]\nserverid = 2\n`);
    const err =
      'rsadm: ROOT/etc/dvsc/rssrvcfg:17: Second section [server two] (first in line 5): allowed is one [server NAME] [E_CONFIG]\n';
    for (const argv of [
      ['client', 'add', 'mars'],
      ['pool', 'add', 'slow', '/srv/slow'],
    ])
      expect(await scene.run(argv)).toEqual({ code: 1, out: '', err });
    expect(scene.asked).toEqual([]);
  });

  test('a missing file is not made', async () => {
    await scene.serve();
    rmSync(scene.configFile);
    const err = 'rsadm: No configuration file ROOT/etc/dvsc/rssrvcfg: rsadm init makes one [E_NO_CONFIG]\n';
    expect(await scene.run(['client', 'add', 'mars'])).toEqual({ code: 1, out: '', err });
    expect(scene.asked).toEqual([]);
  });

  test('what rssrv refuses when it examines the text never reaches the file', async () => {
    const message = 'Interface if1 (10.0.0.9:5000) cannot be closed: clients use it';
    const seen: string[] = [];
    await scene.serve({
      'config-check': ({ text }) => {
        seen.push(text);
        expect(scene.config(), 'the file is untouched while rssrv examines the text').toBe(CONFIG);
        throw new RsError('E_CONFIG', message);
      },
    });
    for (const argv of [
      ['client', 'add', 'mars'],
      ['client', 'remove', 'big-2', '--force'],
      ['pool', 'add', 'slow', '/srv/slow'],
      ['pool', 'set', 'fast', 'limit=2t'],
      ['pool', 'remove', 'fast', '--force'],
      ['interface', 'add', 'if2', '10.0.1.9'],
      ['namespace', 'set', 'port=5001'],
    ]) {
      expect(await scene.run(argv)).toEqual({ code: 1, out: '', err: `rsadm: ${message} [E_CONFIG]\n` });
      expect(scene.config()).toBe(CONFIG);
    }
    expect(seen).toHaveLength(7);
    expect(scene.asked.filter(([method]) => method === 'reload')).toEqual([]);
  });
});

describe('interfaces', () => {
  test('add puts the section below the others, and says if the server does not listen yet', async () => {
    const interfaces = [{ name: 'if2', address: '10.0.1.9', port: 5001, state: 'waiting', reason: 'no such address' }] as const;
    await scene.serve({ 'interface-list': () => ({ interfaces }) });
    expect(await scene.run(['interface', 'add', 'if2', '10.0.1.9', '--port', '5001'])).toEqual({
      code: 0,
      out: 'pool x is added\n',
      err: 'rsadm: Interface if2 does not listen yet: no such address\n',
    });
    expect(scene.config()).toBe(CONFIG.replace('10.0.0.9\n', '10.0.0.9\n\n[interface if2]\naddress = 10.0.1.9\nport    = 5001\n'));
  });

  test('remove takes out the section, and the last one stays', async () => {
    await scene.serve();
    await scene.run(['interface', 'add', 'if2', '10.0.1.9']);
    expect((await scene.run(['interface', 'remove', 'if2'])).code).toBe(0);
    expect(scene.config()).toBe(CONFIG);
    expect((await scene.run(['interface', 'remove', 'if1'])).err).toContain('was not changed: No section [interface NAME]');
    expect((await scene.run(['interface', 'remove', 'if9'])).err).toContain('No section [interface if9] in the file: there are if1');
    expect(scene.config()).toBe(CONFIG);
  });

  test('list without rssrv shows the file', async () => {
    expect(await scene.run(['interface', 'list'])).toEqual({
      code: 0,
      out: 'INTERFACE  ADDRESS   PORT  STATE\nif1        10.0.0.9  5000  off\n',
      err: 'rsadm: rssrv is not running: the interfaces are those of ROOT/etc/dvsc/rssrvcfg\n',
    });
  });
});

describe('pools and the namespace', () => {
  test('pool set changes and removes keys of its section only', async () => {
    await scene.serve();
    expect((await scene.run(['pool', 'set', 'fast', 'limit=2t', 'reserve=10%'])).code).toBe(0);
    expect(scene.config()).toBe(CONFIG.replace('/srv/fast\n', '/srv/fast\nlimit = 2t\nreserve = 10%\n'));
    expect((await scene.run(['pool', 'set', 'fast', 'limit=', 'reserve='])).code).toBe(0);
    expect(scene.config()).toBe(CONFIG);
    expect((await scene.run(['pool', 'set', 'fast', 'limt=2t'])).err).toContain(
      'No key "limt" in [pool]: allowed are path, limit, overcommit, reserve',
    );
    expect((await scene.run(['pool', 'set', 'slow', 'limit=2t'])).err).toContain('No section [pool slow] in the file: there are fast');
  });

  test('pool remove says where the volumes are', async () => {
    await scene.serve({ reload: () => ({ applied: ['pool fast is closed'] }), 'replication-list': () => ({ replications: [] }) });
    const out = 'pool fast is closed\nThe volumes stay in /srv/fast; rsadm pool add fast /srv/fast brings them back\n';
    expect(await scene.run(['pool', 'remove', 'fast'])).toEqual({ code: 0, out, err: '' });
    expect(scene.config()).not.toContain('pool');
  });

  test('pool remove names what needs the volumes of the pool, and changes nothing', async () => {
    const image = { name: 'oracle', universe: 0, state: 'present' as const, momentMs: 0, clients: null };
    const others = [volume({ name: 'copy', pool: 'slow', image }), volume({ name: 'other', pool: 'slow', mirror: 'm' })];
    await scene.serve({
      'volume-list': () => ({ volumes: [volume({ mirror: 'm' }), ...others], removed: [] }),
      reload: () => ({ applied: ['pool fast is closed'] }),
    });
    const before = scene.config();
    expect(await scene.run(['pool', 'remove', 'fast'])).toEqual({
      code: 1,
      out: '',
      err:
        'rsadm: Pool fast is in use: oracle@0 is a replica of a mirror, copy@0 is an image of oracle@0, oracle@0 is replicated to big-8: ' +
        'end that first, or give --force: its volumes stay on disk [E_IN_USE]\n',
    });
    expect(scene.config()).toBe(before);
    expect((await scene.run(['pool', 'remove', 'fast', '--force'])).code).toBe(0);
  });

  test('pool remove of a shared pool names its disk, because its directory alone would become another pool', async () => {
    await scene.serve({ reload: () => ({ applied: [] }) });
    const set = ['disk=/dev/sdb', 'fence=command:/sbin/off -f', 'owners=big-9, big-8'];
    writeFileSync(scene.configFile, CONFIG.replace('/srv/fast\n', `/srv/fast\n${set.join('\n').replaceAll('=', ' = ')}\n`));
    const { out } = await scene.run(['pool', 'remove', 'fast', '--force']);
    const options = `--disk /dev/sdb --fence 'command:/sbin/off -f' --owners 'big-9, big-8'`;
    expect(out).toBe(`The volumes stay on /dev/sdb; rsadm pool add fast /srv/fast ${options} brings them back\n`);
  });

  test('namespace set tls=require names every client whose key is too short, and changes nothing', async () => {
    await scene.serve();
    const before = scene.config().replace(/^big-2 \S+$/m, 'big-2 0xbig2');
    expect(before).toContain('big-2 0xbig2');
    writeFileSync(scene.configFile, before);
    const { code, out, err } = await scene.run(['namespace', 'set', 'tls=require']);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/Short key of client \S+ with tls = require \(line \d+\): .* rsadm client rekey \S+ changes it while tls is allow/);
    expect(scene.config()).toBe(before);
    expect((await scene.run(['namespace', 'set', 'tls=off'])).code).toBe(0);
    expect((await scene.run(['namespace', 'show'])).out).toContain('tls:          off');
  });

  test('namespace show and set, the key from a file, and no key is printed', async () => {
    await scene.serve();
    const show =
      'namespace osl\n    namespaceid:  200\n    port:         5000\n    explore:      yes\n    tls:          allow\n    tenants:      no\n    namespacekey: not set\n';
    expect(await scene.run(['namespace', 'show'])).toEqual({ code: 0, out: show, err: '' });
    const file = `${scene.root}/key`;
    writeFileSync(file, 'x2bqehhz57cbs2vh8e9vvyhue9sfr8eb\n');
    const set = await scene.run(['namespace', 'set', 'port=5001', 'explore=signed', '--namespacekey-file', file]);
    expect(set.code).toBe(0);
    expect((await scene.run(['namespace', 'show'])).out).toBe(
      show.replace('5000', '5001').replace('yes', 'signed').replace('not set', 'set'),
    );
    expect(JSON.parse((await scene.run(['namespace', 'show', '--json'])).out)).toEqual({
      name: 'osl',
      namespaceid: 200,
      port: 5001,
      explore: 'signed',
      tls: 'allow',
      tenants: false,
      hasKey: true,
    });
    expect((await scene.run(['namespace', 'set', 'port='])).code).toBe(0);
    expect(scene.config()).not.toContain('port');
    expect((await scene.run(['namespace', 'set', 'namespacekey='])).err).toContain('explore = signed without a namespacekey');
  });
});
