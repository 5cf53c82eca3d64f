// Tests paths that a session must encrypt: such a path never becomes a plain path, and if its TLS does not begin, the listener learns that
// the session has no path. link/tls-transport.test.ts tests TLS itself, and link/tls-starts.test.ts tests when TLS begins. Rules: G22.

import { expect, test } from 'vitest';
import { PATHS_PER_TRUNK_MAX, TLS_START_MAX_MS } from '@rsio/protocol/link/limits';
import { MemoryLink } from '@rsio/protocol/testing/memory-transport';
import { OP } from '@rsio/protocol/wire/frames';
import { SessionScene } from '../testing/raw-client.ts';

const TLS = { identity: 'big-2', psk: '5c'.repeat(32) };

/**
 * Admits a proven connection whose client sends nothing. `ops` collects the first byte of each piece of clear text that the client
 * receives.
 */
function silentClient(scene: SessionScene): { readonly ops: number[] } {
  const link = new MemoryLink(scene.clock);
  const ops: number[] = [];
  link.client.events = { onBytes: (bytes, offset) => void ops.push(bytes[offset]!), onClosed: () => undefined };
  scene.admit(link, { tls: TLS });
  return { ops };
}

// If the session sent WELCOME in clear text, a middleman that delays the TLS of many paths would get a plain path, on which it could read
// and write volumes without a key.
test('with as many connections between START_TLS and TLS as a session has paths, a further one gets no WELCOME in clear', async () => {
  const scene = new SessionScene();
  const clients = Array.from({ length: PATHS_PER_TRUNK_MAX + 3 }, () => silentClient(scene));
  await scene.turn();
  const ops = clients.map((client) => client.ops);
  expect(ops.slice(0, PATHS_PER_TRUNK_MAX).every(([op]) => op === OP.START_TLS)).toBe(true);
  expect(ops.flat()).not.toContain(OP.WELCOME);
  expect(ops.slice(PATHS_PER_TRUNK_MAX)).toEqual([[OP.BYE], [OP.BYE], [OP.BYE]]);
});

// If the listener were not notified, a session whose only path never began TLS would count as connected forever, and no other machine could
// take the node's place.
test('the listener learns that a session has no path when TLS does not begin', async () => {
  const scene = new SessionScene();
  silentClient(scene);
  await scene.turn();
  expect(scene.pathCounts).toEqual([]);
  scene.clock.advance(TLS_START_MAX_MS + 1);
  expect(scene.pathCounts).toEqual([0]);
});
