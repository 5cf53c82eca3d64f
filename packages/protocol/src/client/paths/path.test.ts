// Tests that the memory of a path stays bounded if the server does not read the output of the path, or sends an endless answer in empty
// parts. trunk.test.ts tests the meaning of answers. The test has no network: its transport keeps all output and never reports output as
// sent.

import { expect, test } from 'vitest';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { Histogram } from '@rsio/base/structures/histogram';
import { HEARTBEAT_INTERVAL_MS } from '@rsio/common/config/schema/limits';
import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import { OUTPUT_HARD_MAX_BYTES } from '../../link/limits.ts';
import { SLOTS } from '../../wire/limits.ts';
import { ANSWER_PARTS_MAX_BYTES } from '../limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { OutputPool } from '../../wire/encoder.ts';
import { ANSWER, FLAG, OP } from '../../wire/frames.ts';
import { emptyHeader, writeMessageHeader } from '../../wire/header.ts';
import { Ping } from '../../wire/messages.ts';
import { Connection, type ConnectionEvents } from '../../link/connection.ts';
import { Path, type PathEvents } from './path.ts';
import type { PathTransport } from '../../link/path-transport.ts';

const IDLE: ConnectionEvents = { bodyBegins: () => {}, frame: () => {}, received: () => {}, drained: () => {}, closed: () => {} };

const LATENCIES = { read: new Histogram(), write: new Histogram() };

function deafPath(): { path: Path; transport: PathTransport; reasons: string[] } {
  const reasons: string[] = [];
  const transport: PathTransport = {
    events: null,
    localAddress: '',
    remoteAddress: '',
    remotePort: 0,
    cipher: null,
    startTls: () => {},
    send: () => {},
    destroy: () => {},
    end: () => {},
  };
  const owner: PathEvents = {
    answerBegins: () => {},
    answer: () => {},
    fenced: () => {},
    revoked: () => {},
    replaced: () => {},
    generationSeen: () => {},
    pathReceived: () => {},
    pathDrained: () => {},
    pathClosed: (_path, reason) => reasons.push(reason),
  };
  const connection = new Connection(transport, { bodies: new BufferPool(0), outputs: new OutputPool() }, IDLE);
  return { path: new Path(0, connection, SLOTS, HEARTBEAT_INTERVAL_MS, LATENCIES, new FakeClock(), owner), transport, reasons };
}

function ping(): Buffer {
  const body = Ping.encode({ number: 1, clockMs: 1, heard: 0, oldestMs: 0, generation: 0 });
  const header = Buffer.alloc(16);
  writeMessageHeader(header, 0, OP.PING, 0, 0, 0, 0, body.length, 0);
  return Buffer.concat([header, body]);
}

test('a path closes if the server sends PINGs without end and reads no PONG', () => {
  const { path, transport, reasons } = deafPath();
  const bytes = ping();
  transport.events?.onBytes(bytes, 0, bytes.length);
  expect(reasons).toEqual([]);
  const { encoder } = path.connection;
  while (encoder.queuedBytes <= OUTPUT_HARD_MAX_BYTES) encoder.raw(Buffer.alloc(BODY_MAX_BYTES));
  transport.events?.onBytes(bytes, 0, bytes.length);
  expect(reasons).toEqual(['The server does not read its input']);
});

test('an answer in empty parts is bounded, too', () => {
  const { path, reasons } = deafPath();
  const header = { ...emptyHeader(), op: OP.LIST | ANSWER, flags: FLAG.MORE };
  let parts = 0;
  while (reasons.length === 0 && parts < 1_000_000) {
    path.keepPart(header, Buffer.alloc(0), 0);
    parts++;
  }
  expect(reasons).toEqual([`Protocol error of the server: LIST answer exceeds ${ANSWER_PARTS_MAX_BYTES} bytes`]);
});
