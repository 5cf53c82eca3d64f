// Entry point of rsadm: importing this file runs the program in this process. All other code is in program.ts, so that tests can run the
// program with their own ports.

import { runProgram } from '@rsio/base/daemon/arguments';
import { rsadm, rsadmSpec } from './program.ts';

runProgram(rsadmSpec, (invocation) => rsadm(invocation));
