// The judge of worlds waits for a request that a server still executes although its client has stopped asking, and reports a request that
// never ends. Seeds test the judge while a world runs.

import { SlotTable } from '@rsio/protocol/link/slot-table';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { expect, test } from 'vitest';
import { Judge } from './sim-judge.ts';
import type { SimWorld } from './sim-world.ts';

/** A world without clients. The server still has the session of an earlier client, and executes a READ of this session. */
function abandonedWorld(): { readonly world: SimWorld; readonly session: { isEnding: boolean }; readonly slots: SlotTable } {
  const slots = new SlotTable(1);
  slots.receive({ op: OP.READ, flags: 0, handle: 1, slot: 0, seq: 1, lba: 241, count: 5, length: 0, aux: 0 }, 0, 0, 0);
  const session = { node: 'node0', isEnding: false, session: { slots, volumes: { open: new Map() } } };
  const server = { name: 'server0', sessions: new Map([['node0', session]]) };
  const world = { clients: [], users: [], servers: [server], shape: { volumes: 1 } } as unknown as SimWorld;
  return { world, session, slots };
}

test('the judge waits for a request of a replaced client whose session has not been told to end yet', () => {
  const { world, slots } = abandonedWorld();
  const breaches: string[] = [];
  const judge = new Judge(world, breaches);
  expect(judge.isQuiet).toBe(false);
  slots.finish(0, STATUS.OK);
  expect(judge.isQuiet).toBe(true);
  judge.quiet();
  expect(breaches).toEqual([]);
});

test('a request that never ends is a breach', () => {
  const { world } = abandonedWorld();
  const breaches: string[] = [];
  new Judge(world, breaches).quiet();
  expect(breaches).toEqual(['1 requests are executing at server0 at the end']);
});

test('a session that is ending is judged at the close', () => {
  const { world, session } = abandonedWorld();
  session.isEnding = true;
  const breaches: string[] = [];
  const judge = new Judge(world, breaches);
  expect(judge.isQuiet).toBe(true);
  judge.quiet();
  expect(breaches).toEqual([]);
});
