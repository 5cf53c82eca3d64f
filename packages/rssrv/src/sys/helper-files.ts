// Location of the helper programs, mostly in perl, for what Node cannot do. They are files below helpers/ of this package, so that ps shows their
// names. Their users start them.

import { fileURLToPath } from 'node:url';

/** This file is as deep in the sources as the bundled program, so the relative path is the same. */
export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
