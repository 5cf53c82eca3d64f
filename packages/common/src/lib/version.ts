// The version that all programs show. Every package carries the version of the workspace.
// It is read from package.json on demand, so that it is written in one place only.

import { readFileSync } from 'node:fs';

/** `0.1.0`. */
export function programVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
