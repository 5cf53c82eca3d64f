// Tests I/O that waits until a volume is reattached: the I/O is either passed on in order or abandoned by the stall policy, never both.
// test/integration/keeper.test.ts tests devices with waiting I/O.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { expect, it } from 'vitest';
import type { VolumeIo } from '../volumes/frontend-volume.ts';
import { MemoryVolume } from '../frontends/nbd/testing/memory-volume.ts';
import { StandInVolume } from './stand-in-volume.ts';

const NOTE = {
  namespace: 'osl',
  name: 'oracle',
  universe: 0,
  id: 'id',
  readonly: false,
  sizeBytes: 1 << 19,
  blockSizeBytes: 512,
  canDiscard: false,
  raw: '/dev/av0/roracle',
  block: '/dev/av0/oracle',
  loop: null,
  life: 'boot.0',
  file: { mode: 0o100600, uid: 0, gid: 0, madeMs: 0, canResend: true },
};

function scene(policy: number | 'forever' | 'fail' = 'forever') {
  const [clock, said, ended] = [new FakeClock(), [] as string[], [] as [string, Status][]];
  const standIn = new StandInVolume(NOTE, { clock, policy, notify: (event) => said.push(event) });
  const volume = Object.assign(new MemoryVolume({ schedule: (fire) => fire() }), { id: 'id', incarnation: 'boot.1' });
  const write = (name: string, positionBytes: number): void => {
    const io: VolumeIo = {
      op: 'write',
      positionBytes,
      lengthBytes: 512,
      buffer: Buffer.alloc(512, 1),
      bufferOffset: 0,
      fua: false,
      mustKeepAllocated: false,
      done: (status) => ended.push([name, status]),
    };
    standIn.submit(io);
  };
  return { clock, said, ended, standIn, volume, write };
}

it('requests wait until the volume is attached, then run in order; later ones run at once', () => {
  const { standIn, volume, write, ended } = scene();
  write('first', 512);
  write('second', 0);
  let extents: Status | null = null;
  standIn.extents(0, 512, (status) => (extents = status));
  expect([ended, extents, standIn.sizeBytes, standIn.incarnation]).toEqual([[], null, 1 << 19, 'boot.0']);
  standIn.become(volume);
  expect(volume.seen.slice(0, 2)).toEqual(['write 512+512', 'write 0+512']);
  expect(extents).toBe(STATUS.OK);
  write('third', 1024);
  expect(ended).toEqual([
    ['first', STATUS.OK],
    ['second', STATUS.OK],
    ['third', STATUS.OK],
  ]);
  expect([standIn.sizeBytes, standIn.incarnation]).toEqual([volume.sizeBytes, 'boot.1']);
});

it('a request that waits too long fails once, later requests have a time limit of their own, and the volume sees none of them', () => {
  const { standIn, volume, write, ended, clock, said } = scene(5_000);
  clock.advance(60_000);
  write('early', 0);
  clock.advance(4_999);
  expect(ended).toEqual([]);
  clock.advance(1);
  expect(ended).toEqual([['early', STATUS.IO_ERROR]]);
  write('late', 512);
  clock.advance(4_000);
  standIn.become(volume);
  clock.advance(60_000);
  expect(ended).toEqual([
    ['early', STATUS.IO_ERROR],
    ['late', STATUS.OK],
  ]);
  expect(volume.seen).toEqual(['write 512+512']);
  expect(said).toEqual(['waits', 'gave-up', 'goes-on']);
  expect(clock.timersPending).toBe(0);
});

it('waiting requests fail if the volume will not be attached', () => {
  const { standIn, write, ended, clock } = scene();
  write('one', 0);
  standIn.giveUp();
  clock.advance(0);
  expect(ended).toEqual([['one', STATUS.IO_ERROR]]);
});
