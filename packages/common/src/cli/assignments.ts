// Parses the settings KEY=VALUE that several commands of rsconfig and rsadm take. Pure. Invariant: a word without a key is refused before
// the command reads or sends anything. The schema of the configuration file then checks keys and values.

import { quoteText } from '@rsio/base/lib/units';
import { usageError } from './command.ts';

/** `KEY=` gives the value null, which removes the key. `program`: the program that the error names. Throws E_USAGE. */
export function assignmentsOf(words: readonly string[], program: string): readonly (readonly [key: string, value: string | null])[] {
  return words.map((word) => {
    const at = word.indexOf('=');
    if (at < 1) throw usageError(`Wrong setting ${quoteText(word)}: give KEY=VALUE`, program);
    const value = word.slice(at + 1).trim();
    return [word.slice(0, at).trim(), value === '' ? null : value] as const;
  });
}
