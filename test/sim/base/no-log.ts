// A log that drops every line, because the trace shows what simulated processes do.
// Log sentences are tested where they are written.

import type { Log } from '@rsio/common/log/log';

export const NO_LOG: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => NO_LOG,
};
