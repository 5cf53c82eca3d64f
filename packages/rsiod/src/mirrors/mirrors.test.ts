// Tests requests to attach a mirror whose servers do not answer: each request ends within its time limit, reports what is missing, and
// leaves nothing running. test/integration/mirror.test.ts tests servers that answer, with real daemons.

import { defaultVolumeSettings } from '@rsio/common/config/schema/inherited';
import type { EffectiveVolume } from '@rsio/common/config/effective-volume';
import { quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import type { Namespace } from '../network/namespace.ts';
import { Mirrors } from './mirrors.ts';

test('a mirror whose servers are away is not attached, and the error says what is missing', async () => {
  const clock = new FakeClock();
  const away = { serverid: 1, name: 'pi-1', trunk: { paths: [], session: null } };
  const namespace = { config: { name: 'osl', nodename: 'big-2' }, orderedServers: [away] } as unknown as Namespace;
  const settings = { ...defaultVolumeSettings(), logSizeBytes: 0 };
  const mirrors = new Mirrors({
    clock,
    log: quietLog,
    random: () => 0,
    instance: 1,
    newLog: () => null,
    settings: () => settings as EffectiveVolume,
    ended: () => expect.unreachable(),
    grown: () => undefined,
    note: () => undefined,
  });
  const about = { name: 'db', universe: 0, label: 'osl:db@0', readonly: false, takesOver: false, isAutomatic: false, waitMs: 10_000 };
  const asked = mirrors.attach({ namespace, mirror: 'a'.repeat(32), ...about });
  clock.advance(9_999);
  clock.advance(1);
  await expect(asked).rejects.toThrow(/^Mirror osl:db@0 could not be attached within 10 s: .*[a-z]/);
  clock.advance(60_000);
  expect(clock.timersPending).toBe(0);
});
