// Entry point of rsconfig: importing it runs the program in this process.
// Everything else is program.ts, which tests run in given surroundings.

import { runProgram } from '@rsio/common/daemon/arguments';
import { rsconfig, rsconfigSpec } from './program.ts';

runProgram(rsconfigSpec, (invocation) => rsconfig(invocation));
