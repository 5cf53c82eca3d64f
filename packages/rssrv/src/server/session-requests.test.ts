// Tests which CLOSEs of a session end the client's hold, and what a client with the right `copy` is refused. Holds and admissions are stand-ins. The file data-processes.test.ts
// tests two sessions that use one volume. Invariant: the CLOSE of one data process never ends a hold that another data process uses.
// Rules: T8.

import { expect, test } from 'vitest';
import { VolumeUses } from '../volumes/holds/volume-uses.ts';
import { STATUS } from '@rsio/protocol/wire/status';
import type { SessionRequest } from '../session/channel/channel.ts';
import type { ServedVolume } from '../storage/io/served-volume.ts';
import type { ServedSession } from './served-session.ts';
import { SessionRequests, type SessionRequestParts } from './session-requests.ts';

test('the last CLOSE of a data process ends the hold, unless another data process uses the volume', async () => {
  const released: string[] = [];
  let beside: ServedSession | null = null;
  const requests = new SessionRequests({
    snapshots: { isCopying: () => false },
    holds: { release: async (id: string) => void released.push(id) },
    admissions: { usedBeside: () => beside },
    administration: {},
  } as unknown as SessionRequestParts);
  const session = { client: { node: 'big-2' }, uses: new VolumeUses() } as unknown as ServedSession;
  session.uses.add('id');
  beside = session;
  await requests.answer(session, { what: 'release', volumeId: 'id', epoch: 1 });
  expect([released, session.uses.has('id')]).toEqual([[], false]);
  beside = null;
  await requests.answer(session, { what: 'release', volumeId: 'id', epoch: 1 });
  expect(released).toEqual(['id']);
});

// Regression: with the key of the server that copies, every volume for all clients could be taken over and overwritten.
test('a client with the right copy sees no volume, opens only what the snapshots give it, and gets no vote, record or news of nodes', async () => {
  const served = { id: 'v', name: 'db', universe: 0, clients: null } as unknown as ServedVolume;
  const opened: string[] = [];
  let role = 'copy';
  const requests = new SessionRequests({
    snapshots: {
      isCopying: () => role === 'copy',
      find: (_node: string, { name }: { name: string }) => (opened.push(name) > 0 ? null : null),
      whyMissing: () => null,
    },
    volumes: { served: [served], failures: [] },
    administration: { failures: [] },
    current: { config: { interfaces: [] } },
    revocations: { isBarred: () => false, refusalOf: () => null },
    bandwidth: { heldBy: () => null },
    shortage: new Set(),
    holds: { holdersOf: () => [] },
    admissions: { usedBeside: () => null },
    server: 'oslo',
  } as unknown as SessionRequestParts);
  const session = {
    client: { node: 'bergen' },
    uses: new VolumeUses(),
    generation: 1,
    workerSession: { isEnding: false, ending: null },
  } as unknown as ServedSession;
  const ask = (request: object): Promise<unknown> => requests.answer(session, request as SessionRequest);
  expect(await ask({ what: 'list' })).toMatchObject({ volumes: [] });
  for (const name of ['db', 'db@moment'])
    expect(await ask({ what: 'grant', request: { name, universe: 0, take: 2, resume: null } })).toMatchObject({
      granted: false,
      status: STATUS.UNKNOWN_VOLUME,
    });
  expect(new Set(opened)).toEqual(new Set(['db@moment']));
  for (const what of ['vote', 'record-read', 'record-write', 'nodes-seen'])
    expect(JSON.stringify(await ask({ what })), what).toContain('has the right copy');
  role = 'use';
  expect(await ask({ what: 'list' })).toMatchObject({ volumes: [{ name: 'db' }] });
});
