// Two real ends against each other: a client's trunk with its supervisors, a server's handshake and session, over a network in memory.
// The world, its misfortunes and its judgement are in testing/; here are the seeds. A failing seed replays: TRUNK_SEED=n runs it alone.
// The sequence number wraps after two uses, because with 2^16 a slot used again too early would not show.

import { describe, expect, test, vi } from 'vitest';
import { TrunkWorld, type WorldOptions } from './testing/trunk-world.ts';

vi.mock('@rsio/protocol/limits', async (original) => ({ ...(await original<typeof import('@rsio/protocol/limits')>()), SEQ_MODULUS: 2 }));

type Kind = Omit<WorldOptions, 'seed'> & { readonly name: string; readonly seeds: number };

const KINDS: readonly Kind[] = [
  { name: 'calm', seeds: 10, paths: 2, volumes: 1, requests: 200, maxSectors: 64, digest: false, misfortuneMs: 0, fast: 0.7, slots: 256 },
  {
    name: 'two paths',
    seeds: 60,
    paths: 2,
    volumes: 1,
    requests: 150,
    maxSectors: 64,
    digest: false,
    misfortuneMs: 120,
    fast: 0.5,
    slots: 256,
  },
  {
    name: 'four paths',
    seeds: 60,
    paths: 4,
    volumes: 2,
    requests: 100,
    maxSectors: 32,
    digest: true,
    misfortuneMs: 60,
    fast: 0.3,
    slots: 40,
  },
  {
    name: 'one path',
    seeds: 30,
    paths: 1,
    volumes: 1,
    requests: 80,
    maxSectors: 64,
    digest: true,
    misfortuneMs: 300,
    fast: 0.5,
    slots: 16,
  },
  {
    name: 'few slots',
    seeds: 40,
    paths: 3,
    volumes: 1,
    requests: 150,
    maxSectors: 8,
    digest: false,
    misfortuneMs: 60,
    fast: 0.6,
    slots: 9,
  },
];

describe.each(KINDS)('$name', ({ name, seeds, ...options }) => {
  const only = process.env['TRUNK_SEED'];
  const list = only === undefined ? Array.from({ length: seeds }, (_unused, index) => index + 1) : [Number(only)];

  test(`${list.length} seeds`, async () => {
    for (const seed of list)
      expect({ name, seed, breaches: await new TrunkWorld({ ...options, seed }).run() }).toEqual({ name, seed, breaches: [] });
  });

  test(`${list.length} seeds, ended in the middle`, async () => {
    for (const seed of list) {
      const world = new TrunkWorld({ ...options, requests: 1000, seed });
      const breaches = await world.runAndEndEarly(world.random.int(1, 1000));
      expect({ name, seed, breaches }).toEqual({ name, seed, breaches: [] });
    }
  });
});
