// Tests what the keeper is told about devices, with a fake link. Invariant: the keeper always has the latest note of each device, but is
// not told the same note twice.

import { quietLog } from '@rsio/base/log/log';
import { expect, test } from 'vitest';
import { type DeviceNote, writeDeviceNote } from './device-note.ts';
import { KeptDevices } from './kept-devices.ts';

const NOTE: DeviceNote = {
  namespace: 'osl',
  name: 'oracle',
  universe: 0,
  id: 'id-oracle',
  readonly: false,
  sizeBytes: 4096,
  blockSizeBytes: 4096,
  canDiscard: true,
  raw: '/dev/av0/roracle',
  block: '/dev/av0/oracle',
  loop: null,
  life: '1',
  file: { mode: 0o600, uid: 0, gid: 0, madeMs: 0, canResend: true },
};

function keptBy(inherited: DeviceNote | null): { readonly kept: KeptDevices; readonly said: string[] } {
  const said: string[] = [];
  const link = {
    keep: () => Promise.resolve(7),
    note: (id: number, text: string) => void said.push(`${id} ${text}`),
    drop: () => Promise.resolve(),
  };
  const list = inherited === null ? [] : [{ id: 7, fd: 9, note: writeDeviceNote(inherited) }];
  return { kept: new KeptDevices(link, list, quietLog), said };
}

test('a device that the keeper refuses has a reason, and so has one without a keeper', async () => {
  const refusing = { keep: () => Promise.reject(new Error('full')), note: () => undefined, drop: () => Promise.resolve() };
  expect(await new KeptDevices(refusing, [], quietLog).keep(9, NOTE)).toContain('full');
  expect(await new KeptDevices(null, [], quietLog).keep(9, NOTE)).toBe('there is no keeper');
});

test('a device that is resumed unchanged needs no new note, and each change is told', () => {
  const { kept, said } = keptBy(NOTE);
  kept.note(7, NOTE);
  expect(said).toEqual([]);
  const later = { ...NOTE, life: '2' };
  kept.note(7, later);
  kept.note(7, later);
  kept.note(7, NOTE);
  expect(said).toEqual([later, NOTE].map((note) => `7 ${writeDeviceNote(note)}`));
});

test('the note with which a device is kept counts, and a dropped device leaves nothing for a later one with its id', async () => {
  const { kept, said } = keptBy(null);
  const id = await kept.keep(9, NOTE);
  expect(id).toBe(7);
  kept.note(7, NOTE);
  expect(said).toEqual([]);
  await kept.drop(7);
  kept.note(7, NOTE);
  expect(said).toHaveLength(1);
});
