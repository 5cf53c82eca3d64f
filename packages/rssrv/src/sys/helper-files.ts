// Locates the helper programs, which make the system calls that Node.js lacks. Most helper programs are written in Perl. The helper
// programs are files below helpers/ in this package, so that ps shows their names. Other modules start them.

import { fileURLToPath } from 'node:url';

/**
 * Returns the path of a helper program. This source file and the bundled program are at the same depth in the package, so the relative path
 * is the same for both.
 */
export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
