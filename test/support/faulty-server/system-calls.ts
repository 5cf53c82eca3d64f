// Replaces rssrv's machine/system-calls.ts: with the variable RSIO_TEST_WITHOUT_PASSING, the server for tests behaves as on a machine
// without koffi, where server processes open files themselves. Invariant: without the variable, the calls are those of rssrv.

import { type SystemCalls, systemCalls as soundCalls } from '@rsio/rssrv/machine/system-calls';

export function systemCalls(): SystemCalls | null {
  return process.env['RSIO_TEST_WITHOUT_PASSING'] === undefined ? soundCalls() : null;
}
