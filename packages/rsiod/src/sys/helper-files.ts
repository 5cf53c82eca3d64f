// The paths of the Perl programs that rsiod runs: files below helpers/ of this package. The callers start them.
// Invariant: the path is right both from this folder of the sources and from the bundled program, so this file must not move deeper.

import { fileURLToPath } from 'node:url';

/** This file has the same distance to helpers/ as the bundled program. */
export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
