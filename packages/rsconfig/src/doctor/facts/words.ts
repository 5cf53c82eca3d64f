// Words that several checks use, so that one thing has one name in all findings. Pure.
// Leaves line breaks and escapes to report.ts.

import { endPoint } from '../../output/format.ts';
import type { PathFacts } from './facts.ts';

/** `path if1 -> 192.168.45.10/5000` */
export function pathName(path: PathFacts): string {
  return `path ${path.interface} -> ${endPoint(path.address, path.port)}`;
}

/** `server big-9`, or its section while it has not said its name. */
export function serverName(path: PathFacts): string {
  return path.report?.server === null || path.report === null ? `server section ${path.section}` : `server ${path.report.server.server}`;
}

/** An error's sentence, `what happened: what to do`, in its two parts. Without a colon all of it is what happened. */
export function splitSentence(sentence: string, remedy: string): { readonly what: string; readonly remedy: string } {
  const at = sentence.lastIndexOf(': ');
  return at < 0 ? { what: sentence, remedy } : { what: sentence.slice(0, at), remedy: sentence.slice(at + 2) };
}

/** `a`, `a and b`, `a, b and c`. */
export function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
