// Makes findings from sentences of the form `what: remedy`, as the commands of RSIO print them. Pure. Invariant: a finding keeps its id as
// long as the fault lasts, so that the element of the finding on a page does not move.

import type { Finding } from './picture.ts';

export interface Place {
  /** A text such as `server big-9`. */
  readonly where: string;
  readonly href: string | null;
  readonly sinceMs?: number | null;
  readonly commands?: readonly string[];
}

/** Makes a finding from a sentence. `kind`: a word for the kind of the fault; the id of the finding contains it. */
export function finding(severity: Finding['severity'], kind: string, sentence: string, place: Place): Finding {
  const { what, remedy } = partsOf(sentence);
  const { where, href, sinceMs = null, commands = [] } = place;
  return { id: `${kind} ${where}`, severity, what, where, remedy, commands, href, sinceMs };
}

/** Matches a remedy that begins with a command, which is not capitalized. */
const COMMAND = /^(rs[a-z]+|crsio|systemctl) /;

/** Splits the sentence at its last colon. */
function partsOf(sentence: string): { readonly what: string; readonly remedy: string } {
  const at = sentence.lastIndexOf(': ');
  if (at < 0) return { what: sentence, remedy: '' };
  const remedy = sentence.slice(at + 2);
  return { what: sentence.slice(0, at), remedy: COMMAND.test(remedy) ? remedy : remedy.charAt(0).toUpperCase() + remedy.slice(1) };
}
