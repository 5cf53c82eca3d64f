// Tests when rsiod gets a keeper, and what rsiod reports about devices if it has no keeper.
// keeper.test.ts tests the keeper.

import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { smallRscltcfg } from '@rsio/common/testing/sample-rscltcfg';
import { expect, it } from 'vitest';
import type { DeviceFacts } from '../frontends/system/device-choice.ts';
import { wantsKeeper, withoutKeeper } from './keeper-choice.ts';

const MACHINE: DeviceFacts = { hasOwnRoot: false, isRoot: true, hasFuse: true, hasLoop: true };
const SCRATCH: DeviceFacts = { ...MACHINE, hasOwnRoot: true };

function config(device: string, ofVolume: string | null = null): RscltConfig {
  const volume = ofVolume === null ? '' : `[volume oracle]\ndevice = ${ofVolume}\n`;
  return parseRscltConfig(smallRscltcfg(`device = ${device}\n`, volume), 'rscltcfg');
}

it('a keeper is used wherever a reload or a newly loaded kernel module can add devices', () => {
  expect(wantsKeeper(config('none'), MACHINE)).toBe(true);
  expect(wantsKeeper(config('auto'), { ...MACHINE, hasFuse: false })).toBe(true);
  expect(wantsKeeper(config('block'), { ...MACHINE, isRoot: false })).toBe(false);
  expect(wantsKeeper(config('none', 'raw'), SCRATCH)).toBe(true);
  expect(wantsKeeper(config('auto'), SCRATCH)).toBe(false);
});

it('a reload that adds devices to a daemon without a keeper is refused', () => {
  expect(withoutKeeper(config('block'), SCRATCH, null).obstacle).toMatch(/^Devices cannot be added at runtime.*rsconfig stop, then rsiod/);
  expect(withoutKeeper(config('none', 'raw'), { ...SCRATCH, hasFuse: false }, null).obstacle).not.toBeNull();
  expect(withoutKeeper(config('auto'), SCRATCH, null)).toEqual({ obstacle: null, warning: null });
  expect(withoutKeeper(config('block'), { ...SCRATCH, isRoot: false }, null).obstacle).toBeNull();
});

it('where no keeper can run, devices come with a warning', () => {
  const { obstacle, warning } = withoutKeeper(config('auto'), MACHINE, 'perl is missing (install it)');
  expect(obstacle).toBeNull();
  expect(warning).toMatch(/a crash of rsiod ends everything that is mounted on them.*perl is missing/);
  expect(withoutKeeper(config('none'), MACHINE, 'there is no perl').warning).toBeNull();
});
