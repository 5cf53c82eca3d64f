// Finds the Perl programs that rsiod runs. The programs are in this package's helpers/ folder, and the callers start them. Invariant: the
// same relative path leads to that folder from this source file and from the bundled program. This file must therefore not move to a deeper
// folder.

import { fileURLToPath } from 'node:url';

export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
