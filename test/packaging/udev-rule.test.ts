// The udev rule with which systemd gets a device unit for each block device. The test runs the small program in the rule with sh, as udev
// would, and checks the event that rsiod requests. `npm run drill -- vm-boot` tests that systemd waits for the device and mounts it.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { announce } from '@rsio/rsiod/frontends/devices/block-attributes';

const RULE = readFileSync(new URL('../../packaging/rsio.rules', import.meta.url), 'utf8');

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-udev-'));
});

afterEach(() => removeFolder(folder));

/** Returns the name that the rule gives to a loop device, or an empty text if the rule gives it no name. */
function aliasOf(backingFile: string, device: string): string {
  const [, quoted = ''] = /^PROGRAM=="\/bin\/sh -c '(.*)' sh \$attr\{loop\/backing_file\} \$devnode"/m.exec(RULE) ?? [];
  expect(quoted).not.toBe('');
  // Unescapes the text of the rule as udev does.
  const script = quoted.replaceAll('\\"', '"').replaceAll('$$', '$').replaceAll('%%', '%');
  return spawnSync('/bin/sh', ['-c', script, 'sh', backingFile, device], { encoding: 'utf8' }).stdout.trimEnd();
}

it('a loop device on a raw device has the name of the link that leads to it, and no other has a name', () => {
  for (const name of ['db', 'rdb', 'a-b.c_d', 'db@monday']) {
    symlinkSync('/dev/loop7', path.join(folder, name));
    const raw = path.join(folder, `r${name}`);
    expect(aliasOf(raw, '/dev/loop7')).toBe(path.join(folder, name));
    // The rule must give no name to another loop device on the same file, or to a loop device on a file of another program.
    expect(aliasOf(raw, '/dev/loop8')).toBe('');
  }
  writeFileSync(path.join(folder, 'other'), '');
  expect(aliasOf(path.join(folder, 'rother'), '/dev/loop7')).toBe('');
  expect(aliasOf(path.join(folder, 'rmissing'), '/dev/loop7')).toBe('');
});

it('a partition has the name of the link that leads to it', () => {
  const [, quoted = ''] = /PROGRAM=="\/bin\/sh -c '(.*)' sh \$attr\{loop\/backing_file\} \$devnode \$attr\{partition\}"/m.exec(RULE) ?? [];
  const script = quoted.replaceAll('\\"', '"').replaceAll('$$', '$').replaceAll('%%', '%');
  const alias = (raw: string, device: string, number: string): string =>
    spawnSync('/bin/sh', ['-c', script, 'sh', path.join(folder, raw), device, number], { encoding: 'utf8' }).stdout.trimEnd();
  symlinkSync('/dev/loop7p1', path.join(folder, 'dbp1'));
  expect(alias('rdb', '/dev/loop7p1', '1')).toBe(path.join(folder, 'dbp1'));
  expect(alias('rdb', '/dev/loop8p1', '1')).toBe('');
  expect(alias('rdb', '/dev/loop7p2', '2')).toBe('');
});

it('rsiod asks for an event of the device that its link leads to, and goes on where it cannot', async () => {
  mkdirSync(path.join(folder, 'loop7'));
  const event = path.join(folder, 'loop7', 'uevent');
  writeFileSync(event, '');
  await announce('/dev/loop7', folder);
  expect(readFileSync(event, 'utf8')).toBe('change');
  await announce('/dev/loop8', folder);
});
