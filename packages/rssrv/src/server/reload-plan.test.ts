// Tests the plan for a changed rssrvcfg. The tests parse real configuration texts, so that they also show that parser and plan agree.
// test/integration tests that a plan is applied.

import { describe, expect, test } from 'vitest';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { type ReloadPlan, type ReloadRefusal, reloadPlan } from './reload-plan.ts';
import type { VolumeStanding } from '../volumes/volume-plan.ts';

const FILE = `[namespace osl]
namespaceid = 200
port = 5000
namespacekey = 0xa-key-of-the-namespace
[server big-9]
serverid = 1
serverkey = 0xa-key-of-the-server
[interface if1]
address = 192.168.45.10
[interface if2]
address = fd00::10
[volume oracle]
path = /storage/oracle.img
size = 15g
[volume tvol1]
type = memory
size = 1m
clients = venus
[clients]
big-2 0xbig2-secret-of-the-lab
venus 0xvenus-secret-of-the-lab
`;

/** The status of a volume that is served and that no client has open. */
const unused = ({ sizeBytes }: ServerVolumeConfig): VolumeStanding => ({ sizeBytes, users: [] });

function plan(...edits: readonly (readonly [string, string])[]): ReloadPlan | ReloadRefusal {
  let text = FILE;
  for (const [from, to] of edits) {
    if (!text.includes(from)) throw new Error(`The file has no ${from}`);
    text = text.replace(from, to);
  }
  return reloadPlan(parseRssrvConfig(FILE, 'rssrvcfg'), parseRssrvConfig(text, 'rssrvcfg'), unused);
}

function applied(...edits: readonly (readonly [string, string])[]): ReloadPlan {
  const result = plan(...edits);
  if (result.kind === 'refuse') throw new Error(result.sentences.join());
  return result;
}

const NEW_INTERFACE = ['[volume oracle]', '[interface if3]\naddress = 192.168.47.10\n[volume oracle]'] as const;

describe('applied', () => {
  test.each([
    ['nothing', [['osl', 'osl']]],
    ['another spelling of an address', [['fd00::10', 'fd00:0:0::10']]],
    ['comments and blank lines', [['[volume oracle]', '# by Ann\n\n[volume oracle]']]],
    [
      'the order of volumes',
      [
        ['[volume oracle]\npath = /storage/oracle.img\nsize = 15g\n', ''],
        ['[clients]', '[volume oracle]\npath = /storage/oracle.img\nsize = 15g\n[clients]'],
      ],
    ],
  ] as const)('%s changes no socket, client or setting', (_what, edits) => {
    const { opened, closed, removedClients } = applied(...edits);
    expect({ opened, closed, removedClients }).toEqual({ opened: [], closed: [], removedClients: [] });
  });

  test('an unchanged file is reported as no change', () => {
    const { volumes, ...plan } = applied(['osl', 'osl']);
    expect(volumes).toMatchObject({ added: [], retried: [], removed: [] });
    expect(plan).toEqual({
      kind: 'apply',
      opened: [],
      closed: [],
      isListChanged: false,
      removedClients: [],
      droppedKeys: [],
      endsPlainPaths: false,
      changes: [],
      isAudited: false,
      newWarnings: [],
    });
  });

  test('a new interface is opened, in a new list', () => {
    const { opened, closed, isListChanged, changes } = applied(NEW_INTERFACE);
    expect(opened).toEqual([{ name: 'if3', address: '192.168.47.10', prefixLength: null, port: 5000 }]);
    expect({ closed, isListChanged, changes }).toEqual({
      closed: [],
      isListChanged: true,
      changes: ['interface if3 (192.168.47.10:5000) was added'],
    });
  });

  test('a changed address closes one socket and opens another; so does a changed port for all', () => {
    const moved = applied(['192.168.45.10', '192.168.45.11']);
    expect(moved.changes).toEqual(['interface if1 (192.168.45.10:5000) is closed', 'interface if1 (192.168.45.11:5000) was added']);
    const ported = applied(['port = 5000', 'port = 6000']);
    expect(ported.opened.map(({ port }) => port)).toEqual([6000, 6000]);
    expect(ported.closed.map(({ port }) => port)).toEqual([5000, 5000]);
    expect(ported.changes).toContain('exploration is answered on port 6000');
  });

  test('a renamed interface keeps its socket, in a new list', () => {
    const { opened, closed, isListChanged, changes } = applied(['interface if1', 'interface lan1']);
    expect({ opened, closed, isListChanged }).toEqual({ opened: [], closed: [], isListChanged: true });
    expect(changes).toEqual(['names or order of the interfaces changed']);
  });

  test('other rights are said of a client that stays, not of one that is added, removed or unknown', () => {
    const rights = (lines: string): readonly [string, string] => ['[clients]', `[rights]\n${lines}\n[clients]`];
    expect(applied(rights('venus admin')).changes).toEqual(['client venus has other rights', 'a forced take-over needs the right admin']);
    const others = applied(rights('mars admin\nnobody admin'), ['venus 0xvenus', 'mars 0xvenus-2']);
    expect(others.changes.filter((change) => change.startsWith('client '))).toEqual([
      'client venus is removed: its session ends, its holds stay',
      'client mars is added',
    ]);
  });

  test('a section [rights], even an empty one, changes what a forced take-over needs, in both directions', () => {
    const [without, empty] = [parseRssrvConfig(FILE, 'rssrvcfg'), parseRssrvConfig(`${FILE}\n[rights]\n`, 'rssrvcfg')];
    expect(reloadPlan(without, empty, unused)).toMatchObject({ changes: ['a forced take-over needs the right admin'] });
    expect(reloadPlan(empty, without, unused)).toMatchObject({ changes: ['a forced take-over no longer needs the right admin'] });
  });

  test('triggers that are added, changed and removed are named, and one that is only elsewhere in the file is not', () => {
    const both = '[trigger a]\non = event\nrun = /bin/true\n[trigger b]\non = event\nrun = /bin/true\n';
    const [without, before] = [parseRssrvConfig(FILE, 'rssrvcfg'), parseRssrvConfig(FILE + both, 'rssrvcfg')];
    expect(reloadPlan(without, before, unused)).toMatchObject({ changes: ['trigger a is added', 'trigger b is added'] });
    const after = parseRssrvConfig(`${FILE}\n\n[trigger b]\non = event\nrun = /bin/false\n`, 'rssrvcfg');
    expect(reloadPlan(before, after, unused)).toMatchObject({ changes: ['trigger a is removed', 'trigger b has other settings'] });
    expect(reloadPlan(before, parseRssrvConfig(`${FILE}\n${both}`, 'rssrvcfg'), unused)).toMatchObject({ changes: [] });
  });

  test('clients are added, removed, or get another key; no key is printed', () => {
    const { removedClients, droppedKeys, changes } = applied(
      ['venus 0xvenus-secret-of-the-lab\n', 'big-6 0xbig6-secret-of-the-lab\n'],
      ['0xbig2', '0xBIG2'],
    );
    expect([removedClients, droppedKeys]).toEqual([['venus'], [{ client: 'big-2', keys: ['0xbig2-secret-of-the-lab'] }]]);
    expect(changes).toEqual([
      'client venus is removed: its session ends, its holds stay',
      'client big-6 is added',
      'client big-2 has a new key: a session by the old one ends, its holds stay',
    ]);
    expect(changes.join()).not.toMatch(/0x/);
  });

  test('a key that is changed in steps ends nothing when the second one comes, and drops the old one when that goes', () => {
    const [one, two] = ['big-2 0xbig2-secret-of-the-lab', 'big-2 0xbig2-secret-of-the-lab 0xnew-secret-of-the-lab'];
    expect(applied([one, two])).toMatchObject({ droppedKeys: [], changes: ['client big-2 has a second key: both are valid'] });
    const during = parseRssrvConfig(FILE.replace(one, two), 'rssrvcfg');
    const after = parseRssrvConfig(FILE.replace(one, 'big-2 0xnew-secret-of-the-lab'), 'rssrvcfg');
    expect(reloadPlan(during, after, unused)).toMatchObject({
      droppedKeys: [{ client: 'big-2', keys: ['0xbig2-secret-of-the-lab'] }],
      changes: ['client big-2 has one key again: a session by the other one ends, its holds stay'],
    });
  });

  test("explore, namespacekey, log-level, the namespace's label, and a subnet are applied", () => {
    const { changes } = applied(
      ['namespacekey = 0xa-key-of-the-namespace', 'explore = no'],
      ['serverid = 1', 'serverid = 1\nlog-level = debug'],
      ['[namespace osl]', '[namespace lab]'],
      ['192.168.45.10', '192.168.45.10/16'],
    );
    expect(changes).toEqual([
      'the namespace is called lab',
      'explore is no',
      'namespacekey was removed',
      'log-level is debug',
      'subnets of the interfaces changed',
    ]);
  });

  test.each([
    ['allow', 'off', false, 'tls is off: new paths are plain, and encrypted ones stay'],
    ['off', 'allow', false, 'tls is allow: new paths are encrypted if the client asks for it'],
    ['allow', 'require', true, 'tls is require: plain paths end'],
    ['off', 'require', true, 'tls is require: plain paths end'],
    ['require', 'off', false, 'tls is off: new paths are plain, and encrypted ones stay'],
    ['require', 'require', false, undefined],
  ])('tls from %s to %s: plain paths end: %s', (from, to, ends, text) => {
    const [old, next] = [from, to].map((tls) => parseRssrvConfig(FILE.replace('port = 5000', `port = 5000\ntls = ${tls}`), 'rssrvcfg'));
    expect(reloadPlan(old!, next!, unused)).toMatchObject({ endsPlainPaths: ends, changes: text === undefined ? [] : [text] });
  });

  test.each([
    ['another key', true, ['0xbig2', '0xBIG2']],
    ['a second key', true, ['0xbig2-secret-of-the-lab', '0xbig2-secret-of-the-lab 0xnew-secret-of-the-lab']],
    ['a client less', true, ['venus 0xvenus-secret-of-the-lab\n', '']],
    ['a client more', true, ['[clients]', '[clients]\nmars 0xmars-secret-of-the-lab']],
    ['other rights', true, ['[clients]', '[rights]\nvenus admin\n[clients]']],
    ['an empty section [rights]', true, ['[clients]', '[rights]\n[clients]']],
    ['no namespacekey', true, ['namespacekey = 0xa-key-of-the-namespace', '']],
    ['encrypted paths', true, ['port = 5000', 'port = 5000\ntls = require']],
    ['a group that may read', true, ['serverid = 1', 'serverid = 1\ncontrol-group = operators']],
    ['a group that may change volumes', true, ['serverid = 1', 'serverid = 1\noperate-group = operators']],
    ['a group that may do everything', true, ['serverid = 1', 'serverid = 1\nadmin-group = operators']],
    ['a user of server processes', true, ['serverid = 1', 'serverid = 1\nuser = nobody']],
    ['another log-level', false, ['serverid = 1', 'serverid = 1\nlog-level = debug']],
    ['a new interface', false, NEW_INTERFACE],
  ] as const)('%s belongs to the audit trail: %s', (_what, isAudited, edit) => {
    const outcome = applied(edit);
    expect([outcome.isAudited, outcome.changes.length > 0]).toEqual([isAudited, true]);
  });

  test('a warning is printed once', () => {
    const short = ['big-2 0xbig2-secret-of-the-lab', 'big-2 0xb'] as const;
    expect(applied(short).newWarnings.map(({ message }) => message)).toEqual([expect.stringMatching(/^Short key of client big-2/)]);
    const config = parseRssrvConfig(FILE.replace(...short), 'rssrvcfg');
    const again = reloadPlan(config, parseRssrvConfig(`\n${FILE.replace(...short)}`, 'rssrvcfg'), unused);
    expect(again).toMatchObject({ kind: 'apply', newWarnings: [] });
  });
});

describe('the right view', () => {
  const WITH = (right: string): ReturnType<typeof parseRssrvConfig> => parseRssrvConfig(`${FILE}[rights]\nbig-2 ${right}\n`, 'rssrvcfg');
  const big2 = { node: 'big-2', address: '10.0.0.2', sinceMs: 0 };
  const used = (standing: Partial<VolumeStanding>) => (volume: ServerVolumeConfig) => ({ ...unused(volume), ...standing });
  const refused = {
    kind: 'refuse',
    sentences: ['Client big-2 gets the right view in [rights], but uses volume oracle: detach it there first (rsconfig -d oracle)'],
  };

  test.each([
    ['has a volume', { users: [big2] }, refused],
    ['has a snapshot', { readers: [{ ...big2, snapshot: 'oracle@monday', isCopying: false }] }, refused],
    ['has none', { users: [{ ...big2, node: 'venus' }] }, { kind: 'apply', changes: ['client big-2 has other rights'] }],
  ])('is refused only to a client that %s', (_what, standing: Partial<VolumeStanding>, expected) => {
    expect(reloadPlan(WITH('use'), WITH('view'), used(standing))).toMatchObject(expected);
  });

  test('shows other volumes at once, and may be kept and taken away while a hold is left', () => {
    expect(reloadPlan(WITH('use'), WITH('view'), unused)).toMatchObject({ isListChanged: true });
    expect(reloadPlan(WITH('use'), WITH('manage'), unused)).toMatchObject({ isListChanged: false });
    for (const next of ['view', 'use']) expect(reloadPlan(WITH('view'), WITH(next), used({ users: [big2] })).kind).toBe('apply');
  });
});

describe('a shared pool', () => {
  const SHARED = `${FILE}[pool fast]
path = /srv/fast
disk = /dev/mapper/fast
fence = command:/usr/sbin/fence_x -p 1
owners = big-9, big-8
`;
  const change = (from: string, to: string): ReloadPlan | ReloadRefusal => {
    expect(SHARED).toContain(from);
    return reloadPlan(parseRssrvConfig(SHARED, 'rssrvcfg'), parseRssrvConfig(SHARED.replace(from, to), 'rssrvcfg'), unused);
  };

  test.each([
    ['another path', 'path = /srv/fast', 'path = /srv/other'],
    ['another disk', '/dev/mapper/fast', '/dev/mapper/other'],
    ['another fence', 'command:/usr/sbin/fence_x -p 1', 'none'],
    ['another word of the fence', '-p 1', '-p 2'],
    ['no disk any more', 'disk = /dev/mapper/fast\nfence = command:/usr/sbin/fence_x -p 1\nowners = big-9, big-8\n', ''],
  ])('%s is refused', (_what, from, to) => {
    expect(change(from, to)).toEqual({
      kind: 'refuse',
      sentences: ['The path, disk or fence of shared pool fast has changed: remove the pool first (rsadm pool remove fast)'],
    });
  });

  test('a pool of this server does not become a shared one', () => {
    const own = `${FILE}[pool fast]\npath = /srv/fast\n`;
    expect(reloadPlan(parseRssrvConfig(own, 'rssrvcfg'), parseRssrvConfig(SHARED, 'rssrvcfg'), unused).kind).toBe('refuse');
  });

  test.each([
    ['other owners', 'big-9, big-8', 'big-9, big-7'],
    ['another order of the owners', 'big-9, big-8', 'big-8, big-9'],
    ['another time', 'owners = big-9, big-8\n', 'owners = big-9, big-8\ntake-over-after = 30s\n'],
    ['a limit', 'path = /srv/fast\n', 'path = /srv/fast\nlimit = 1t\n'],
  ])('%s may come at any time', (_what, from, to) => {
    expect(change(from, to)).toMatchObject({ kind: 'apply', changes: ['pool fast has other settings'] });
  });

  test('the pool may be removed, and another one added', () => {
    expect(change(SHARED.slice(FILE.length), '')).toMatchObject({ kind: 'apply', changes: ['pool fast is closed'] });
    const other = SHARED.slice(FILE.length).replaceAll('fast', 'slow');
    expect(change(SHARED.slice(FILE.length), other)).toMatchObject({
      kind: 'apply',
      changes: ['pool fast is closed', 'pool slow is added'],
    });
  });

  test('a pool with its path and another name is refused, because the disk is mounted there', () => {
    const sentences = [expect.stringMatching(/^Pool slow has the path of pool fast, .*: remove pool fast first$/)];
    expect(change('[pool fast]', '[pool slow]')).toEqual({ kind: 'refuse', sentences });
    const own = parseRssrvConfig(`${FILE}[pool own]\npath = /srv/fast\n`, 'rssrvcfg');
    expect(reloadPlan(own, parseRssrvConfig(SHARED, 'rssrvcfg'), unused).kind).toBe('refuse');
  });
});

describe('a refusal names section and remedy', () => {
  test.each([
    ['namespaceid = 200', 'namespaceid = 201', /^namespaceid in \[namespace osl\] has changed.*: restart rssrv, or take the change back$/],
    ['serverid = 1', 'serverid = 2', /^serverid in \[server big-9\] has changed/],
    ['[server big-9]', '[server big-8]', /^The name in \[server big-9\] has changed/],
    ['serverkey = 0xa-key-of-the-server', '', /^serverkey in \[server big-9\] has changed/],
    ['size = 15g', 'size = 14g', /^Section \[volume oracle\] has a smaller size, \d+ instead of \d+ bytes: .*: take the change back$/],
  ])('%s -> %s', (from, to, sentence) => {
    const result = plan([from, to]);
    expect(result).toEqual({ kind: 'refuse', sentences: expect.arrayContaining([expect.stringMatching(sentence)]) });
  });

  test('a refusal is for the whole file: nothing is applied, and every section is named', () => {
    const result = plan(NEW_INTERFACE, ['serverid = 1', 'serverid = 2'], ['size = 15g', 'size = 14g']);
    expect(result).toMatchObject({ kind: 'refuse', sentences: [expect.stringContaining('serverid'), expect.stringContaining('oracle')] });
  });

  test('a refusal prints no key', () => {
    const result = plan(['0xa-key-of-the-server', '0xanother-key-of-the-server']);
    expect(JSON.stringify(result)).not.toMatch(/0xa/);
  });
});
