// The version that all programs show: that of the workspace, which every package carries.
// It is read from package.json when asked for, so that it is written down once.

import { readFileSync } from 'node:fs';

/** `0.1.0`. */
export function programVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
