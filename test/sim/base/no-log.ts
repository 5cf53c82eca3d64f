// A log that nobody reads: what simulated processes would say is told by their traces.
// Leaves tests of sentences to where they are said.

import type { Log } from '@rsio/common/log/log';

export const NO_LOG: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => NO_LOG,
};
