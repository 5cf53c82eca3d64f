// The version that all programs show. Every package has the version of the workspace.
// The version is read from package.json at each call, so that no second copy of the number exists in the code.

import { readFileSync } from 'node:fs';

/** The version, such as `0.1.0`. */
export function programVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
