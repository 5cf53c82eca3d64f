// Tests which CLOSEs of a session end the client's hold. Holds and admissions are stand-ins. The file data-processes.test.ts
// tests two sessions that use one volume. Invariant: the CLOSE of one data process never ends a hold that another data process uses.

import { expect, test } from 'vitest';
import { VolumeUses } from '../volumes/holds/volume-uses.ts';
import type { ServedSession } from './served-session.ts';
import { SessionRequests, type SessionRequestPorts } from './session-requests.ts';

test('the last CLOSE of a data process ends the hold, unless another data process uses the volume', async () => {
  const released: string[] = [];
  let beside: ServedSession | null = null;
  const requests = new SessionRequests({
    holds: { release: async (id: string) => void released.push(id) },
    admissions: () => ({ usedBeside: () => beside }),
  } as unknown as SessionRequestPorts);
  const session = { uses: new VolumeUses() } as unknown as ServedSession;
  session.uses.add('id');
  beside = session;
  await requests.answer(session, { what: 'release', volumeId: 'id', epoch: 1 });
  expect([released, session.uses.has('id')]).toEqual([[], false]);
  beside = null;
  await requests.answer(session, { what: 'release', volumeId: 'id', epoch: 1 });
  expect(released).toEqual(['id']);
});
