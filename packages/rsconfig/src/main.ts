// Entry point of rsconfig: importing this file runs the program in this process. All other code is in program.ts, so that tests can run the
// program with their own clock, input and terminal.

import { runProgram } from '@rsio/base/daemon/arguments';
import { rsconfig, rsconfigSpec } from './program.ts';

runProgram(rsconfigSpec, (invocation) => rsconfig(invocation));
