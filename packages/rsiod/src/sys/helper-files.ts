// The paths of the Perl programs that rsiod runs. They are in this package's helpers/ folder. The callers start them. Invariant: the
// relative path must be right both from this source folder and from the bundled program, so this file must not move to a deeper folder.

import { fileURLToPath } from 'node:url';

/** The relative path works because this file and the bundled program are equally deep below the parent of helpers/. */
export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
