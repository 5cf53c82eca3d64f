// Entry point of rsslogcat, which prints the log of rssrv. Importing this module runs the program, whose code is in daemon/logcat.ts of
// @rsio/common.

import { daemonPaths } from '@rsio/common/config/root-paths';
import { runLogcat } from '@rsio/base/daemon/logcat';

runLogcat({ name: 'rsslogcat', daemon: 'rssrv', paths: (root) => daemonPaths(root, 'rssrv') });
