// Tests the lookup of users by name in a file in the format of passwd(5).
// Only the lookup of root reads the machine's user file.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { userNamed } from './users.ts';

it('finds a user by its whole name, and takes nothing from a broken line', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'rsio-users-'));
  const file = path.join(folder, 'passwd');
  writeFileSync(file, 'rsio2:x:1:1::/:\nrsio\nrsio:x:many:1::/:\nrsio:x:812\nrsio:x:812:813:RSIO:/:/bin/false\n');
  expect(userNamed('rsio', file)).toEqual({ name: 'rsio', uid: 812, gid: 813 });
  expect([userNamed('rsi', file), userNamed('', file)]).toEqual([undefined, undefined]);
  expect(userNamed('root')).toMatchObject({ uid: 0 });
  rmSync(folder, { recursive: true });
});
