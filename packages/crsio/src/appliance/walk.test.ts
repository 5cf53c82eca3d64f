// Walks through crsio's part for the appliance with the keyboard alone: each change, the question before a disk is overwritten, refusals, and
// leaving while a change is in progress.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { ApplianceWalker, ARRAY, diskOf, VIEW } from '../testing/appliance-walker.ts';
import { LOOK_INTERVAL_MS } from '../widgets/limits.ts';

test('the hint leads from the network to the pool', async () => {
  const walker = await ApplianceWalker.start({
    devices: [{ name: 'ens6', mac: '52:54:00:00:00:06', hasCarrier: false, addresses: [] }],
    server: null,
  });
  expect(walker.words()).toContain('First give an interface an address: Network');
  walker.view = { ...VIEW, server: null };
  await walker.pass(LOOK_INTERVAL_MS);
  expect(walker.words()).toContain('Now set up the server: Server');
  await walker.choose('Server');
  await walker.press({ text: 'osl' }, 'save');
  expect(walker.calls).toEqual([{ method: 'makeServer', params: [{ name: 'rsio', namespace: 'osl', addresses: ['192.168.45.10'] }] }]);
  expect(walker.question()).toContain('Next: Disks');
  walker.view = VIEW;
  await walker.pass(LOOK_INTERVAL_MS);
  expect(walker.words()).toContain('Now make a pool from disks');
});

test('network, time and password change', async () => {
  const walker = await ApplianceWalker.start();
  await walker.choose('Network', 'ens6');
  await walker.press('tab', { text: '10.0.0.9' }, 'save');
  expect(walker.words()).toContain('allowed is addresses with the length of the network');
  await walker.press({ text: '/24, fd00::9/64' }, 'tab', { text: '10.0.0.1' }, 'save');
  const wanted = { mac: '52:54:00:00:00:06', addresses: ['10.0.0.9/24', 'fd00::9/64'], gateway: '10.0.0.1' };
  expect(walker.calls.at(-1)?.params).toEqual([wanted, [], 'rsio']);
  await walker.press('enter', 'escape');
  await walker.choose('Time');
  await walker.press('choose', 'enter', 'save');
  expect(walker.calls.at(-1)).toEqual({ method: 'setTime', params: ['Europe/Oslo', []] });
  await walker.press('enter');
  await walker.choose('Password');
  await walker.press({ text: 'correct horse' }, 'tab', { text: 'correct hose' }, 'save');
  expect(walker.words()).toContain('The two passwords differ');
  expect(walker.screen()).not.toContain('horse');
  await walker.press('cut-before', { text: 'correct horse' }, 'save');
  expect(walker.calls.at(-1)).toEqual({ method: 'setPassword', params: ['correct horse'] });
});

test('a pool is made after a question that names its disks, and content needs a typed name', async () => {
  const walker = await ApplianceWalker.start();
  await walker.choose('Disks');
  await walker.press('action', 'enter', { text: 'fast' }, 'tab', 'tab', 'choose');
  expect(walker.screen()).not.toContain('[ ] sda');
  await walker.press({ text: ' ' }, 'down', { text: ' ' }, 'enter', 'save');
  expect(walker.calls).toEqual([]);
  // The name of a disk on which nothing is recognised has to be typed, too.
  await walker.press({ text: 'sdc' }, 'save');
  expect(walker.words()).toContain('All data on sdb, WDC WD40EFRX, serial WD-sdb, 3.6T would be lost (unknown content, or none)');
  expect(walker.calls).toEqual([]);
  await walker.press({ text: ', sdb' }, 'save');
  expect(walker.question()).toBe(
    'These disks are overwritten:\n  sdc, WDC WD40EFRX, serial WD-sdc, 3.6T - file system ext4\n  sdb, WDC WD40EFRX, serial WD-sdb, 3.6T - unknown content, or none',
  );
  expect(walker.marked()).toBe('Cancel');
  walker.outcome = () => Promise.reject(new RsError('E_SYSTEM', 'mdadm failed: no'));
  await walker.choose('Yes, do it');
  const wanted = { name: 'fast', level: 'raid1', disks: ['sdb', 'sdc'], typed: ['sdc', 'sdb'] };
  expect(walker.calls).toEqual([{ method: 'makePool', params: [wanted, expect.stringContaining('WD-sdc')] }]);
  expect(walker.question()).toBe('Making pool fast: mdadm failed: no [E_SYSTEM]');
  await walker.press('enter');
  expect(walker.screen()).toContain('New pool');
});

test('a question about many disks shows those with content, and its answers', async () => {
  const disks = Array.from({ length: 24 }, (_, index) => diskOf(`sd${String.fromCharCode(97 + index)}`));
  const all = [...disks.slice(0, 23), { ...disks[23]!, use: { kind: 'content', what: 'file system ext4' } as const }];
  const walker = await ApplianceWalker.start({ storage: { ...VIEW.storage, disks: all } });
  await walker.choose('Disks');
  await walker.press('action', 'enter', { text: 'fast' }, 'tab', 'tab');
  await walker.press({ text: all.map(({ name }) => name).join(',') }, 'tab', { text: all.map(({ name }) => name).join(',') }, 'save');
  expect(walker.screen()).toMatch(/sdx, .* - file system ext4[^]*\.\.\. and \d+ more lines[^]*Yes, do it[^]*> Cancel/);
});

test('a failed disk is seen, replaced and taken out', async () => {
  const members = ['sdb', 'sdc'].map((disk) => ({ disk, isFaulty: disk === 'sdb' }));
  const walker = await ApplianceWalker.start({
    storage: { ...VIEW.storage, arrays: [{ ...ARRAY, members, working: 1 }] },
    problems: ['Array fast: 1 of 2 disks work; failed: sdb'],
  });
  expect(walker.words()).toContain('! Array fast: 1 of 2 disks work; failed: sdb');
  await walker.choose('Disks', '! fast: raid1', 'Replace a disk');
  await walker.press({ text: 'sdd' }, 'tab', { text: 'sdd' }, 'save');
  expect(walker.question()).toBe('These disks are overwritten:\n  sdd, WDC WD40EFRX, serial WD-sdd, 3.6T - unknown content, or none');
  await walker.choose('Yes, do it');
  const wanted = { array: 'md127', old: null, by: 'sdd', typed: ['sdd'] };
  expect(walker.calls.at(-1)).toEqual({ method: 'replaceDisk', params: [wanted, expect.stringContaining('WD-sdd')] });
  await walker.press('enter');
  await walker.choose('Take sdb out', 'Take the failed disks out');
  expect(walker.calls.at(-1)).toEqual({ method: 'removeFailed', params: ['md127'] });
});

test('an array that is left over becomes a pool again, or is removed if its name is typed', async () => {
  const walker = await ApplianceWalker.start({ storage: { ...VIEW.storage, arrays: [{ ...ARRAY, fileSystem: 'u' }] } });
  await walker.choose('Disks', '+ fast: raid1', 'Use as a pool', 'Use as a pool');
  expect(walker.calls.at(-1)).toEqual({ method: 'adoptArray', params: ['md127'] });
  await walker.press('enter');
  await walker.choose('Remove');
  await walker.press({ text: 'fast' }, 'save');
  expect(walker.question()).toContain('All data of array fast is lost');
  await walker.choose('Yes, do it');
  expect(walker.calls.at(-1)).toEqual({ method: 'removeArray', params: ['md127', 'fast'] });
});

test('upgrade, way back, configuration and restart', async () => {
  const walker = await ApplianceWalker.start();
  await walker.choose('System');
  expect(walker.words()).toContain('Slot A runs: version 1.0 Slot B waits: empty Next boot: slot A');
  for (const [label, file, method] of [
    ['Upgrade', 'new.upgrade', 'upgrade'],
    ['Save configuration', '', 'save'],
  ] as const) {
    await walker.choose(label);
    await walker.press({ text: file }, 'save', 'enter');
    expect(walker.calls.at(-1)?.method).toBe(method);
  }
  expect(walker.calls.at(-1)?.params).toEqual([{ disk: 'sde1', file: 'rsio-config.json' }]);
  await walker.choose('Restore configuration');
  await walker.press('save');
  expect(walker.question()).toContain('is replaced at the next boot');
  await walker.press('enter', 'escape');
  await walker.choose('Go back', 'Go back');
  expect(walker.question()).toBe('Version 2.0 boots next. The restart makes it effective');
  await walker.press('enter', 'escape');
  await walker.choose('Restart', 'Restart');
  expect(walker.calls.at(-1)).toEqual({ method: 'power', params: ['reboot'] });
});

test('leaving during a change asks, and a second change waits', async () => {
  const walker = await ApplianceWalker.start();
  walker.outcome = () => new Promise(() => {});
  await walker.choose('Time');
  await walker.press('save', 'escape');
  expect(walker.words()).toContain('Setting the time ... 0 s');
  await walker.choose('Power off', 'Power off');
  expect(walker.question()).toContain('In progress: Setting the time');
  await walker.press('enter', 'leave');
  expect(walker.question()).toContain('Leaving stops it before its end');
  await walker.press('enter');
  expect(walker.hasLeft).toBe(false);
});
