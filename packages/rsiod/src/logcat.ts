// Entry point of rsclogcat, which prints the log of rsiod: importing it runs the program in this process.
// The program itself is lib/logcat.ts of @rsio/protocol.

import { daemonPaths } from '@rsio/protocol/config/root-paths';
import { runLogcat } from '@rsio/protocol/lib/logcat';

runLogcat({ name: 'rsclogcat', daemon: 'rsiod', file: (root) => daemonPaths(root, 'rsiod').logFile });
