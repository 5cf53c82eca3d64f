// Makes the texts for paths, servers, lists and locations (such as `/etc/rscltcfg:12`) in findings, so that all checks name an object in
// the same way.

import { endPoint } from '../../output/format.ts';
import type { FileFacts, PathFacts } from './facts.ts';

/** Returns a name such as `path if1 -> 192.168.45.10/5000`. */
export function pathName(path: PathFacts): string {
  return `path ${path.interface} -> ${endPoint(path.address, path.port)}`;
}

/** Returns a name such as `server big-9`, or `server section big-9-1` if the server's name is unknown. */
export function serverName(path: PathFacts): string {
  return path.report?.server === null || path.report === null ? `server section ${path.section}` : `server ${path.report.server.server}`;
}

/**
 * Splits an error message, `what happened: what to do`, into its two parts. A message without a colon and a space becomes `what`, and the
 * given `remedy` is returned unchanged.
 */
export function splitSentence(sentence: string, remedy: string): { readonly what: string; readonly remedy: string } {
  const at = sentence.lastIndexOf(': ');
  return at < 0 ? { what: sentence, remedy } : { what: sentence.slice(0, at), remedy: sentence.slice(at + 2) };
}

/** Joins words into a list such as `a`, `a and b` or `a, b and c`. */
export function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/**
 * Returns the file and the line of the key. If the section does not set the key, returns the line of the section; if the file does not have
 * the section, returns only the file. A [server] section belongs to the last [namespace] section before it.
 */
export function locationOf(
  file: FileFacts,
  section: { readonly type: string; readonly name: string; readonly namespace?: string },
  key?: string,
): string {
  const sections = file.document?.sections ?? [];
  const namespaceAt = (index: number): string | null | undefined =>
    sections.slice(0, index).findLast(({ type }) => type === 'namespace')?.name;
  const isHere = (index: number): boolean => section.namespace === undefined || namespaceAt(index) === section.namespace;
  const found = sections.find(({ type, name }, index) => type === section.type && name === section.name && isHere(index));
  const line = found?.contents.find((content) => content.key === key)?.line ?? found?.line;
  return line === undefined ? file.path : `${file.path}:${line}`;
}

/** Returns the file and line that decides whether the paths of a namespace are encrypted. `isSet`: false if no line sets the key `tls`. */
export function tlsLocation(file: FileFacts, namespace: string): { readonly place: string; readonly isSet: boolean } {
  const sections = file.document?.sections ?? [];
  const home = sections.find(({ type, name }) => type === 'namespace' && name === namespace);
  const defaults = sections.find(({ type }) => type === 'defaults');
  const entry = [home, defaults].flatMap((section) => section?.contents.find(({ key }) => key === 'tls') ?? [])[0];
  const line = entry?.line ?? home?.line;
  return { place: line === undefined ? file.path : `${file.path}:${line}`, isSet: entry !== undefined };
}
