// Locates the helper programs, which make the system calls that Node.js lacks. The helper programs are files below helpers/ in this
// package, so that ps shows their names.

import { fileURLToPath } from 'node:url';

/**
 * Returns the path of a helper program. The path is relative to this module, even in a bundle, because a bundle is at the same depth in the
 * package.
 */
export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
