// Tests what the record of attached volumes keeps over a stop, a crash and a reboot, who had a volume, and what happens to a record that cannot
// be used. attached-list.test.ts tests what is then attached again. Rules: H1.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { TAKE } from '@rsio/protocol/wire/messages';
import { DaemonRun, place, runWith, useRecord, volume } from '../testing/daemon-run.ts';

useRecord();

test('an orderly shutdown keeps the list of attached volumes, although it detaches all of them', async () => {
  const first = await runWith(volume('oracle'));
  first.attached.stop();
  await first.detach(['osl:oracle@0']);
  await first.record.save();
  const next = await DaemonRun.after(first);
  expect(next.record.awaited).toMatchObject([{ name: 'oracle', server: 'big-1', reason: 'Server big-1 is not in reach' }]);
});

test('an orderly shutdown also keeps the list while a write of the file has not started', async () => {
  const first = await runWith(volume('oracle'));
  const writes = [first.record.save(), first.record.save()];
  first.attached.stop();
  await first.detach(['osl:oracle@0']);
  await Promise.all(writes);
  expect((await DaemonRun.after(first)).record.awaited).toHaveLength(1);
});

test('after another boot only the configuration counts', async () => {
  const first = await runWith(volume('oracle'));
  await first.attached.detach(['nothing'], false, null);
  const next = await DaemonRun.after(first, 'boot-2');
  expect(next.record.awaited).toEqual([]);
  expect(next.detached.size).toBe(0);
  expect(next.logged.join()).toMatch(/^Attached before the machine was booted, .*: osl:oracle@0$/);
});

test('release 0.2.0, which knows only the boot id of the kernel, finds the list to be of this boot', async () => {
  const run = await DaemonRun.after(null, 'boot-1.2-3-4');
  run.offer(volume('oracle'));
  await run.attached.attach(['osl:oracle@0'], false, null, TAKE.NO);
  expect(JSON.parse(readFileSync(place.file, 'utf8'))).toMatchObject({ content: { boot: 'boot-1', attached: [{ name: 'oracle' }] } });
});

describe('an unusable file is reported and set aside, and the daemon starts', () => {
  test.each([
    ['half written', '{"version":1,"cont', 'it is not JSON'],
    ['of a newer release', '{"version":2,"content":{}}', 'its version is 2, this program knows 1'],
    [
      'of another form',
      '{"version":1,"content":{"boot":"boot-1","attached":[{"name":"oracle"}],"detached":[]}}',
      'not of the expected form',
    ],
    ['without version', '[]', 'it has no version'],
  ])('%s', async (_, text, why) => {
    writeFileSync(place.file, text);
    const run = await DaemonRun.after(null);
    expect(run.warned).toHaveLength(1);
    expect(run.warned[0]).toContain(why);
    expect(run.warned[0]).toContain(`it is kept as ${place.file}.unusable`);
    expect(readFileSync(`${place.file}.unusable`, 'utf8')).toBe(text);
    run.offer(volume('oracle'));
    await run.attached.attach(['osl:oracle@0'], false, null, TAKE.NO);
    expect((await DaemonRun.after(run)).record.awaited).toHaveLength(1);
  });

  test('a file that can neither be read nor moved', async () => {
    place.file = join(place.folder, 'file', 'attached.json');
    writeFileSync(join(place.folder, 'file'), '');
    const run = await DaemonRun.after(null);
    expect(run.warned[0]).toContain('it could not be set aside (ENOTDIR');
    await run.attached.attach([], false, null, TAKE.NO);
    expect(readdirSync(place.folder)).toEqual(['file']);
  });
});

test('who had a volume is recorded, and is known until it is attached again', async () => {
  const first = await runWith(volume('db'), volume('host'), volume('old'));
  Object.assign(first.list[0]!, { shownTo: 'programs' });
  Object.assign(first.list[1]!, { shownTo: 'gates' });
  await first.record.save();
  for (let last = first, round = 1; round <= 2; round++) {
    last = await DaemonRun.after(last);
    const before = ['db', 'host', 'old', 'new'].map((name) => last.record.audienceOf(volume(name)));
    expect([...before, last.record.audienceOf(volume('db', 'id-other'))]).toEqual(['programs', 'gates', 'unknown', null, null]);
    await last.record.save();
  }
});
