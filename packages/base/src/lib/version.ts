// Provides the version number that all programs show. Every package has the same version as the workspace. The version is read from
// package.json, so that the code contains no copy of the number. The version is read at start, because an update may replace the file while
// a daemon still runs the earlier release.

import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };

/** Returns the version of this process, such as `0.2.0`. */
export function programVersion(): string {
  return version;
}
