// Tests sendAtOnce with real sockets and a reader that stops and continues: all bytes arrive in order, no buffer is read after its callback,
// and each callback is called exactly once, after the call has returned, even if the connection breaks.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { AT_ONCE_MAX_BYTES } from './limits.ts';
import { sendAtOnce } from './send-at-once.ts';

const clean: (() => void)[] = [];

afterEach(() => {
  for (const one of clean.splice(0)) one();
});

/** Returns both ends of a connection: over loopback, or over a Unix socket, whose buffer in the kernel is smaller than a large write. */
async function pair(isUnix = false): Promise<{ near: Socket; far: Socket }> {
  const folder = mkdtempSync(join(tmpdir(), 'rsio-send-'));
  const server = isUnix ? createServer().listen(join(folder, 'socket')) : createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = isUnix ? connect(join(folder, 'socket')) : connect((server.address() as { port: number }).port, '127.0.0.1');
  await once(near, 'connect');
  const [far] = await accepted;
  clean.push(() => {
    for (const socket of [near, far]) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { near, far };
}

/** Resolves when the socket has closed, with or without an error. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

// While the reader waits, the kernel accepts only a part of a write, or nothing. The stream then writes the rest.
test.each([false, true])('bytes arrive in order, and a buffer may be re-used after its callback (Unix socket: %s)', async (isUnix) => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.integer({ min: 60_000, max: AT_ONCE_MAX_BYTES + 100_000 })), {
    minLength: 1,
    maxLength: 40,
  });
  let partly = 0;
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 7 }), async (lengths, burst) => {
      const { near, far } = await pair(isUnix);
      const streamed = near.write.bind(near) as (bytes: Uint8Array, sent: () => void) => boolean;
      near.write = (bytes: Uint8Array, sent: unknown) => {
        if (!lengths.includes(bytes.length)) partly++;
        return streamed(bytes, sent as () => void);
      };
      const total = lengths.reduce((sum, length) => sum + length, 0);
      const sent: number[] = [];
      let at = 0;
      for (const [index, length] of lengths.entries()) {
        const buffer = Buffer.alloc(length + 3);
        for (let byte = 0; byte < length; byte++) buffer[byte + 3] = (at++ * 7) % 251;
        let hasReturned = false;
        sendAtOnce(near, buffer, 3, length, (failed) => {
          expect([hasReturned, failed ?? null]).toEqual([true, null]);
          sent.push(index);
          buffer.fill(0xff);
        });
        hasReturned = true;
        if (index % burst === 0) await new Promise(setImmediate);
      }
      let [received, wrong] = [0, 0];
      far.on('data', (bytes: Buffer) => {
        for (const byte of bytes) if (byte !== (received++ * 7) % 251) wrong++;
      });
      while (received < total) await once(far, 'data');
      while (sent.length < lengths.length) await new Promise(setImmediate);
      expect(wrong).toBe(0);
      expect(sent.toSorted((a, b) => a - b)).toEqual(lengths.map((_length, index) => index));
      for (const one of clean.splice(0)) one();
    }),
    { numRuns: 20 },
  );
  if (isUnix) expect(partly).toBeGreaterThan(0);
});

test('A small write needs no write of the stream', async () => {
  const { near, far } = await pair();
  const received = once(far, 'data') as Promise<[Buffer]>;
  let written = 0;
  near.write = () => {
    written++;
    return true;
  };
  await new Promise<void>((resolve) => sendAtOnce(near, Buffer.from('-abc-'), 1, 3, () => resolve()));
  expect(String((await received)[0])).toBe('abc');
  expect(written).toBe(0);
});

test('Bytes wait behind those that already wait in the socket', async () => {
  const { near, far } = await pair();
  near.cork();
  near.write('first ');
  const sent = new Promise<void>((resolve) => sendAtOnce(near, Buffer.from('second'), 0, 6, () => resolve()));
  near.uncork();
  await sent;
  let text = '';
  while (text.length < 12) text += String(((await once(far, 'data')) as [Buffer])[0]);
  expect(text).toBe('first second');
});

test('After the end of the connection, the callback gets the error', async () => {
  const { near, far } = await pair();
  near.on('error', () => {});
  far.resetAndDestroy();
  await closed(near);
  const failed = await new Promise((resolve) => sendAtOnce(near, Buffer.from('late'), 0, 4, resolve));
  expect(failed).toBeInstanceOf(Error);
});

test('A write to a connection that the peer has reset reports the error', async () => {
  const { near, far } = await pair();
  const ended = closed(near);
  near.on('error', () => {});
  near.pause();
  far.resetAndDestroy();
  await once(far, 'close');
  let failed: unknown = null;
  for (let tries = 0; tries < 100 && failed === null; tries++) {
    failed = await new Promise((resolve) => sendAtOnce(near, Buffer.alloc(10), 0, 10, (error) => resolve(error ?? null)));
  }
  expect(failed).toBeInstanceOf(Error);
  await ended;
});
