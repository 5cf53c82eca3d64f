// A program that looks at the machine's interfaces without a free descriptor, for sys/machine-interfaces.test.ts; it prints each result as a
// line of JSON. One file without loader, because a start through the loader took eight of the test's fifteen seconds on a busy machine.

import { openSync, writeSync } from 'node:fs';
import { systemFacts } from '@rsio/protocol/explorer/network/interfaces';
import { errnoName } from '@rsio/common/lib/errors';
import { machineInterfaces } from '../sys/machine-interfaces.ts';

function say(what: unknown): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}

function takeAll(): void {
  try {
    for (;;) openSync('/dev/null', 'r');
  } catch {
    // No descriptor is left.
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
