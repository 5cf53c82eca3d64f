// A volume that is asked for another way than it is attached: refused with the remedy, whoever attached it, and over a reload.
// Leaves the opening itself to attachments.test.ts.

import { describe, expect, it } from 'vitest';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { VolumeOverride } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { smallRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import { TAKE } from '@rsio/protocol/wire/messages';
import { type AttachRequest, wantsReadonly, refuseOtherMode } from './attach-request.ts';

const READ_WRITE: AttachRequest = { readOnly: false, take: TAKE.NO, by: 'name' };
const READ_ONLY: AttachRequest = { ...READ_WRITE, readOnly: true };

function override(readonly: string): VolumeOverride | undefined {
  const text = smallRscltcfg('', `[volume oracle]\nreadonly = ${readonly}\n`);
  return parseRscltConfig(text, 'rscltcfg').namespaces[0]?.volumes[0];
}

function refusal(isReadonly: boolean, ask: AttachRequest, of?: VolumeOverride): string | null {
  try {
    refuseOtherMode('osl:oracle@0', isReadonly, ask, of);
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
    expect(refusal(false, READ_WRITE, override('yes'))).toMatch(/the configuration wants it read-only/);
  });

  it('read-only is not told to be attached when it is asked for read-write, by its name', () => {
    expect(refusal(true, READ_WRITE)).toMatch(/attached read-only: detach it first.*then rsconfig -a osl:oracle@0 \[E_IN_USE\]$/);
    expect(refusal(true, { ...READ_WRITE, by: 'any' })).toBeNull();
  });

  it('as it is asked for is good', () => {
    expect(refusal(true, READ_ONLY)).toBeNull();
    expect(refusal(false, READ_WRITE)).toBeNull();
    expect(refusal(true, READ_WRITE, override('yes'))).toBeNull();
  });
});

it('what was attached before comes back in its mode, whatever the configuration says by now', () => {
  expect(wantsReadonly({ ...READ_WRITE, by: 'before' }, override('yes'))).toBe(false);
  expect(wantsReadonly({ ...READ_ONLY, by: 'before' }, override('no'))).toBe(true);
  expect(wantsReadonly(READ_WRITE, override('yes'))).toBe(true);
});
