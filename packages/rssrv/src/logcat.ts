// Entry point of rsslogcat, which prints the log of rssrv: importing it runs the program in this process.
// The program itself is daemon/logcat.ts of @rsio/protocol.

import { daemonPaths } from '@rsio/common/config/root-paths';
import { runLogcat } from '@rsio/common/daemon/logcat';

runLogcat({ name: 'rsslogcat', daemon: 'rssrv', file: (root) => daemonPaths(root, 'rssrv').logFile });
