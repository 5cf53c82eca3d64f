// Tests how rsapp tells the end of the machine from its own end. Other tests of services use real programs: application-machine.test.ts starts
// and stops them.

import { expect, it } from 'vitest';
import { RsError } from '@rsio/common/lib/errors';
import type { RunProgram } from './programs.ts';
import { isMachineEnding } from './service.ts';

function said(stdout: string, code: number): RunProgram {
  return () => Promise.resolve({ code, stdout, stderr: '' });
}

it('the machine ends if systemd says so, also with a code that is not 0', async () => {
  expect(await isMachineEnding(said('stopping\n', 1))).toBe(true);
  for (const [state, code] of [
    ['running', 0],
    ['degraded', 1],
    ['offline', 1],
  ] as const)
    expect(await isMachineEnding(said(`${state}\n`, code)), state).toBe(false);
  expect(await isMachineEnding(() => Promise.reject(new RsError('E_SYSTEM', 'systemctl cannot be run'))), 'no systemd').toBe(false);
});
