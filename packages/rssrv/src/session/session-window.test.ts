// The byte window of a session whose storage never ends a write: how many bytes a client may have in unanswered requests, and what happens
// to a path on which a client sends more. test/sim runs correct clients.

import { expect, test } from 'vitest';
import { BufferPool } from '@rsio/common/structures/buffer-pool';
import type { Log } from '@rsio/common/log/log';
import { BODY_MAX_BYTES, VOLUME_MAX_BYTES } from '@rsio/common/lib/limits';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { HEADER_BYTES, IO_MAX_SECTORS } from '@rsio/protocol/wire/limits';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import type { PathTransport } from '@rsio/protocol/link/path-transport';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { OP } from '@rsio/protocol/wire/frames';
import { writeIoHeader, writeMessageHeader } from '@rsio/protocol/wire/header';
import { encodeOpenRequest } from '@rsio/protocol/wire/message-codec';
import { type Backend, type IoDone, WOULD_WAIT } from '../storage/io/backend.ts';
import { Session } from './session.ts';

const HANDLE = 1;
const AT = { name: 'if1', address: '127.0.0.1', port: 5000 };
const VOLUME = {
  name: 'oracle',
  universe: 0,
  id: 'id',
  type: 'file',
  path: null,
  sizeBytes: VOLUME_MAX_BYTES,
  blockSizeBytes: 512,
  readonly: false,
  shared: false,
  clients: null,
  takeOver: null,
  takeOverForce: false,
} as const;

/** A session with an open volume whose writes wait in `writes`. */
async function sessionWithOpenVolume(): Promise<{ transport: PathTransport; writes: IoDone[]; isClosed: () => boolean; log: string[] }> {
  const writes: IoDone[] = [];
  const backend: Backend = {
    sizeBytes: VOLUME.sizeBytes,
    capabilities: { type: 'file', readonly: false, canDiscard: false, canZeroFast: false, canExtents: false },
    tryRead: () => WOULD_WAIT,
    tryWrite: () => WOULD_WAIT,
    read: () => {},
    write: (_source, _offset, _length, _position, _fua, done) => writes.push(done),
    flush: () => {},
    discard: () => {},
    zero: () => {},
    extents: () => {},
    close: () => Promise.resolve(),
  };
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const log: Log = { debug: say, info: say, warn: say, error: say, child: () => log };
  const session = new Session(Buffer.alloc(16), [AT], 1, {
    clock: new FakeClock(),
    log,
    pools: { bodies: new BufferPool(0), outputs: new OutputPool() },
    pathsChanged: () => {},
    clientEnds: () => undefined,
    list: () => Promise.resolve({ generation: 1, interfaces: [], volumes: [] }),
    grant: () => Promise.resolve({ granted: true, volume: VOLUME, readonly: false, identity: 'id.1', incarnation: 'life', epoch: 1 }),
    admin: () => Promise.reject(new Error('No ADMIN here')),
    vote: () => Promise.reject(new Error('No VOTE here')),
    settle: () => Promise.resolve({ isSettled: true }),
    lost: () => undefined,
    cut: () => undefined,
    release: () => Promise.resolve(),
    waitsForSpace: () => undefined,
    throttled: () => undefined,
    held: () => undefined,
    askSnapshot: () => Promise.resolve(null),
    clone: () => Promise.resolve(null),
    openBackend: () => Promise.resolve(backend),
  });
  let isDestroyed = false;
  const transport: PathTransport = {
    events: null,
    localAddress: '127.0.0.1',
    remoteAddress: '127.0.0.1',
    remotePort: 1,
    cipher: null,
    startTls: () => {},
    send: (_buffer, _start, _length, done) => done(),
    destroy: () => {
      isDestroyed = true;
    },
    end: () => {},
  };
  session.admit(transport, {
    welcomeKey: '00',
    tls: null,
    transcript: '00',
    arrivedAt: AT,
    digest: false,
    mayRevoke: false,
    mayAdminister: false,
    mayVote: false,
    dead: [],
  });
  const body = encodeOpenRequest({ name: 'oracle', universe: 0, readonly: false });
  const header = Buffer.alloc(HEADER_BYTES);
  writeMessageHeader(header, 0, OP.OPEN, 0, 0, 0, 1, body.length, 0);
  receive(transport, Buffer.concat([header, body]));
  await new Promise((resolve) => setImmediate(resolve));
  return { transport, writes, isClosed: () => isDestroyed, log: lines };
}

function receive(transport: PathTransport, bytes: Buffer): void {
  transport.events?.onBytes(bytes, 0, bytes.length);
}

function write(slot: number, count: number, seq = 1): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + count * 512);
  writeIoHeader(frame, 0, OP.WRITE, 0, HANDLE, slot, seq, slot * IO_MAX_SECTORS, count);
  return frame;
}

const LARGEST_IN_WINDOW = WINDOW_BYTES / BODY_MAX_BYTES;

test('the window may be filled to the byte; one sector more closes the path and is not executed', async () => {
  const { transport, writes, isClosed, log } = await sessionWithOpenVolume();
  for (let slot = 1; slot <= LARGEST_IN_WINDOW; slot++) receive(transport, write(slot, IO_MAX_SECTORS));
  expect(writes).toHaveLength(LARGEST_IN_WINDOW);
  expect(isClosed()).toBe(false);
  receive(transport, write(100, 1));
  expect(writes).toHaveLength(LARGEST_IN_WINDOW);
  expect(isClosed()).toBe(true);
  expect(log.at(-1)).toContain(`Protocol error of the client: More than the window of ${WINDOW_BYTES} bytes is unanswered`);
});

test('answered requests leave the window', async () => {
  const { transport, writes, isClosed } = await sessionWithOpenVolume();
  for (let slot = 1; slot <= LARGEST_IN_WINDOW; slot++) receive(transport, write(slot, IO_MAX_SECTORS));
  writes[0]?.(0);
  receive(transport, write(1, IO_MAX_SECTORS, 2));
  expect(isClosed()).toBe(false);
  expect(writes).toHaveLength(LARGEST_IN_WINDOW + 1);
});
