// Tests the keys for groups and the key user of rssrvcfg: the test looks up the group and the user in files that it makes itself. No test here
// changes the machine.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { controlGroupProblems, withControlGroup } from './control-group.ts';
import { parseRssrvConfig } from './reader/rssrvcfg.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

let folder: string;
let groupFile: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-cg-'));
  groupFile = join(folder, 'group');
  writeFileSync(groupFile, 'root:x:0:\nstorage:x:4711:venus\n');
});

afterEach(() => removeFolder(folder));

function parsed(line: string): ReturnType<typeof parseRssrvConfig> {
  const text = `[namespace osl]\nnamespaceid = 1\n[server big-9]\nserverid = 1\n${line}\n[interface a]\naddress = 10.0.0.1\n`;
  return parseRssrvConfig(text, 'FILE');
}

test('no key: no group and no problem', () => {
  const config = parsed('');
  expect(config.server.groups).toEqual({ reader: null, operator: null, administrator: null });
  expect(controlGroupProblems(config, join(folder, 'absent'))).toEqual([]);
});

test('a group that exists', () => {
  const config = parsed('control-group = storage');
  expect(config.server.groups.reader).toEqual({ name: 'storage', line: 5 });
  expect(controlGroupProblems(config, groupFile)).toEqual([]);
});

test('each role has a group of its own, and each group that does not exist is a problem of its line', () => {
  const config = parsed('admin-group = gone\noperate-group = storage\ncontrol-group = away');
  expect(config.server.groups).toEqual({
    reader: { name: 'away', line: 7 },
    operator: { name: 'storage', line: 6 },
    administrator: { name: 'gone', line: 5 },
  });
  expect(controlGroupProblems(config, groupFile).map(({ line, message }) => `${line} ${message.split(':')[0]}`)).toEqual([
    `7 control-group away is not in ${groupFile}`,
    `5 admin-group gone is not in ${groupFile}`,
  ]);
});

test('a group that does not exist is a problem of its line, with the remedy', () => {
  const config = parsed('control-group = nobody-has-this');
  const remedy = 'create the group, or set control-group to another one';
  expect(controlGroupProblems(config, groupFile)).toEqual([
    { line: 5, message: `control-group nobody-has-this is not in ${groupFile}: ${remedy}` },
  ]);
  expect(() => withControlGroup(config)).toThrow(`FILE:5: control-group nobody-has-this is not in /etc/group: ${remedy}`);
});

test('a user that exists and is not root is accepted, and any other one is refused at its line', () => {
  const userFile = join(folder, 'passwd');
  writeFileSync(userFile, 'root:x:0:0::/:\ntoor:x:0:0::/:\nstore:x:900:901::/:\n');
  const problems = (line: string) => controlGroupProblems(parsed(line), groupFile, userFile);
  expect([parsed('').server.user, problems('')]).toEqual([null, []]);
  expect(parsed('user = store').server.user).toEqual({ name: 'store', line: 5 });
  expect(problems('user = store')).toEqual([]);
  const unknown = `user other is not in ${userFile}: create the user, or set user to another one`;
  expect(problems('user = other')).toEqual([{ line: 5, message: unknown }]);
  const all = 'user toor has all rights: set user to one without, or remove it for the default';
  expect(problems('user = toor')).toEqual([{ line: 5, message: all }]);
});
