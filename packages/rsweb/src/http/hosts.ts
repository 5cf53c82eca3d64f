// Decides whether a request may come from a page of this server. Pure. A page of another site can make a browser send requests to this
// server. With DNS rebinding, the request even has a host name of that site, whose address the site has changed to the address of this
// server. The headers Host and Origin reveal both attacks, because scripts cannot set them.

import { isIP } from 'node:net';

/** Returns the name or address in a header Host, in lower case and without a port; null if the header is malformed. */
export function hostName(header: string): string | null {
  const [, bracketed, name] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::\d{1,5})?$/.exec(header.toLowerCase()) ?? [];
  return bracketed ?? name?.replace(/\.$/, '') ?? null;
}

/**
 * Returns true if the request is meant for this server. An address is always accepted, because DNS rebinding needs a name. `names`:
 * accepted names in lower case; a name from a certificate may begin with `*.`.
 */
export function isOwnHost(header: string, names: readonly string[]): boolean {
  const name = hostName(header);
  if (name === null) return false;
  if (isIP(name) !== 0 || name === 'localhost') return true;
  return names.some((own) => own === name || (own.startsWith('*.') && name.replace(/^[^.]+/, '*') === own));
}

/**
 * True if a page of this server sent the request. `host`: an accepted header Host. A server without TLS may be behind a proxy that adds
 * TLS.
 */
export function isOwnOrigin(origin: string, host: string, isTls: boolean): boolean {
  const schemes = isTls ? ['https'] : ['http', 'https'];
  return schemes.some((scheme) => origin.toLowerCase() === `${scheme}://${host.toLowerCase()}`);
}
