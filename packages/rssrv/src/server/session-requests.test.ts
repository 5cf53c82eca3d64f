// Tests which CLOSEs of a session end the client's hold, and what clients with the rights `copy` and `view` are refused. Holds and admissions
// are stand-ins. The file data-processes.test.ts tests two sessions that use one volume. Invariant: the CLOSE of one data process never ends a hold that another data process uses.
// Rules: T8.

import { expect, test } from 'vitest';
import type { ClientRole } from '@rsio/common/config/schema/types';
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
    current: { config: { rights: [] } },
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
  const { ask, opened, setRole } = sceneOf('copy');
  expect(await ask({ what: 'list' })).toMatchObject({ volumes: [] });
  for (const name of ['db', 'db@moment'])
    expect(await ask({ what: 'grant', request: { name, universe: 0, take: 2, resume: null } })).toMatchObject({
      granted: false,
      status: STATUS.UNKNOWN_VOLUME,
    });
  expect(new Set(opened)).toEqual(new Set(['db@moment']));
  for (const what of ['vote', 'record-read', 'record-write', 'nodes-seen'])
    expect(JSON.stringify(await ask({ what })), what).toContain('has the right copy');
  setRole('use');
  expect(await ask({ what: 'list' })).toMatchObject({ volumes: [{ name: 'db' }] });
});

test('a client with the right view sees all volumes, opens no volume and no snapshot, and gets no vote, record or news of nodes', async () => {
  const { ask, opened, setRole } = sceneOf('view');
  expect(await ask({ what: 'list' })).toMatchObject({ volumes: [{ name: 'db' }, { name: 'hers' }] });
  for (const name of ['db', 'db@moment'])
    for (const resume of [null, 'v.1'])
      expect(await ask({ what: 'grant', request: { name, universe: 0, take: 2, resume } })).toEqual({
        granted: false,
        status: STATUS.NO_RIGHTS,
        sentence: `Client bergen may not open volume ${name}: its right is view, and use is needed; rsadm client rights bergen use gives it`,
        holders: [],
      });
  expect(opened).toEqual([]);
  for (const what of ['vote', 'record-read', 'record-write', 'nodes-seen'])
    expect(JSON.stringify(await ask({ what })), what).toContain('has the right view, and changes nothing: it needs the right use');
  setRole('use');
  expect(await ask({ what: 'list' })).toMatchObject({ volumes: [{ name: 'db' }] });
});

function sceneOf(first: ClientRole) {
  const volume = { id: 'v', name: 'db', universe: 0, clients: null };
  const served = [volume, { ...volume, id: 'w', name: 'hers', clients: ['oslo'] }] as unknown as readonly ServedVolume[];
  const opened: string[] = [];
  let role = first;
  const requests = new SessionRequests({
    snapshots: {
      find: (_node: string, { name }: { name: string }) => (opened.push(name) > 0 ? null : null),
      whyMissing: () => null,
    },
    volumes: { served, failures: [] },
    administration: { failures: [] },
    current: {
      get config() {
        return { interfaces: [], rights: [{ name: 'bergen', role }] };
      },
    },
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
  return {
    opened,
    ask: (request: object): Promise<unknown> => requests.answer(session, request as SessionRequest),
    setRole: (next: ClientRole) => void (role = next),
  };
}
