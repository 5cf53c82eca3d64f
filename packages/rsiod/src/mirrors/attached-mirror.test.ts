// A comparison and a detach of one attached mirror (rule M13). The test says what the decider orders and that all is settled. Mirrors whose
// servers answer are tested with real daemons, in test/integration/mirror.test.ts.

import { MIRROR_PATIENCE_MS } from '@rsio/common/config/schema/limits';
import type { EffectiveVolume } from '@rsio/common/config/effective-volume';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import { Copier } from '@rsio/protocol/mirror/copy/copier';
import { CopyBuffers } from '@rsio/protocol/mirror/copy/copy-buffers';
import type { MirrorView } from '@rsio/protocol/mirror/membership/interface';
import { Membership } from '@rsio/protocol/mirror/membership/membership';
import { afterEach, expect, test, vi } from 'vitest';
import { AttachedMirror } from './attached-mirror.ts';

const DETACH_MS = 1_000;
const VIEW: MirrorView = {
  term: 7,
  isServing: true,
  replicas: [],
  voterSets: [],
  sizeBytes: 1 << 20,
  isPending: false,
  isAllInSync: true,
  waitsFor: null,
};

afterEach(() => {
  vi.restoreAllMocks();
});

function served(clock: FakeClock): AttachedMirror {
  vi.spyOn(Copier.prototype, 'isSettled', 'get').mockReturnValue(true);
  vi.spyOn(Membership.prototype, 'on')
    .mockReturnValue([])
    .mockReturnValueOnce([{ kind: 'view', view: VIEW }]);
  const settings = { mirrorPatienceMs: MIRROR_PATIENCE_MS, resyncRateBytes: 0, mirrorReads: 'confirmed', logSizeBytes: 0 };
  const mirror = new AttachedMirror(
    { mirror: 'a'.repeat(32), name: 'db', universe: 0, me: { node: 'big-2', instance: 1 }, takesOver: false, servers: [] },
    {
      clock,
      label: 'osl:db@0',
      readonly: false,
      random: () => 0,
      servers: () => [],
      newLog: () => null,
      settings: () => settings as EffectiveVolume,
      buffers: new CopyBuffers(),
      serving: () => undefined,
      grown: () => undefined,
      renewed: () => undefined,
      ended: () => expect.unreachable(),
      note: () => undefined,
    },
  );
  mirror.driver.report({ kind: 'caught-up', identity: 'a'.repeat(32) });
  clock.advance(0);
  return mirror;
}

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
