// Entry point of crsio: importing this file runs the program in the current process. The program itself is in
// program.ts.

import { runProgram } from '@rsio/common/daemon/arguments';
import { crsio, crsioSpec } from './program.ts';

runProgram(crsioSpec, async (invocation) => {
  const code = await crsio(invocation);
  // Exit without waiting for pending requests, because their answers are no longer needed.
  process.exit(code);
});
