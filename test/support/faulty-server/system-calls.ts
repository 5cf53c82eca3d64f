// In the place of rssrv's machine/system-calls.ts: with RSIO_TEST_WITHOUT_PASSING, the server for tests is as it is where koffi is not
// installed. Its server processes then open files themselves. Invariant: without the variable, the calls are those of rssrv.

import { type SystemCalls, systemCalls as soundCalls } from '@rsio/rssrv/machine/system-calls';

export function systemCalls(): SystemCalls | null {
  return process.env['RSIO_TEST_WITHOUT_PASSING'] === undefined ? soundCalls() : null;
}
