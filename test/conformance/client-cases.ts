// All cases in which a server tests rsiod, in the order in which they are judged: first the cases that run at the same time, then
// ALONE_CASES, which need a daemon without other work, then ENDING_CASES, which end the daemon. The folder client/ has the cases.

import type { ClientCase } from './base/case.ts';
import { AFTER_WELCOME_CASES } from './client/after-welcome.ts';
import { BEFORE_WELCOME_CASES } from './client/before-welcome.ts';
import { CONDUCT_CASES, ENDING_CASES } from './client/conduct.ts';
import { REVOKED_CASES } from './client/revoked.ts';
import { ALONE_CASES, VOLUME_CASES } from './client/volumes.ts';

export const CLIENT_CASES: readonly ClientCase[] = [
  ...BEFORE_WELCOME_CASES,
  ...AFTER_WELCOME_CASES,
  ...VOLUME_CASES,
  ...REVOKED_CASES,
  ...CONDUCT_CASES,
  ...ALONE_CASES,
  ...ENDING_CASES,
];
