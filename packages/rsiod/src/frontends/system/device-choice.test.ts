// Tests which device is chosen for a volume on machines with different device support, and the error if a machine cannot make the requested
// device. Real devices are tested in test/integration/block-devices.test.ts.

import { toRsError } from '@rsio/base/lib/errors';
import { describe, expect, it } from 'vitest';
import { chooseDevice, type DeviceFacts } from './device-choice.ts';

const ALL: DeviceFacts = { hasOwnRoot: false, isRoot: true, hasFuse: true, hasLoop: true };

function refusal(wanted: Parameters<typeof chooseDevice>[0], facts: Partial<DeviceFacts>): string {
  try {
    return chooseDevice(wanted, { ...ALL, ...facts }).kind;
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    return `${code} ${message}`;
  }
}

describe('auto', () => {
  it.each([
    [{}, 'block', null],
    [{ hasLoop: false }, 'raw', /no \/dev\/loop-control/],
    [{ hasFuse: false }, 'nbd-socket', /no \/dev\/fuse/],
    [{ isRoot: false }, 'nbd-socket', /does not run as root/],
    [{ hasOwnRoot: true }, 'nbd-socket', /its own root/],
  ] as const)('with %j is %s', (facts, kind, why) => {
    const chosen = chooseDevice('auto', { ...ALL, ...facts });
    expect(chosen.kind).toBe(kind);
    if (why === null) expect(chosen.why).toBeNull();
    else expect(chosen.why).toMatch(why);
  });
});

describe('a frontend that is configured by name', () => {
  it('is used if it is available, below a root of its own too', () => {
    for (const wanted of ['block', 'raw', 'nbd-socket', 'none'] as const) expect(refusal(wanted, { hasOwnRoot: true })).toBe(wanted);
    expect(refusal('nbd-socket', { isRoot: false, hasFuse: false })).toBe('nbd-socket');
    expect(refusal('raw', { hasLoop: false })).toBe('raw');
  });

  it('is refused with the remedy if it is not', () => {
    expect(refusal('block', { isRoot: false })).toMatch(/^E_RIGHTS device = block .*: start it as root, or use nbd-socket$/);
    expect(refusal('raw', { hasFuse: false })).toMatch(/^E_SYSTEM device = raw .*modprobe fuse/);
    expect(refusal('block', { hasLoop: false })).toMatch(/^E_SYSTEM device = block .*modprobe loop/);
  });
});
