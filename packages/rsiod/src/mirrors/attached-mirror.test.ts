// Tests the comparison of the replicas of one attached mirror, and the detach of the mirror (rule M13). The test gives the orders of the
// decider, and decides when the replicas are equal. test/integration/mirror.test.ts tests real daemons.

import { defaultVolumeSettings } from '@rsio/common/config/schema/inherited';
import type { EffectiveVolume } from '@rsio/common/config/effective-volume';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { Copier } from '@rsio/protocol/mirror/copy/copier';
import { CopyBuffers } from '@rsio/protocol/mirror/copy/copy-buffers';
import type { MirrorView, ReplicaView } from '@rsio/protocol/mirror/membership/interface';
import { Request } from '@rsio/protocol/client/requests/request';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { Membership } from '@rsio/protocol/mirror/membership/membership';
import { Verifier } from '@rsio/protocol/mirror/verify/verifier';
import { afterEach, expect, test, vi } from 'vitest';
import { AttachedMirror } from './attached-mirror.ts';

const DETACH_MS = 1_000;
const REPLICA: ReplicaView = {
  identity: 'a'.repeat(32),
  server: 1,
  role: 'member',
  counts: true,
  reads: true,
  confirms: true,
  session: 'open',
  mayJoin: false,
  foundBytes: 0,
  lacksTerm: null,
};
const OTHER: ReplicaView = { ...REPLICA, identity: 'b'.repeat(32), server: 2 };
const VIEW: MirrorView = {
  term: 7,
  isServing: true,
  replicas: [REPLICA, OTHER],
  voterSets: [],
  sizeBytes: 1 << 20,
  isPending: false,
  isAllInSync: true,
  waitsFor: null,
};

afterEach(() => {
  vi.restoreAllMocks();
});

function served(clock: FakeClock, replicas: readonly ReplicaView[] = VIEW.replicas, given: Partial<EffectiveVolume> = {}): AttachedMirror {
  vi.spyOn(Copier.prototype, 'isSettled', 'get').mockReturnValue(true);
  vi.spyOn(Membership.prototype, 'on')
    .mockReturnValue([])
    .mockReturnValueOnce([{ kind: 'view', view: { ...VIEW, replicas } }]);
  const settings = { ...defaultVolumeSettings(), logSizeBytes: 0, ...given };
  const mirror = new AttachedMirror(
    {
      mirror: 'a'.repeat(32),
      name: 'db',
      universe: 0,
      me: { node: 'big-2', instance: 1 },
      takesOver: false,
      isAutomatic: false,
      servers: [],
    },
    {
      clock,
      volume: { namespace: 'osl', name: 'db', universe: 0 },
      readonly: false,
      random: () => 0,
      servers: () => [],
      newLog: () => null,
      settings: () => settings as EffectiveVolume,
      buffers: new CopyBuffers(),
      serving: () => undefined,
      grown: () => undefined,
      ended: () => expect.unreachable(),
      note: () => undefined,
    },
  );
  mirror.driver.report({ kind: 'caught-up', identity: 'a'.repeat(32) });
  clock.advance(0);
  return mirror;
}

test.each([
  [{ resyncRateBytes: 4096 }, 4096, 4096],
  [{ resyncRateBytes: 4096, verifyRateBytes: 8192 }, 4096, 8192],
  [{ resyncRateBytes: 4096, verifyRateBytes: 0 }, 4096, null],
  [{ resyncRateBytes: 0, verifyRateBytes: 8192 }, null, 8192],
] as const)('with %o, a copy has the rate %o and a comparison %o', (given, copied, compared) => {
  const [copier, verifier] = [vi.spyOn(Copier.prototype, 'setRate'), vi.spyOn(Verifier.prototype, 'setRate')];
  served(new FakeClock(), VIEW.replicas, given).verify(false, null);
  expect([copier.mock.lastCall, verifier.mock.calls]).toEqual([[copied], [[compared]]]);
});

test('a detach ends a comparison, and none is begun from then on', async () => {
  const clock = new FakeClock();
  const mirror = served(clock);
  mirror.verify(false, null);
  expect(mirror.verification).toMatchObject({ isRunning: true });
  const detached = mirror.detach(DETACH_MS);
  expect(mirror.verification).toMatchObject({ isRunning: false, stopped: 'The mirror is detached' });
  expect(() => mirror.verify(true, null)).toThrow(
    expect.objectContaining({ code: 'E_BUSY', message: 'osl:db@0 is being detached: attach it again to compare its replicas' }),
  );
  clock.advance(DETACH_MS);
  expect(await detached).toBe(false);
});

/** Submits a request of a user, and returns the list to which its status is appended. */
function submitted(mirror: AttachedMirror, op: number): number[] {
  const statuses: number[] = [];
  const request = Object.assign(new Request(), { op, count: 1, bodyBytes: 512, buffer: Buffer.alloc(512) });
  request.events = { requestDone: (_done, status) => statuses.push(status) };
  mirror.io.submit(request, 0);
  return statuses;
}

test('a detach refuses users from then on', async () => {
  const clock = new FakeClock();
  const mirror = served(clock);
  const wish = vi.spyOn(mirror.driver, 'wish');
  const detached = mirror.detach(DETACH_MS);
  expect(wish.mock.calls).toEqual([[{ kind: 'detach' }]]);
  const [read, write] = [submitted(mirror, OP.READ), submitted(mirror, OP.WRITE)];
  clock.advance(DETACH_MS);
  expect([read, write, await detached]).toEqual([[STATUS.SHUTTING_DOWN], [STATUS.SHUTTING_DOWN], false]);
});

test.each([
  ['a request is under way', OP.READ, false],
  ['a change has no flush after it', OP.WRITE, true],
])('no clean end is wished for when %s', async (_why, op, isAbandoned) => {
  const mirror = served(new FakeClock());
  const wish = vi.spyOn(mirror.driver, 'wish');
  submitted(mirror, op);
  if (isAbandoned) mirror.io.abandon();
  expect(await mirror.detach(DETACH_MS)).toBe(false);
  expect(wish).not.toHaveBeenCalled();
});

// Regression: a comparison of a mirror with only one replica in sync waited, without a message, for a second replica in sync.
test.each([
  [[REPLICA, { ...OTHER, role: 'returning' as const }], /^Only the replica on server 1 of osl:db@0 is in sync, .*: wait for the others/],
  [[REPLICA], /: rsconfig mirror add osl:db@0 --server NAME adds one$/],
])('a comparison of one replica is refused, with the reason', (replicas, message) => {
  const mirror = served(new FakeClock(), replicas);
  expect(() => mirror.verify(false, null)).toThrow(
    expect.objectContaining({ code: 'E_VOLUME', message: expect.stringMatching(message) as string }),
  );
  expect(mirror.verification).toBeNull();
});
