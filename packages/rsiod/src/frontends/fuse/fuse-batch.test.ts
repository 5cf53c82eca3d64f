// Replies and requests of several raw devices in one system call, with a simulated kernel: when replies are sent, refused replies, and
// devices that are closed during a flush. The calls themselves are tested in kernel-aio.test.ts.

import os from 'node:os';
import { expect, it } from 'vitest';
import { type BatchDevice, FuseBatch } from './fuse-batch.ts';
import { FuseBuffers } from './fuse-buffers.ts';
import type { KernelAio } from './kernel-aio.ts';
import { FUSE_BATCH_REPLY_BYTES, FUSE_DRAIN_MAX, FUSE_READS_AT_ONCE, FUSE_REPLIES_AT_ONCE } from '../limits.ts';

const { EAGAIN, EIO, ENODEV, ENOENT } = os.constants.errno;

class Scene implements KernelAio {
  readonly callsMax = FUSE_REPLIES_AT_ONCE;
  readonly buffers = new FuseBuffers();
  /** One list for each system call. Each list has the replies that the call sent, as texts `fd text`. */
  readonly written: string[][] = [];
  /** Requests that wait in the kernel. */
  waiting: string[] = [];
  /** Key: text of a reply. Value: the errno with which the kernel refuses the reply. */
  readonly refusals = new Map<string, number>();
  reads = 0;
  turnEnds: (() => void)[] = [];
  readonly batch = new FuseBatch(this, this.buffers, (fire) => this.turnEnds.push(fire));
  private readonly calls: ({ fd: number; target: Buffer } | { fd: number; text: string })[] = [];

  prepareRead(index: number, fd: number, target: Buffer): void {
    this.calls[index] = { fd, target };
  }

  prepareWrite(index: number, fd: number, source: Buffer, start: number, end: number): void {
    this.calls[index] = { fd, text: source.toString('latin1', start, end) };
  }

  execute(count: number): Int32Array {
    const calls = this.calls.slice(0, count);
    const texts = calls.flatMap((call) => ('text' in call ? [`${call.fd} ${call.text}`] : []));
    if (texts.length > 0) this.written.push(texts);
    return Int32Array.from(calls, (call) => {
      if ('text' in call) return 0 - (this.refusals.get(call.text) ?? -call.text.length);
      this.reads++;
      const request = this.waiting.shift();
      return request === undefined ? -EAGAIN : call.target.write(request);
    });
  }

  endTurn(): void {
    for (const fire of this.turnEnds.splice(0)) fire();
  }
}

class Device implements BatchDevice {
  readonly fd: number;
  isTaking = true;
  isClosed = false;
  readonly got: string[] = [];
  readonly kept: Buffer[] = [];
  readonly alone: string[] = [];
  whenAlone: () => void = () => undefined;
  whenReceived: (text: string) => void = () => undefined;
  private readonly scene: Scene;

  constructor(scene: Scene, fd: number) {
    this.scene = scene;
    this.fd = fd;
  }

  received(bytes: Buffer, lengthBytes: number): boolean {
    const text = bytes.toString('latin1', 0, lengthBytes);
    this.got.push(text);
    this.whenReceived(text);
    if (!text.startsWith('keep')) return false;
    this.kept.push(bytes);
    return true;
  }

  replyAlone(bytes: Buffer, start: number, end: number): void {
    if (this.isClosed) return;
    this.alone.push(bytes.toString('latin1', start, end));
    this.whenAlone();
  }

  add(text: string): boolean {
    return this.scene.batch.add(this, Buffer.from(`__${text}__`), 2, 2 + text.length);
  }
}

it('the replies of a turn, of all devices, leave together at its end, from copies', () => {
  const scene = new Scene();
  const [one, two] = [new Device(scene, 11), new Device(scene, 12)];
  const bytes = Buffer.from('first');
  expect(scene.batch.add(one, bytes, 0, 5)).toBe(true);
  bytes.fill('x');
  expect([two.add('second'), one.add('third'), scene.batch.waiting]).toEqual([true, true, 3]);
  expect(scene.written).toEqual([]);
  scene.endTurn();
  expect(scene.written).toEqual([['11 first', '12 second', '11 third']]);
  one.add('fourth');
  two.add('fifth');
  scene.endTurn();
  scene.endTurn();
  expect(scene.written.slice(1)).toEqual([['11 fourth', '12 fifth']]);
  expect([one.alone, two.alone, scene.batch.waiting]).toEqual([[], [], 0]);
});

it('a reply that is the only one of its turn is written as without a batch', () => {
  const scene = new Scene();
  const device = new Device(scene, 11);
  device.add('only');
  scene.endTurn();
  expect([device.alone, scene.written]).toEqual([['only'], []]);
});

it('a full batch leaves at once; a long reply does not get into one', () => {
  const scene = new Scene();
  const device = new Device(scene, 11);
  for (let count = 0; count < FUSE_REPLIES_AT_ONCE; count++) expect(device.add(`r${count}`)).toBe(true);
  expect(device.add('next')).toBe(false);
  expect(scene.written.map((texts) => texts.length)).toEqual([FUSE_REPLIES_AT_ONCE]);
  const longest = 'x'.repeat(FUSE_BATCH_REPLY_BYTES);
  expect(device.add(`${longest}y`)).toBe(false);
  for (let count = 0; device.add(longest); count++) expect(count).toBeLessThan(FUSE_REPLIES_AT_ONCE);
  scene.endTurn();
  expect([scene.batch.waiting, device.alone]).toEqual([0, []]);
  expect(
    scene.written
      .slice(1)
      .flat()
      .every((text) => text === `11 ${longest}`),
  ).toBe(true);
});

it('a refused reply is written once more by itself, unless the kernel waits for it no more', () => {
  const scene = new Scene();
  const device = new Device(scene, 11);
  scene.refusals.set('late', ENOENT).set('unmounted', ENODEV).set('failed', EIO).set('refused', EAGAIN);
  for (const text of ['good', 'late', 'failed', 'unmounted', 'refused', 'better']) device.add(text);
  scene.endTurn();
  expect(device.alone).toEqual(['failed', 'refused']);
});

it('a device that closes while replies are sent uses its descriptor no more, and the others get theirs', () => {
  const scene = new Scene();
  const [one, two] = [new Device(scene, 11), new Device(scene, 12)];
  for (const text of ['a', 'b', 'c']) scene.refusals.set(text, EIO);
  one.whenAlone = () => {
    // A real FuseDevice also calls `flush` and then closes when the kernel has refused a reply.
    scene.batch.flush();
    one.isClosed = true;
    expect(two.add('meanwhile')).toBe(false);
  };
  one.add('a');
  two.add('b');
  one.add('c');
  scene.endTurn();
  expect([one.alone, two.alone, scene.batch.waiting, scene.written.length]).toEqual([['a'], ['b'], 0, 1]);
});

it('waiting requests are read several at a time until none is left; a kept buffer is not used again', () => {
  const scene = new Scene();
  const device = new Device(scene, 11);
  const texts = Array.from({ length: FUSE_READS_AT_ONCE + 3 }, (_, index) => (index % 2 === 0 ? `keep ${index}` : `r${index}`));
  scene.waiting = [...texts];
  scene.batch.read(device);
  expect([device.got, scene.reads]).toEqual([texts, 2 * FUSE_READS_AT_ONCE]);
  scene.waiting = texts.map(() => 'other');
  scene.batch.read(device);
  expect(device.kept.map((bytes) => bytes.toString('latin1', 0, 6).trimEnd())).toEqual(
    texts.filter((text) => text.startsWith('keep')).map((text) => text.slice(0, 6)),
  );
  expect(new Set(device.kept).size).toBe(device.kept.length);
});

it('one turn takes a bounded number of requests; during a pause none is read, and those already read are passed on', () => {
  const scene = new Scene();
  const device = new Device(scene, 11);
  scene.waiting = Array.from({ length: 2 * FUSE_DRAIN_MAX }, (_, index) => `r${index}`);
  scene.batch.read(device);
  expect(device.got.length).toBe(FUSE_DRAIN_MAX);
  device.whenReceived = () => (device.isTaking = false);
  scene.batch.read(device);
  scene.batch.read(device);
  expect(device.got).toEqual(Array.from({ length: FUSE_DRAIN_MAX + FUSE_READS_AT_ONCE }, (_, index) => `r${index}`));
});

it('a request that is answered while others are being passed on loses none of these', () => {
  const scene = new Scene();
  const device = new Device(scene, 11);
  scene.waiting = ['one', 'two', 'three'];
  device.whenReceived = (text) => {
    device.add(`to ${text}`);
    device.add('more');
    scene.batch.flush();
  };
  scene.batch.read(device);
  expect(device.got).toEqual(['one', 'two', 'three']);
  expect(scene.written).toEqual(['one', 'two', 'three'].map((text) => [`11 to ${text}`, '11 more']));
});
