// Tests with plain folders that no empty folder of control groups stays when rsapp ends. Processes in groups are tested in
// application-machine.test.ts.

import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ControlGroup, removeIfEmpty } from './control-group.ts';

it('the folder of all groups goes when the last group has gone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rsapp-groups-'));
  const groups = join(folder, 'rsio-applications');
  const group = new ControlGroup(join(groups, 'app-pg'));
  mkdirSync(group.path, { recursive: true });
  removeIfEmpty(groups);
  expect(existsSync(group.path), 'an application runs').toBe(true);
  group.remove();
  removeIfEmpty(groups);
  removeIfEmpty(groups);
  expect(existsSync(groups)).toBe(false);
  rmSync(folder, { recursive: true });
});
