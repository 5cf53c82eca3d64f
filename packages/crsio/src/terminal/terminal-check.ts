// Checks that the terminal can show screens, and determines which characters and colours it supports. All functions are pure, and are
// called before anything is drawn. display.ts draws on the terminal and restores it.

import { RsError } from '@rsio/base/lib/errors';
import type { Charset } from '../widgets/border.ts';

export interface TerminalFacts {
  readonly isInputTerminal: boolean;
  readonly isOutputTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const REMEDY = 'edit the file with an editor or with rsconfig, see rscltcfg(5)';

/** Returns the value of TERM. Throws E_TERMINAL if the terminal cannot show screens. */
export function checkTerminal({ isInputTerminal, isOutputTerminal, env }: TerminalFacts): string {
  if (!isInputTerminal || !isOutputTerminal) {
    const which = isInputTerminal ? 'Standard output' : 'Standard input';
    throw new RsError('E_TERMINAL', `${which} is not a terminal: run crsio in a terminal, or ${REMEDY}`);
  }
  const terminal = env['TERM'] ?? '';
  if (terminal === '' || terminal === 'dumb' || terminal === 'unknown') {
    const what = terminal === '' ? 'TERM is not set' : `A terminal of type ${terminal} cannot show screens`;
    throw new RsError('E_TERMINAL', `${what}: set TERM to the type of the terminal, such as xterm, or ${REMEDY}`);
  }
  return terminal;
}

/** Names of monochrome terminals. */
const MONO = /^(?:vt\d|ansi-m|hp|wy|dumb)|-(?:m|mono)(?:-|$)/;

/** True if colours may be used: NO_COLOR is not set, and the terminal is not monochrome. */
export function isColoured(env: TerminalFacts['env']): boolean {
  return (env['NO_COLOR'] ?? '') === '' && !MONO.test(env['TERM'] ?? '');
}

/**
 * Returns `unicode` if the locale uses UTF-8 and `forceAscii` is false, otherwise `ascii`. The locale is the value of the first of LC_ALL,
 * LC_CTYPE and LANG that is set, as POSIX requires.
 */
export function charsetOf(env: TerminalFacts['env'], forceAscii: boolean): Charset {
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((value) => value !== undefined && value !== '') ?? '';
  return !forceAscii && /utf-?8/i.test(locale) ? 'unicode' : 'ascii';
}
