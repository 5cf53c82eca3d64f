// Tests the note of a device: every field is restored, and any other text is refused. test/integration/keeper.test.ts resumes devices with
// notes.

import { expect, it } from 'vitest';
import { type DeviceNote, readDeviceNote, writeDeviceNote } from './device-note.ts';

const NOTE: DeviceNote = {
  namespace: 'osl',
  name: 'oracle',
  universe: 0,
  id: 'a-b-c',
  readonly: false,
  sizeBytes: 1 << 30,
  blockSizeBytes: 4096,
  canDiscard: true,
  raw: '/dev/av0/roracle',
  block: '/dev/av0/oracle',
  loop: { device: '/dev/loop3', sequence: '17' },
  file: { mode: 0o100640, uid: 26, gid: 27, madeMs: 1_284_476_552_000, canResend: true },
  life: 'boot.0.1',
};

it('a note is restored unchanged, with or without a loop device', () => {
  for (const note of [NOTE, { ...NOTE, loop: null }, { ...NOTE, loop: { device: '/dev/loop3', sequence: null } }]) {
    expect(writeDeviceNote(note)).not.toContain('\n');
    expect(readDeviceNote(writeDeviceNote(note))).toEqual(note);
  }
});

it('a note without a field, or with a field of another type, is rejected', () => {
  const broken = Object.keys(NOTE).flatMap((key) => [
    { ...NOTE, [key]: undefined },
    { ...NOTE, [key]: [] },
  ]);
  const inside = [
    { ...NOTE, loop: { device: 3 } },
    { ...NOTE, file: { ...NOTE.file, canResend: 1 } },
    { ...NOTE, file: { mode: 1 } },
  ];
  for (const note of [...broken, ...inside, null, 'text', []]) expect(readDeviceNote(JSON.stringify(note))).toBeNull();
  expect(readDeviceNote('{')).toBeNull();
});
