// A program for sys/machine-interfaces.test.ts that lists the machine's interfaces while no descriptor is free. Each result is printed as a
// line of JSON. The program is a single file without imports that need a loader, because the loader took eight of the test's fifteen
// seconds on a busy machine.

import { openSync, writeSync } from 'node:fs';
import { systemFacts } from '@rsio/protocol/explorer/interfaces';
import { errnoName } from '@rsio/base/lib/errors';
import { machineInterfaces } from '../sys/machine-interfaces.ts';

function say(what: unknown): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}

function takeAll(): void {
  try {
    for (;;) openSync('/dev/null', 'r');
  } catch {
    // All descriptors are in use now.
  }
}

takeAll();
say([machineInterfaces.look(), systemFacts.addresses()]);
machineInterfaces
  .monitor(
    () => undefined,
    (reason, isAbsent) => say(['stopped', reason, isAbsent]),
  )
  .stop();
machineInterfaces.monitor(
  () => undefined,
  (reason, isAbsent) => say([reason, isAbsent]),
);
machineInterfaces.list().catch((error: unknown) => say(errnoName(error)));
