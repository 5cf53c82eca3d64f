// Where the small programs in perl are that rsiod runs: files below helpers/ of this package. Leaves starting them to who needs them.
// Invariant: the place is right from here in the sources and from the joined program; from a deeper folder it would not be.

import { fileURLToPath } from 'node:url';

/** This file is as far from helpers/ in the sources as the program is that is made of them. */
export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
