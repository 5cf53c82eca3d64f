// Location of the helper programs, most of them in perl, that do what Node cannot do. They are files below helpers/ of this package, so
// that ps shows their names. The modules that use them start them.

import { fileURLToPath } from 'node:url';

/** The source file and the bundled program are at the same depth in the package, so the relative path is the same for both. */
export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
