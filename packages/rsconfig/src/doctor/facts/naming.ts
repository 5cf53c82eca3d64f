// Names used in findings, so that all checks use the same name for an object: paths, servers, lists, and locations in the file such as
// `/etc/rscltcfg:12`. Pure. Line breaks and escapes are finding.ts's job.

import { endPoint } from '../../output/format.ts';
import type { FileFacts, PathFacts } from './facts.ts';

/** `path if1 -> 192.168.45.10/5000` */
export function pathName(path: PathFacts): string {
  return `path ${path.interface} -> ${endPoint(path.address, path.port)}`;
}

/** `server big-9`, or its section while its name is unknown. */
export function serverName(path: PathFacts): string {
  return path.report?.server === null || path.report === null ? `server section ${path.section}` : `server ${path.report.server.server}`;
}

/** Splits an error message, `what happened: what to do`, into its two parts. Without a colon, the whole message is `what`. */
export function splitSentence(sentence: string, remedy: string): { readonly what: string; readonly remedy: string } {
  const at = sentence.lastIndexOf(': ');
  return at < 0 ? { what: sentence, remedy } : { what: sentence.slice(0, at), remedy: sentence.slice(at + 2) };
}

/** `a`, `a and b`, `a, b and c`. */
export function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** File and line of the section, or of the key if it is set in the section. A server section is looked up below its namespace. */
export function locationOf(
  file: FileFacts,
  section: { readonly type: string; readonly name: string; readonly namespace?: string },
  key?: string,
): string {
  const sections = file.document?.sections ?? [];
  const home = sections.findIndex(({ type, name }) => type === 'namespace' && name === section.namespace);
  const found = sections.find(({ type, name }, index) => type === section.type && name === section.name && index > home);
  const line = found?.contents.find((content) => content.key === key)?.line ?? found?.line;
  return line === undefined ? file.path : `${file.path}:${line}`;
}
