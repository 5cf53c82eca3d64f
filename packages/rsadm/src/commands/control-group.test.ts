// Tests rsadm control-group: the changed lines in rssrvcfg, and the refusal of groups that do not exist. rssrv is a fake; the groups are
// those of the machine that runs the test.

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CONFIG, useAdmScene } from '../testing/adm-scene.ts';

const scene = useAdmScene();
const MISSING = 'control-group nobody-has-this is not in /etc/group: create the group, or set control-group to another one';

test('set adds the line, - removes it, and all other lines stay', async () => {
  await scene.serve();
  expect(await scene.run(['control-group', 'set', 'root'])).toEqual({ code: 0, out: 'pool x is added\n', err: '' });
  expect(scene.config()).toContain('control-group = root\n');
  expect(scene.config().replace(/control-group = root\n/, '')).toBe(CONFIG);
  expect(scene.asked).toEqual([
    ['config-check', { text: scene.config() }],
    ['reload', {}],
  ]);
  expect((await scene.run(['control-group', 'show'])).out).toBe('root\n');
  expect(JSON.parse((await scene.run(['control-group', 'show', '--json'])).out)).toEqual({ group: 'root' });
  expect((await scene.run(['control-group', 'set', '-'])).code).toBe(0);
  expect(scene.config()).toBe(CONFIG);
  expect((await scene.run(['control-group', 'show'])).out).toMatch(/^no group: /);
  expect(JSON.parse((await scene.run(['control-group', 'show', '--json'])).out)).toEqual({ group: null });
});

test('a group that does not exist is refused before rssrv is asked, and by check', async () => {
  await scene.serve();
  const { code, err } = await scene.run(['control-group', 'set', 'nobody-has-this']);
  expect({ code, err }).toEqual({ code: 1, err: `rsadm: ${MISSING} [E_CONFIG]\n` });
  expect(scene.asked).toEqual([]);
  expect(scene.config()).toBe(CONFIG);
  writeFileSync(scene.configFile, CONFIG.replace(/(serverid.*\n)/, '$1control-group = nobody-has-this\n'));
  const { code: found, out } = await scene.run(['check']);
  expect(found).toBe(1);
  expect(out).toMatch(new RegExp(`^ROOT/etc/dvsc/rssrvcfg:\\d+: fault: ${MISSING}\n`));
  expect(scene.asked).toEqual([]);
});
