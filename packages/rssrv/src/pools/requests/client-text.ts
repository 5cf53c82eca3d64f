// Removes the names of files from error texts for clients. Pure. Invariant: an error text for a client contains neither file names of the
// server nor addresses of other machines. The log has the whole text.

/** Matches a path on the server, and the `//` of a URI with the address of another machine. */
const PATH = /(?:^|[^\w])\/[\w.~/-]/;

export const ADMINISTRATOR_SEES = 'the administrator of the server sees why';

export function hasPath(text: string): boolean {
  return PATH.test(text);
}

/** Returns the text, or `otherwise` if the text names a path. */
export function clientText(text: string, otherwise: string): string {
  return hasPath(text) ? `${otherwise}: ${ADMINISTRATOR_SEES}` : text;
}
