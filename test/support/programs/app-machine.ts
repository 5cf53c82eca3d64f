// Does one step of the machine of an application (rsapp/src/machine) in a process of its own, so that a test can run it with other mounts and
// networks. Arguments: CONFIGURATION (JSON), FOLDER of the control groups, DEVICE, STEP, FOLDER for files. Prints the result as JSON.

import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import { systemClock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { AppMachine } from '@rsio/rsapp/machine/machine';
import { runProgram } from '@rsio/rsapp/machine/programs';

async function main([config = '', groups = '', device = '', step = '', runDir = '/nonexistent']: readonly string[]): Promise<void> {
  const machine = new AppMachine(JSON.parse(config) as ApplicationConfig, { clock: systemClock, run: runProgram, groups, runDir });
  const steps: Readonly<Record<string, () => Promise<unknown>>> = {
    state: () => machine.state(),
    check: () => machine.check(),
    up: () => machine.up(() => device),
    restart: () => machine.restart(),
    down: () => machine.down('orderly'),
    kill: () => machine.down('at once'),
  };
  const result = await (steps[step] ?? steps['state']!)().catch((thrown: unknown) => ({ error: toRsError(thrown).message }));
  process.stdout.write(`${JSON.stringify(result ?? null)}\n`);
}

await main(process.argv.slice(2));
