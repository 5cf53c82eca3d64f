// Reading and writing a descriptor, with epoll and with pending reads. A named pipe replaces /dev/fuse: bytes written to the pipe are a
// request, and a reply returns as the next request. The real device is tested in test/integration/block-devices.test.ts.

import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FuseBatch } from './fuse-batch.ts';
import { FuseBuffers } from './fuse-buffers.ts';
import { FuseDevice } from './fuse-device.ts';

class Scene {
  readonly buffers = new FuseBuffers();
  readonly received: string[] = [];
  readonly kept: Buffer[] = [];
  readonly device: FuseDevice;
  readonly fd: number;
  whenReceived: (() => void) | null = null;
  isBusy = false;

  constructor(usesPoll: boolean, withBatch = false) {
    const folder = mkdtempSync(path.join(tmpdir(), 'rsio-fuse-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const pipe = path.join(folder, 'pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    this.fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    this.device = new FuseDevice(openSync(pipe, 'r+'), {
      buffers: this.buffers,
      batch: withBatch ? FuseBatch.ofMachine(this.buffers) : null,
      usesPoll,
      isBusy: () => this.isBusy,
      gone: (reason) => this.received.push(`gone: ${reason}`),
      receive: (bytes, lengthBytes) => {
        const text = bytes.toString('latin1', 0, lengthBytes);
        this.received.push(text);
        this.whenReceived?.();
        if (!text.startsWith('keep')) return false;
        this.kept.push(bytes);
        return true;
      },
    });
    this.device.start();
  }

  /** Sends a request or a reply, and resolves when the device has received it. */
  async send(text: string, by: 'request' | 'reply' = 'request'): Promise<void> {
    const arrived = new Promise<void>((resolve) => (this.whenReceived = resolve));
    if (by === 'reply') this.device.reply(Buffer.from(`__${text}__`), 2, 2 + text.length);
    else writeSync(this.fd, text);
    await arrived;
  }

  /** Writes to the pipe, because a pending read would prevent the process from exiting. */
  end(): void {
    this.device.close();
    writeSync(this.fd, 'end');
    closeSync(this.fd);
  }
}

describe.each([
  ['by epoll', true],
  ['by pending reads', false],
])('%s', (_, usesPoll) => {
  it('requests are received one by one, a kept buffer is not reused, and replies leave', async () => {
    const scene = new Scene(usesPoll);
    for (const text of ['one', 'keep two', 'keep three', 'four']) await scene.send(text);
    await scene.send('five', 'reply');
    expect(scene.received).toEqual(['one', 'keep two', 'keep three', 'four', 'five']);
    expect(scene.kept.map((buffer) => buffer.toString('latin1', 0, 8))).toEqual(['keep two', 'keep thr']);
    expect(scene.buffers.inUse).toBe(3);
    scene.end();
    scene.device.reply(Buffer.from('late'), 0, 4);
    expect(scene.received).toHaveLength(5);
  });

  it('requests that arrive during a pause are received after it', async () => {
    const scene = new Scene(usesPoll);
    await scene.send('first');
    scene.device.pause();
    scene.device.resume();
    await scene.send('second');
    expect(scene.received).toEqual(['first', 'second']);
    scene.end();
  });
});

it('with epoll, nothing at all is received during a pause', async () => {
  const scene = new Scene(true);
  await scene.send('first');
  scene.device.pause();
  const second = scene.send('second');
  // More turns of the event loop than a running device needs to receive a request.
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(scene.received).toEqual(['first']);
  scene.device.resume();
  await second;
  expect(scene.received).toEqual(['first', 'second']);
  scene.end();
  expect(scene.buffers.inUse).toBe(0);
});

describe.each([
  ['one by one', false],
  ['in a batch', true],
])('with epoll under load, %s', (_, withBatch) => {
  it('all pending requests are received, each in its own buffer', async (context) => {
    const scene = new Scene(true, withBatch);
    scene.isBusy = true;
    context.skip(withBatch && FuseBatch.ofMachine(scene.buffers) === null, 'needs asynchronous I/O of the kernel');
    const [later, turns] = [['keep two', 'keep three', 'four'], [] as number[]];
    let turn = 0;
    const count = setInterval(() => turn++, 0);
    await new Promise<void>((resolve) => {
      scene.whenReceived = () => {
        turns.push(turn);
        const next = later.shift();
        if (next === undefined) resolve();
        else writeSync(scene.fd, next);
      };
      writeSync(scene.fd, 'one');
    });
    clearInterval(count);
    expect(scene.received).toEqual(['one', 'keep two', 'keep three', 'four']);
    // Several requests that wait in a pipe would be read as one. Each request is therefore sent only after the previous one was received,
    // when the batch has already finished reading.
    if (!withBatch) expect(new Set(turns).size).toBe(1);
    expect(scene.kept.map((buffer) => buffer.toString('latin1', 0, 8))).toEqual(['keep two', 'keep thr']);
    scene.end();
  });
});

it('replies under load leave at the end of the turn, or before the descriptor is closed', async (context) => {
  const scene = new Scene(true, true);
  context.skip(FuseBatch.ofMachine(scene.buffers) === null, 'needs asynchronous I/O of the kernel');
  const read = (): string => {
    const bytes = Buffer.alloc(100);
    try {
      return bytes.toString('latin1', 0, readSync(scene.fd, bytes));
    } catch {
      return 'nothing';
    }
  };
  scene.device.pause();
  scene.isBusy = true;
  const reply = (text: string): void => scene.device.reply(Buffer.from(`__${text}__`), 2, 2 + text.length);
  reply('one,');
  reply('two,');
  expect(read()).toBe('nothing');
  await new Promise((resolve) => setImmediate(resolve));
  expect(read()).toBe('one,two,');
  reply('three,');
  scene.isBusy = false;
  reply('four');
  expect(read()).toBe('nothing');
  scene.device.close();
  reply('five');
  expect(read()).toBe('three,four');
  closeSync(scene.fd);
});
