// Entry point of rsio-csi, the CSI driver. It always stays in the foreground, because a container starts it. This file handles arguments,
// signals and the log; driver.ts does the work.

import './limits.ts';

import { openSync } from 'node:fs';
import { hostname } from 'node:os';
import { runProgram } from '@rsio/base/daemon/arguments';
import { loggedWork } from '@rsio/base/daemon/daemon-service';
import { systemClock } from '@rsio/base/lib/clock';
import { copyToStderr, openLog } from '@rsio/base/log/log';
import { Driver } from './driver.ts';
import { CSI_HELP, CSI_OPTIONS, setupOf } from './options.ts';

/** Resolves with the name of the signal that ends the program. */
function ended(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}

runProgram({ name: 'rsio-csi', help: CSI_HELP, options: CSI_OPTIONS, takesPositionals: false }, async ({ values, root }) => {
  const setup = setupOf(values, root);
  const signal = ended();
  // The log has no file, because the container keeps what the program writes to stderr. A null device cannot be synced, and need not be.
  const noFile = { file: '/dev/null', open: () => openSync('/dev/null', 'a'), warn: () => undefined };
  const log = openLog({ ...noFile, node: hostname(), copy: copyToStderr });
  await loggedWork(log, async () => {
    const driver = new Driver(setup, { clock: systemClock, log });
    await driver.start();
    log.info(`Ends: ${await signal}`);
    await driver.stop();
  });
  log.close();
  return undefined;
});
