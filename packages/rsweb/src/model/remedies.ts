// Makes findings out of sentences of the form `what: remedy`, as the commands of RSIO print them. Pure. Invariant: the same fault has the same
// id as long as it lasts, so that a page does not lose its place.

import type { Finding } from './picture.ts';

export interface Place {
  /** Such as `server big-9`. */
  readonly where: string;
  readonly href: string | null;
  readonly sinceMs?: number | null;
  readonly commands?: readonly string[];
}

/** `kind`: what is wrong, in a word, for the id. */
export function finding(severity: Finding['severity'], kind: string, sentence: string, place: Place): Finding {
  const { what, remedy } = partsOf(sentence);
  const { where, href, sinceMs = null, commands = [] } = place;
  return { id: `${kind} ${where}`, severity, what, where, remedy, commands, href, sinceMs };
}

/** A remedy that begins with a command keeps its small letter. */
const COMMAND = /^(rs[a-z]+|crsio|systemctl) /;

/** The remedy stands behind the last colon. */
function partsOf(sentence: string): { readonly what: string; readonly remedy: string } {
  const at = sentence.lastIndexOf(': ');
  if (at < 0) return { what: sentence, remedy: '' };
  const remedy = sentence.slice(at + 2);
  return { what: sentence.slice(0, at), remedy: COMMAND.test(remedy) ? remedy : remedy.charAt(0).toUpperCase() + remedy.slice(1) };
}
