// Entry point of rsclogcat, which prints the log of rsiod; importing this file runs the program. The program itself is in daemon/logcat.ts
// of @rsio/common.

import { daemonPaths } from '@rsio/common/config/root-paths';
import { runLogcat } from '@rsio/base/daemon/logcat';

runLogcat({ name: 'rsclogcat', daemon: 'rsiod', paths: (root) => daemonPaths(root, 'rsiod') });
