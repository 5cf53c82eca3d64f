// Tests the choice of koffi's library for another architecture: version and checksum come from the lock file of this project. The download
// itself needs a network; `npm run package -- --architecture A` makes it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../prepare.mjs';
import { ARCHITECTURES, lockedLibrary } from './foreign-library.mjs';

const LOCK = readFileSync(join(ROOT, 'pnpm-lock.yaml'), 'utf8');

test.each(Object.values(ARCHITECTURES))('the lock file has the library for %s, in the version of koffi', (processor) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'packages/rssrv/node_modules/koffi/package.json'), 'utf8'));
  const locked = lockedLibrary(LOCK, `@koromix/koffi-linux-${processor}`);
  expect(locked).toEqual({ version, integrity: expect.stringMatching(/^sha512-[\w+/]{86}==$/) });
});

test('a library that the lock file lacks is refused', () => {
  expect(() => lockedLibrary(LOCK, '@koromix/koffi-linux-arm6')).toThrow(/pnpm-lock.yaml has no @koromix\/koffi-linux-arm6/);
});
