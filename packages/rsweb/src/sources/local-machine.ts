// Parts that all sources on this machine have in common: the machine in the picture, and the findings if a daemon does not answer.
// Invariant: a daemon that is not running, hangs or refuses access causes a finding with a remedy.

import { hostname } from 'node:os';
import type { RsError } from '@rsio/base/lib/errors';
import type { Machine, Picture } from '../model/picture.ts';
import { finding } from '../model/remedies.ts';
import { withoutAnswer } from './source.ts';

type Program = Machine['programs'][number]['program'];

export function localMachine(program: Program, { version, startedMs }: { readonly version: string; readonly startedMs: number }): Machine {
  const name = hostname();
  return { id: name, name, isLocal: true, state: 'answers', reason: null, programs: [{ program, version, startedMs }] };
}

const COMMANDS: Readonly<Record<Program, readonly string[]>> = {
  rssrv: ['rsslogcat -n 20'],
  rsiod: ['rsclogcat -n 20'],
  rsapp: ['systemctl restart rsapp'],
};

export function localFailure(program: Program, error: RsError, last: Picture | null, nowMs: number): Picture {
  const place = { where: `${program} on ${hostname()}`, href: null, commands: COMMANDS[program] };
  const told = finding('error', error.code === 'E_TIMEOUT' ? 'hung' : 'silent', error.message, place);
  return { ...withoutAnswer(last, told.what, [told]), takenMs: nowMs };
}
