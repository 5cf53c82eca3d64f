// What a client is told of a failure that may name files of the server. Pure.
// Invariant: a client learns neither paths on the server nor addresses of other machines; the log has the whole text.

/** A path on the server, or the address of another machine. */
const PATH = /(?:^|[^\w])\/[\w.~/-]/;

export const ADMINISTRATOR_SEES = 'the administrator of the server sees why';

export function hasPath(text: string): boolean {
  return PATH.test(text);
}

/** Returns the text, or `otherwise` if the text names a path. */
export function clientText(text: string, otherwise: string): string {
  return hasPath(text) ? `${otherwise}: ${ADMINISTRATOR_SEES}` : text;
}
