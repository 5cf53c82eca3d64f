// Tests the assistance of crsio: adding all interfaces at once, marking the next step, starting rsiod after saving, and refusing edits
// that could not be saved.

import { SAMPLE_RSCLTCFG } from '@rsio/common/testing/sample-rscltcfg';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import { Walker } from '../testing/walker.ts';

function card(device: string, address: string, changes: Partial<MachineInterface> = {}): MachineInterface {
  const usual = { prefixLength: 24, broadcast: null, mtuBytes: 1500, linkMbps: 1000, hasCarrier: true, isLoopback: false };
  return { device, address, ...usual, ...changes };
}

test('all interfaces of the machine are added at once, except existing ones and the loopback', async () => {
  const machine = [card('lo', '127.0.0.1', { isLoopback: true }), ...[45, 46, 47].map((net) => card(`eth${net}`, `192.168.${net}.20`))];
  const walker = new Walker({ machine });
  await walker.choose('Interfaces', 'Add all 3 interfaces');
  expect(walker.screen()).toContain('Added 3 interfaces');
  expect(walker.screen()).not.toContain('Add all');
  await walker.press('save');
  expect(walker.world.file).toMatch(/\[interface if0\]\naddress += 192\.168\.45\.20\n\n\[interface if1\]\n[^]*\[interface if2\]/);
});

test('the mark in the menu moves to the next step', async () => {
  const walker = new Walker({ machine: [card('eth0', '192.168.45.20'), card('eth1', '192.168.46.20')] });
  const marked = (): string | undefined => /> (\w+(?: NEW \w+)?)/.exec(walker.screen())?.[1];
  expect(marked()).toBe('Interfaces');
  await walker.press('enter', 'escape');
  expect(marked()).toBe('Interfaces');
  await walker.press('enter', 'down', 'enter', 'escape');
  expect(marked()).toBe('Add NEW Namespace');
});

test('after a complete file is saved, crsio offers to start rsiod and reports the result', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG, startError: new RsError('E_SYSTEM', 'rsiod did not start (see above)') });
  await walker.press('save');
  expect(walker.question()).toBe('Start it now (rsiod)?');
  await walker.press('enter');
  expect(walker.question()).toContain('rsiod did not start');
  await walker.press('escape');
  walker.world.startError = null;
  await walker.press('save', 'enter');
  expect(walker.screen()).toContain('rsiod is running: Status shows its paths');
});

test('a file without write permission is reported immediately, and cannot be changed', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG, isWritable: false });
  expect(walker.question()).toContain('No permission to write /etc/rscltcfg');
  await walker.press('escape');
  await walker.choose('Interfaces');
  for (const input of ['enter', 'remove', 'save'] as const) {
    await walker.press(input);
    expect(walker.question(), input).toContain('nothing can be changed');
    await walker.press('escape');
  }
  expect([walker.world.file, walker.screen().includes('not saved')]).toEqual([SAMPLE_RSCLTCFG, false]);
});

test('Ctrl-C closes a box, and nothing else', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.press('help');
  expect(walker.question()).not.toBeNull();
  await walker.press('leave');
  expect([walker.question(), walker.hasLeft]).toEqual([null, false]);
  await walker.press('leave');
  expect(walker.hasLeft).toBe(true);
});

test('faults are drawn as problems, and the marked row stays marked', async () => {
  const walker = new Walker({ file: SAMPLE_RSCLTCFG });
  await walker.choose('Interfaces');
  await walker.press('end');
  const runs = walker.rows().flat();
  const problems = runs.filter(({ style }) => style === 'problem');
  expect(problems).toEqual([]);
  await walker.press('escape');
  await walker.choose('Status');
  const lines = walker.rows().flat();
  expect(lines.filter(({ style }) => style === 'problem').map(({ text }) => text.trim())).toEqual([
    '! rsiod is not running on this machine',
  ]);
});
