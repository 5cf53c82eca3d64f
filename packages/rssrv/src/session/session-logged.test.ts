// Tests how many log lines a proven client can cause in a session's process: a bounded number, however often it joins.
// rate-limited-log.test.ts tests the bound itself, and the other tests of the session test how paths end.

import { expect, test } from 'vitest';
import { RATE_LIMITED_LINES_MAX, RATE_LIMITED_LOG_MS } from '@rsio/base/log/limits';
import { MemoryLink } from '@rsio/protocol/testing/memory-transport';
import { AT, RawPath, SessionScene } from '../testing/raw-client.ts';

// Regression: each join logged two lines, so a client that joined 1,629 times in 4 s caused 10 GB of log a day.
test('thousands of joins make few lines, and one with their number', async () => {
  const scene = new SessionScene();
  for (let joins = 0; joins < 2_000; joins++) {
    const link = new MemoryLink(scene.clock);
    scene.admit(link);
    new RawPath(link).connection.close('over', false);
    scene.clock.advance(2);
  }
  scene.clock.advance(RATE_LIMITED_LOG_MS);
  expect(scene.logged.filter((line) => line.startsWith('started path'))).not.toEqual([]);
  expect(scene.logged.length).toBeLessThanOrEqual(RATE_LIMITED_LINES_MAX + 1);
  expect(scene.logged.at(-1)).toBe(`Paths on ${AT.name}: ${4_000 - RATE_LIMITED_LINES_MAX} more lines of this kind within 60 s`);
});
