// Provides the version number that all programs show. Every package has the same version as the workspace. The version is read from
// package.json, so that the code contains no copy of the number. It is read when a program starts: an update replaces the file below a daemon,
// which then still runs the release before.

import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };

/** Returns the version of this process, such as `0.2.0`. */
export function programVersion(): string {
  return version;
}
