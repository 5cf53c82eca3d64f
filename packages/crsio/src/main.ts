// Entry point of crsio: importing this file runs the program in the current process. The program itself is in
// program.ts.

import { runProgram } from '@rsio/base/daemon/arguments';
import { crsio, crsioSpec } from './program.ts';

runProgram(crsioSpec, async (invocation) => {
  const code = await crsio(invocation);
  // The program exits without waiting for pending requests, because the answers are no longer needed.
  process.exit(code);
});
