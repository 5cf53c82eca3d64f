// Provides the version number that all programs show. Every package has the same version as the workspace. The version is read from
// package.json, so that the code contains no copy of the number.

import { readFileSync } from 'node:fs';

/** Returns the version, such as `0.2.0`. */
export function programVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
