// Entry point of crsio: importing it runs the program in this process.
// Everything else is program.ts.

import { runProgram } from '@rsio/common/daemon/arguments';
import { crsio, crsioSpec } from './program.ts';

runProgram(crsioSpec, async (invocation) => {
  const code = await crsio(invocation);
  // Questions to rsiod or to the network may still be out; nobody waits for their answers any more.
  process.exit(code);
});
