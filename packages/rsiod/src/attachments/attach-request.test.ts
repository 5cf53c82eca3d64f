// A request for a volume that is already attached in another mode is refused with a remedy, also after a reload.
// Opening volumes is tested in attachments.test.ts.

import { describe, expect, it } from 'vitest';
import { RsError } from '@rsio/common/lib/errors';
import { TAKE } from '@rsio/protocol/wire/messages';
import { type AttachRequest, wantsReadonly, refuseOtherMode } from './attach-request.ts';

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

describe('what is attached', () => {
  it('read-write is not told to be attached when it is asked for read-only', () => {
    expect(refusal(false, READ_ONLY)).toBe(
      'It is attached read-write: detach it first, with rsconfig -d osl:oracle@0, then rsconfig -a osl:oracle@0 --read-only [E_IN_USE]',
    );
    expect(refusal(false, { ...READ_ONLY, by: 'any' })).not.toBeNull();
    expect(refusal(false, READ_WRITE, true)).toMatch(/the configuration wants it read-only/);
  });

  it('read-only is not told to be attached when it is asked for read-write, by its name', () => {
    expect(refusal(true, READ_WRITE)).toMatch(/attached read-only: detach it first.*then rsconfig -a osl:oracle@0 \[E_IN_USE\]$/);
    expect(refusal(true, { ...READ_WRITE, by: 'any' })).toBeNull();
  });

  it('as it is asked for is good', () => {
    expect(refusal(true, READ_ONLY)).toBeNull();
    expect(refusal(false, READ_WRITE)).toBeNull();
    expect(refusal(true, READ_WRITE, true)).toBeNull();
  });
});

it('what was attached before comes back in its mode, whatever the configuration says by now', () => {
  expect(wantsReadonly({ ...READ_WRITE, by: 'before' }, true)).toBe(false);
  expect(wantsReadonly({ ...READ_ONLY, by: 'before' }, false)).toBe(true);
  expect(wantsReadonly(READ_WRITE, true)).toBe(true);
});
