// A reload either applies the whole configuration and reports the changes, or refuses it with all reasons and changes nothing. The effects
// of applied changes are tested with real daemons.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import { quietLog } from '@rsio/base/log/log';
import { smallRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reloadConfig } from './reloader.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';

const TEXT = smallRscltcfg();

let file = '';
let config: RscltConfig;
let attached: string[];
let lost: { namespace: string; server: string }[];
let obstacles: string[];
let said: string[];
let events: string[];

beforeEach(() => {
  file = path.join(mkdtempSync(path.join(tmpdir(), 'rsio-r-')), 'rscltcfg');
  config = parseRscltConfig(TEXT, file);
  [attached, lost, obstacles, said, events] = [[], [], [], [], []];
});

afterEach(() => removeFolder(path.dirname(file)));

function reload(text: string): Promise<string[]> {
  writeFileSync(file, text, { mode: 0o600 });
  const keep = (message: string): void => void said.push(message);
  return reloadConfig({
    file,
    log: { ...quietLog, info: keep, warn: keep },
    current: { config },
    inUse: () => attached,
    namespaces: { lostBy: () => lost },
    obstacles: () => Promise.resolve(obstacles),
    take: (next) => {
      config = next;
    },
    notifications: { add: (...words) => void events.push(words.join(' | ')) },
  });
}

async function refusal(text: string): Promise<RsError> {
  try {
    await reload(text);
  } catch (error) {
    if (error instanceof RsError) return error;
    throw error;
  }
  throw new Error('It was taken');
}

test('a valid file is accepted, and each change is an event and a line of the log', async () => {
  const applied = await reload(TEXT.replace('10.0.1.1', '10.0.1.2'));
  expect(applied).toEqual(['interface if0: address = 10.0.1.1 -> address = 10.0.1.2']);
  expect(config.interfaces[0]?.address).toBe('10.0.1.2');
  expect(events).toEqual(['interface if0 | address = 10.0.1.1 | address = 10.0.1.2 | The configuration was reloaded']);
  expect(said).toEqual([
    'Configuration: interface if0: address = 10.0.1.1 -> address = 10.0.1.2',
    `Configuration ${file} was reloaded: 1 change`,
  ]);
  expect(await reload(TEXT.replace('10.0.1.1', '10.0.1.2'))).toEqual([]);
});

test('an invalid file is refused with all its errors', async () => {
  const before = config;
  const error = await refusal(TEXT.replace('10.0.1.1', 'nowhere').replace('200', 'many'));
  expect([error.code, config]).toEqual(['E_CONFIG', before]);
  expect(said).toHaveLength(2);
  expect(said[0]).toMatch(/^The configuration is unchanged: .*rscltcfg:2: Wrong value "nowhere" for address: .* \[E_CONFIG\]$/);
  expect(said[1]).toMatch(/rscltcfg:4: Wrong value "many" for namespaceid: /);
  expect(events).toEqual([`configuration | read | refused | ${error.message}`]);
});

test('a missing file is refused', async () => {
  await reload(TEXT);
  rmSync(file);
  await expect(
    reloadConfig({
      file,
      log: quietLog,
      current: { config },
      inUse: () => [],
      namespaces: { lostBy: () => [] },
      obstacles: () => Promise.resolve([]),
      take: () => {
        throw new Error('taken');
      },
      notifications: { add: () => {} },
    }),
  ).rejects.toThrow(/No configuration file/);
});

test('a change that is impossible now refuses all others', async () => {
  const before = config;
  attached = ['osl:a@0'];
  lost = [{ namespace: 'osl', server: 'big-9' }];
  const error = await refusal(TEXT.replace('big-2', 'big-3').replace('10.0.1.1', '10.0.1.2'));
  expect([error.code, config]).toEqual(['E_IN_USE', before]);
  expect(said.map((sentence) => sentence.slice(0, 80))).toEqual([
    'The configuration is unchanged: Namespace osl cannot log in under another namesp',
    'The configuration is unchanged: No [server] section of namespace osl, or no [int',
  ]);
});

test('any other obstacle is reported, and nothing changes', async () => {
  const before = config;
  obstacles = ['Devices cannot be added at runtime'];
  expect((await refusal(TEXT.replace('10.0.1.1', '10.0.1.2'))).context['problems']).toEqual(obstacles);
  expect(config).toBe(before);
});
