// Finds the Perl programs that rsapp runs, in this package's helpers/ folder. Invariant: the same relative path leads to that folder from this
// source file and from the bundled program. This file must therefore not move to a deeper folder.

import { fileURLToPath } from 'node:url';

export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
