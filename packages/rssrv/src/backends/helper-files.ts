// Where the programs in perl are that do what Node cannot: files below helpers/ of this package, so that ps shows their names and not
// their text. Leaves starting them to who needs them.

import { fileURLToPath } from 'node:url';

/** This file is as far from helpers/ in the sources as the program is that is made of them. */
export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
