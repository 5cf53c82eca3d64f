// Tests `check` and `init`: faults with their lines, the answer of a running rssrv, and a first file from the user's answers, options and
// facts about the machine. rssrv is a fake.

import { chmodSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import { describe, expect, test } from 'vitest';
import { CONFIG, refusing, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();
const FILE = 'ROOT/etc/dvsc/rssrvcfg';

describe('check', () => {
  test('asks a running rssrv, and says what a reload would apply', async () => {
    await scene.serve();
    const out = `${FILE}: no faults\nrsadm reload would apply: pool x is added\n`;
    expect(await scene.run(['check'])).toEqual({ code: 0, out, err: '' });
    expect(scene.asked).toEqual([['config-check', { text: CONFIG }]]);
  });

  test('a refusal of rssrv is a fault', async () => {
    await scene.serve({ 'config-check': refusing('E_CONFIG', 'Volume oracle@0 is held by big-2') });
    const out = `${FILE}: fault: rssrv refuses it: Volume oracle@0 is held by big-2\n`;
    expect(await scene.run(['check'])).toEqual({ code: 1, out, err: '' });
  });

  test('without rssrv the file alone is checked', async () => {
    const err = 'rsadm: rssrv is not running: only the file was checked\n';
    expect(await scene.run(['check'])).toEqual({ code: 0, out: `${FILE}: no faults\n`, err });
  });

  test('faults and warnings have lines, and rssrv is not asked about a broken file', async () => {
    await scene.serve();
    writeFileSync(scene.configFile, `${CONFIG}\nvenus short\n[server two]\n[interface if2]\naddress = x\n`);
    chmodSync(scene.configFile, 0o644);
    const { code, out, err } = await scene.run(['check']);
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(out.split('\n')).toEqual([
      expect.stringMatching(`^${FILE}: warning: Every user can read the keys in .*: run chmod 600 `),
      expect.stringMatching(`^${FILE}:17: warning: Short key of client venus`),
      expect.stringMatching(`^${FILE}:18: fault: Second section \\[server two\\]`),
      expect.stringMatching(`^${FILE}:20: fault: Wrong value "x" for address`),
      '',
    ]);
    expect(scene.asked).toEqual([]);
    const json: unknown = JSON.parse((await scene.run(['check', '--json'])).out);
    expect(json).toMatchObject({ problems: [{ line: 18 }, { line: 20 }], server: 'not asked', refusal: null, changes: [] });
  });

  test('of another file', async () => {
    const file = `${scene.root}/candidate`;
    writeFileSync(file, CONFIG, { mode: 0o600 });
    expect((await scene.run(['check', file])).out).toBe('ROOT/candidate: no faults\n');
    expect((await scene.run(['check', `${file}2`])).err).toContain('No configuration file ROOT/candidate2');
  });
});

describe('init', () => {
  const OPTIONS = ['init', '--namespace', 'osl', '--namespaceid', '200', '--address', '192.168.10.9,192.168.11.9/24'];

  test('makes a file from options, for its owner only, that rssrv can read', async () => {
    rmSync(scene.configFile);
    const { code, out, err } = await scene.run(OPTIONS);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(
      `${FILE} made: server big-9 in namespace osl, namespaceid 200, listening on 192.168.10.9, 192.168.11.9/24
Next:
    rssrv --root ROOT
    rsadm --root ROOT pool add fast /storage/fast
    rsadm --root ROOT volume create db --size 20g
    rsadm --root ROOT client add NAME
`,
    );
    expect(statSync(scene.configFile).mode & 0o777).toBe(0o600);
    expect(scene.config()).toBe(
      '[namespace osl]\nnamespaceid = 200\ntenants     = yes\n\n[server big-9]\nserverid    = 1\n\n[interface if0]\naddress     = 192.168.10.9\n\n' +
        '[interface if1]\naddress     = 192.168.11.9/24\n',
    );
    expect(parseRssrvConfig(scene.config(), 'f')).toMatchObject({ server: { name: 'big-9' }, namespace: { namespaceid: 200 } });
  });

  test('asks for the rest on a terminal, and an empty answer takes the default', async () => {
    rmSync(scene.configFile);
    const questions: string[] = [];
    const { code } = await scene.run(['init'], async (question) => {
      questions.push(question);
      return question.startsWith('Name of the namespace') ? 'osl' : question.startsWith('Addresses') ? '192.168.10.9' : '';
    });
    expect(code).toBe(0);
    expect(questions).toEqual([
      'Name of this server [big-9]: ',
      'Name of the namespace: ',
      'Number of the namespace [4320]: ',
      'Number of this server in it [1]: ',
      'Addresses to listen on [192.168.10.9,192.168.11.9]: ',
    ]);
    expect(parseRssrvConfig(scene.config(), 'f').interfaces).toMatchObject([{ name: 'if0', address: '192.168.10.9' }]);
  });

  test.each<[string[], string]>([
    [['init'], 'Name of the namespace is not known: give --namespace'],
    [['init', '--namespace', 'osl'], 'Addresses to listen on is not known: give --address 192.168.10.9,192.168.11.9'],
    [['init', '--namespace', 'a b'], 'Wrong --namespace "a b": allowed is 1 to 63'],
    [[...OPTIONS, '--name', '.'], 'Wrong --name ".": allowed is 1 to 63'],
    [[...OPTIONS, '--serverid', 'one'], 'Wrong --serverid "one": allowed is a whole number'],
  ])('without a terminal, %j says what to give', async (argv, message) => {
    rmSync(scene.configFile);
    const { code, out, err } = await scene.run(argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(`rsadm: ${message}`);
    expect(() => statSync(scene.configFile)).toThrow('ENOENT');
  });

  test('a wrong value makes no file', async () => {
    rmSync(scene.configFile);
    const { code, err } = await scene.run([...OPTIONS, '--serverid', '99999999']);
    expect(code).toBe(1);
    expect(err).toContain('was not changed: Wrong value "99999999" for serverid');
    expect(() => statSync(scene.configFile)).toThrow('ENOENT');
  });

  test('a file that has only comments, as a package installs it, is replaced', async () => {
    writeFileSync(scene.configFile, '# rssrvcfg(5) has every section and key.\n\n; rsadm init makes it\n', { mode: 0o600 });
    expect(await scene.run(OPTIONS)).toMatchObject({ code: 0, err: '' });
    expect(parseRssrvConfig(scene.config(), 'f')).toMatchObject({ server: { name: 'big-9' }, namespace: { namespaceid: 200 } });
  });

  test('an existing file is never changed', async () => {
    const err = `rsadm: ${FILE} exists: rsadm interface, pool and client change it; rsadm check checks it [E_EXISTS]\n`;
    expect(await scene.run(OPTIONS)).toEqual({ code: 1, out: '', err });
    expect(scene.config()).toBe(CONFIG);
  });
});
