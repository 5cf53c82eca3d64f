// Tests how a server begins TLS on proven connections: in bounded time, and with exactly one outcome. tls-transport.test.ts tests TLS
// itself. Invariant: the link is ideal. Everything that is sent therefore arrives with the next step of the clock.
// See docs/PROTOCOL.md, Encrypted paths.

import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { MemoryLink } from '../testing/memory-transport.ts';
import { OP } from '../wire/frames.ts';
import { HEADER_BYTES } from '../wire/limits.ts';
import { TLS_START_MAX_MS } from './limits.ts';
import { TlsStarts } from './tls-starts.ts';

const TLS = { identity: 'big-2', psk: '5c'.repeat(32) };

class Scene {
  readonly clock = new FakeClock();
  readonly starts = new TlsStarts(this.clock);
  readonly outcomes: string[] = [];
  readonly link = new MemoryLink(this.clock);
  received = Buffer.alloc(0);

  constructor() {
    this.link.client.events = {
      onBytes: (bytes, offset, lengthBytes) => {
        this.received = Buffer.concat([this.received, bytes.subarray(offset, offset + lengthBytes)]);
      },
      onClosed: (reason) => this.outcomes.push(`the client sees: ${reason}`),
    };
    this.starts.begin(
      this.link.server,
      TLS,
      () => this.outcomes.push('secured'),
      (reason) => this.outcomes.push(`failed: ${reason}`),
    );
    this.clock.advance(1);
  }

  send(bytes: Buffer): void {
    this.link.client.send(bytes, 0, bytes.length, () => undefined);
    this.clock.advance(1);
  }
}

test('the client gets START_TLS, and the connection is handed on when it is secure', () => {
  const scene = new Scene();
  expect([scene.received.length, scene.received[0], scene.outcomes]).toEqual([HEADER_BYTES, OP.START_TLS, []]);
  scene.link.client.startTls({ side: 'client', identity: 'big-2', psk: Buffer.alloc(32, 0x5c) }, () => scene.outcomes.push('client'));
  scene.clock.advance(TLS_START_MAX_MS);
  expect([scene.outcomes, scene.starts.count, scene.link.server.isClosed]).toEqual([['client', 'secured'], 0, false]);
});

test('a client that stays silent is disconnected', () => {
  const scene = new Scene();
  scene.clock.advance(TLS_START_MAX_MS - 2);
  expect(scene.starts.count).toBe(1);
  scene.clock.advance(3);
  expect(scene.outcomes).toEqual([`failed: TLS did not begin within ${TLS_START_MAX_MS} ms`, expect.stringMatching(/reset/)]);
  expect(scene.starts.count).toBe(0);
});

test('a client that sends something else is disconnected', () => {
  const scene = new Scene();
  scene.send(Buffer.alloc(100, 1));
  expect(scene.outcomes[0]).toBe('failed: TLS: the peer does not have the key of this connection');
  expect([scene.starts.count, scene.link.server.isClosed]).toEqual([0, true]);
});

test('a client that leaves is forgotten', () => {
  const scene = new Scene();
  scene.link.client.destroy(true);
  scene.clock.advance(1);
  expect([scene.outcomes.length, scene.starts.count]).toEqual([1, 0]);
  scene.clock.advance(TLS_START_MAX_MS);
  expect(scene.outcomes.length).toBe(1);
});

test('at the end of the session, all connections that are not secure are closed', () => {
  const scene = new Scene();
  scene.starts.end('The session is ending');
  scene.clock.advance(1);
  expect(scene.outcomes).toEqual(['failed: The session is ending', expect.stringMatching(/reset/)]);
  scene.starts.cancel(scene.link.server, 'again');
  expect(scene.outcomes.length).toBe(2);
});
