// Tests a program of a trigger that cannot be started because the program file is still being written (ETXTBSY). Node throws ETXTBSY
// instead of emitting an event. The error must neither end the daemon nor stop the triggers of later events.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { expect, test } from 'vitest';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { programRunner } from './run-program.ts';

test('a program that is being written is a failure like any other', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rsio-busy-'));
  const file = path.join(folder, 'program');
  fs.copyFileSync('/bin/true', file);
  fs.chmodSync(file, 0o755);
  const descriptor = fs.openSync(file, 'r+');
  const clock = new FakeClock();
  try {
    const { failure } = await programRunner(clock)(file, '', 1_000);
    expect([failure, clock.timersPending]).toEqual([expect.stringContaining('ETXTBSY'), 0]);
  } finally {
    fs.closeSync(descriptor);
    await removeFolder(folder);
  }
});
