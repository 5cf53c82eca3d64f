// The frontend of gates for AoE: which volumes get which slots, what a reload changes, what is refused and said once. No helper runs,
// because unit tests have no Perl; test/netlab/aoe.test.ts has frames.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { AoeGateConfig } from '@rsio/common/config/schema/types';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { MemoryVolume } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import type { FrontendVolume } from '@rsio/rsiod/volumes/frontend-volume';
import { GATE_GAP_MS } from '../limits.ts';
import { FakeFrontend } from '@rsio/rsiod/testing/attachments-scene';
import { takeFromPrograms } from '@rsio/rsiod/frontends/audience';
import { AoeGates } from './aoe-gates.ts';

const GATE: AoeGateConfig = {
  name: 'boot',
  interface: 'no-such',
  shelf: 7,
  hosts: null,
  volumes: 'all',
  slots: new Map(),
  hasUnsafeWrites: false,
};

let folder: string;
let clock: FakeClock;
let lines: string[];
let gates: AoeGates;
let programs: FakeFrontend;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-aoe-'));
  clock = new FakeClock();
  lines = [];
  programs = new FakeFrontend();
  gates = made([GATE]);
  await gates.start();
});

afterEach(async () => {
  await gates.close();
  await removeFolder(folder);
});

function made(config: readonly AoeGateConfig[]): AoeGates {
  const say = (message: string): unknown => lines.push(message);
  const log = { info: say, warn: say, error: say };
  return new AoeGates({
    takeFromPrograms: takeFromPrograms([programs], { mayReturn: () => false, taken: () => Promise.resolve() }),
    clock,
    log,
    notesFile: path.join(folder, 'aoe.json'),
    version: '1',
    gates: config,
  });
}

function volume(name: string, more: Partial<FrontendVolume> = {}): FrontendVolume {
  return Object.assign(new MemoryVolume({ name }), { id: `id-${name}`, ...more });
}

/** `SLOT NAME` of each volume of the first gate. */
function shown(): string[] {
  return (gates.views()[0]?.volumes ?? []).map(({ slot, label }) => `${slot} ${label}`);
}

it('volumes get slots, in order of their coming, and keep them while they are away', async () => {
  const [a, b] = [volume('a'), volume('b@monday')];
  await Promise.all([gates.show(a), gates.show(b)]);
  expect(shown()).toEqual(['0 osl:a@0', '1 osl:b@0@monday']);
  await gates.hide(a, false);
  await gates.show(volume('c'));
  await gates.show(a);
  expect(shown()).toEqual(['1 osl:b@0@monday', '2 osl:c@0', '0 osl:a@0']);
});

it('a reload changes slots, volumes and writes without another gate, and says that writes are unsafe', async () => {
  await gates.show(volume('a'));
  await gates.show(volume('b'));
  await gates.follow([{ ...GATE, volumes: ['b'], slots: new Map([['b', 9]]), hasUnsafeWrites: true }]);
  expect([shown(), gates.views()[0]?.writes]).toEqual([['9 osl:b@0'], 'unsafe']);
  expect(lines.filter((line) => line.includes('can revert an acknowledged block'))).toHaveLength(1);
  await gates.follow([]);
  expect(gates.views()).toEqual([]);
});

it('a slot that the configuration gives away is not used by another volume, and the log says it once', async () => {
  await gates.show(volume('a'));
  await gates.follow([{ ...GATE, slots: new Map([['b', 0]]) }]);
  await gates.hide(gatesVolume(), false);
  await gates.show(volume('a'));
  await gates.show(volume('b'));
  clock.advance(60_000);
  await vi.waitFor(() => expect(shown()).toEqual(['0 osl:b@0']));
  expect(lines.filter((line) => line.startsWith('Gate boot does not offer a@0: its slot 0 is that of another volume'))).toHaveLength(1);
});

/** The volume that the gate shows now. */
function gatesVolume(): FrontendVolume {
  const [one] = (gates as unknown as { shown: Map<FrontendVolume, unknown> }).shown.keys();
  return one!;
}

it('a volume that several clients may write is refused, a snapshot is not', async () => {
  await gates.show(volume('a', { shared: true }));
  await gates.show(volume('a@monday', { shared: true }));
  expect(shown()).toEqual(['0 osl:a@0@monday']);
  expect(lines.join('\n')).toContain('Gate boot does not offer a@0: several clients may write it at the same time');
});

it('a damaged file of slots offers nothing, and says what to do', async () => {
  await gates.close();
  writeFileSync(path.join(folder, 'aoe.json'), '{');
  gates = made([GATE]);
  await gates.start();
  await gates.show(volume('a'));
  expect([shown(), gates.views()[0]?.trouble]).toEqual([[], expect.stringContaining('remove it: then volumes get other slots')]);
});

it('without Perl, the gate says so, once, and tries again', async () => {
  await vi.waitFor(() => expect(gates.views()[0]).toMatchObject({ mac: null, trouble: 'spawn perl ENOENT' }));
  for (let round = 0; round < 3; round++) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(lines.filter((line) => line === 'Gate boot has no packet socket, and tries again: spawn perl ENOENT')).toHaveLength(1);
});

it('a gap of the event loop is noticed (D1)', () => {
  clock.jumpWall(GATE_GAP_MS);
  clock.advance(1_000);
  expect(lines.join('\n')).toContain('the gates of AoE have dropped all frames that had arrived');
  expect(gates.views()[0]?.figures.cut).toBe(1);
});

it('hosts that have used a volume keep it from being detached for a minute', async () => {
  const one = volume('a');
  await gates.show(one);
  const [gate] = (gates as unknown as { gates: Map<string, import('./aoe-gate.ts').AoeGate> }).gates.values();
  gate!.targetOf(one)!.used(1, clock.monotonicMs());
  await expect(gates.hide(one, false)).rejects.toThrow('It is in use by 1 host of gate boot');
  await gates.hide(one, true);
  expect(shown()).toEqual([]);
});

it('only a gate with unsafe writes takes a volume from programs, and none that a program uses', async () => {
  const shown = volume('oracle', { shownTo: 'programs' });
  programs.usersOf = () => Promise.resolve(['mount point /mnt']);
  await gates.show(shown);
  expect(gates.views()[0]?.volumes).toHaveLength(1);
  await gates.follow([{ ...GATE, volumes: ['oracle'], hasUnsafeWrites: true }]);
  expect([gates.views()[0]?.volumes, shown.shownTo]).toEqual([[], 'programs']);
  programs.usersOf = () => Promise.resolve([]);
  await gates.follow([{ ...GATE, volumes: ['oracle'], hasUnsafeWrites: true }]);
  expect([gates.views()[0]?.volumes.length, shown.shownTo]).toEqual([1, 'gates']);
});
