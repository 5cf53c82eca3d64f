// Where the small programs are that the server runs, most in perl, for what Node cannot do: files below helpers/ of this package, so that ps
// shows their names and not their text. Leaves starting them to who needs them.

import { fileURLToPath } from 'node:url';

/** This file is as far from helpers/ in the sources as the program is that is made of them. */
export function helperFile(name: string): string {
  return fileURLToPath(new URL(`../../helpers/${name}`, import.meta.url));
}
