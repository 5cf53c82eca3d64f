// A request for a volume that is already attached in another mode is refused with a remedy, even after a reload. Opening volumes is tested
// in attachments.test.ts.

import { describe, expect, it } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { TAKE } from '@rsio/protocol/wire/messages';
import { type AttachRequest, isSameRequest, wantsReadonly, refuseOtherMode } from './attach-request.ts';

const READ_WRITE: AttachRequest = { readOnly: false, take: TAKE.NO, by: 'name' };
const READ_ONLY: AttachRequest = { ...READ_WRITE, readOnly: true };

function refusal(isReadonly: boolean, ask: AttachRequest, isConfigured = false): string | null {
  try {
    refuseOtherMode('osl:oracle@0', isReadonly, ask, isConfigured);
    return null;
  } catch (thrown) {
    return thrown instanceof RsError ? `${thrown.message} [${thrown.code}]` : String(thrown);
  }
}

describe('an attached volume', () => {
  it('that is read-write is refused, not reported as attached, if the request is for read-only', () => {
    expect(refusal(false, READ_ONLY)).toBe(
      'It is attached read-write: detach it first, with rsconfig -d osl:oracle@0, then rsconfig -a osl:oracle@0 --read-only [E_IN_USE]',
    );
    expect(refusal(false, { ...READ_ONLY, by: 'any' })).not.toBeNull();
    expect(refusal(false, READ_WRITE, true)).toMatch(/the configuration wants it read-only/);
  });

  it('that is read-only is refused by name if the request is for read-write', () => {
    expect(refusal(true, READ_WRITE)).toMatch(/attached read-only: detach it first.*then rsconfig -a osl:oracle@0 \[E_IN_USE\]$/);
    expect(refusal(true, { ...READ_WRITE, by: 'any' })).toBeNull();
  });

  it('in the requested mode is accepted', () => {
    expect(refusal(true, READ_ONLY)).toBeNull();
    expect(refusal(false, READ_WRITE)).toBeNull();
    expect(refusal(true, READ_WRITE, true)).toBeNull();
  });
});

it('returns in its old mode after a restart, whatever the configuration says now', () => {
  expect(wantsReadonly({ ...READ_WRITE, by: 'before' }, true)).toBe(false);
  expect(wantsReadonly({ ...READ_ONLY, by: 'before' }, false)).toBe(true);
  expect(wantsReadonly(READ_WRITE, true)).toBe(true);
});

it('is the same as another request only if mode, take-over, reason and order are the same', () => {
  expect(isSameRequest(READ_WRITE, { ...READ_WRITE })).toBe(true);
  const others = [
    READ_ONLY,
    { ...READ_WRITE, take: TAKE.OVER },
    { ...READ_WRITE, by: 'any' as const },
    { ...READ_WRITE, isAutomatic: true },
  ];
  for (const other of others) expect([isSameRequest(READ_WRITE, other), isSameRequest(other, READ_WRITE)]).toEqual([false, false]);
});
