// Returns problems and warnings of the server's file in the form in which tests compare them: `LINE MESSAGE`, in the order of the file.
// Invariant: a file with problems is refused, and the error begins with the first problem.

import { expect } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { parseRssrvConfig } from '../config/reader/rssrvcfg.ts';

export const HEAD = `[namespace n]
namespaceid = 1
[server s]
serverid = 2
[interface i]
address = 10.0.0.1
`;

export function problemsOf(text: string): readonly string[] {
  try {
    parseRssrvConfig(text, 'f');
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_CONFIG') throw thrown;
    const problems = thrown.context['problems'] as readonly { line: number; message: string }[];
    const [first] = problems;
    expect(thrown.message).toBe(first?.line === 0 ? `f: ${first.message}` : `f:${first?.line}: ${first?.message}`);
    return problems.map(({ line, message }) => `${line} ${message}`);
  }
  return [];
}

export const warningsOf = (text: string) => parseRssrvConfig(text, 'f').warnings.map(({ line, message }) => `${line} ${message}`);

/** Because HEAD has 6 lines, added text begins in line 7. */
export const problemsBelowHead = (text: string) => problemsOf(HEAD + text);
