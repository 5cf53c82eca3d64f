// Entry point of crsio: importing it runs the program in this
// process. program.ts has everything else.

import { runProgram } from '@rsio/common/daemon/arguments';
import { crsio, crsioSpec } from './program.ts';

runProgram(crsioSpec, async (invocation) => {
  const code = await crsio(invocation);
  // Requests to rsiod or the network may still be pending; their answers are no longer needed.
  process.exit(code);
});
