// A log that drops every line, because the trace shows what simulated processes do. Unit tests of the code that writes log lines cover
// these lines.

import type { Log } from '@rsio/base/log/log';

export const NO_LOG: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => NO_LOG,
};
