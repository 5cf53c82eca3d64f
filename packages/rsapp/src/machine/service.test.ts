// Tests how rsapp tells the end of the machine from its own end. Other tests of services use real programs: application-machine.test.ts starts
// and stops them.

import { expect, it } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import type { RunProgram } from './programs.ts';
import { isMachineEnding, UnitService } from './service.ts';

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

it('a machine without systemd is told from a unit in trouble', async () => {
  const state = (run: RunProgram): Promise<string> => new UnitService('x.service', run).state().catch((error: Error) => error.message);
  const fails =
    (stderr: string): RunProgram =>
    () =>
      Promise.resolve({ code: 1, stdout: '', stderr });
  const none = 'systemd does not answer on this machine: use start = PROGRAM instead of service';
  expect(await state(fails('Failed to connect to bus: No such file or directory\n'))).toBe(none);
  expect(await state(fails("System has not been booted with systemd as init system (PID 1). Can't operate.\n"))).toBe(none);
  expect(await state(() => Promise.reject(new RsError('E_SYSTEM', 'systemctl cannot be run')))).toBe(none);
  expect(await state(fails('Access denied'))).toBe('The state of x.service failed: systemctl ended with 1 (Access denied)');
  expect(await state(() => Promise.reject(new RsError('E_TIMEOUT', 'systemctl has not ended')))).toBe('systemctl has not ended');
  expect(await state(said('ActiveState=failed\nLoadState=loaded\n', 0))).toBe('failed');
});
