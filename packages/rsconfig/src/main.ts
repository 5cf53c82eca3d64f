// Entry point of rsconfig: importing it runs the program in this process. program.ts has everything else, so that tests can run it with
// their own ports.

import { runProgram } from '@rsio/common/daemon/arguments';
import { rsconfig, rsconfigSpec } from './program.ts';

runProgram(rsconfigSpec, (invocation) => rsconfig(invocation));
