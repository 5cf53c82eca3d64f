// Decides whether a request may come from a page of this server. Pure. A page of another site can have a browser send requests here, also under
// a name of its own that leads to this address (DNS rebinding); both are told by the headers Host and Origin, which scripts cannot set.

import { isIP } from 'node:net';

/** The name or address of a header Host, in lower case and without a port; null if it is malformed. */
export function hostName(header: string): string | null {
  const [, bracketed, name] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::\d{1,5})?$/.exec(header.toLowerCase()) ?? [];
  return bracketed ?? name?.replace(/\.$/, '') ?? null;
}

/**
 * Returns true if the request is meant for this server. An address is always accepted, because rebinding needs a name. `names`: in lower case;
 * a name of a certificate may begin with `*.`.
 */
export function isOwnHost(header: string, names: readonly string[]): boolean {
  const name = hostName(header);
  if (name === null) return false;
  if (isIP(name) !== 0 || name === 'localhost') return true;
  return names.some((own) => own === name || (own.startsWith('*.') && name.replace(/^[^.]+/, '*') === own));
}

/**
 * Returns true if a page of this server sent the request. `host`: an accepted header Host. A proxy in front of a plain server may speak HTTPS.
 */
export function isOwnOrigin(origin: string, host: string, isTls: boolean): boolean {
  const schemes = isTls ? ['https'] : ['http', 'https'];
  return schemes.some((scheme) => origin.toLowerCase() === `${scheme}://${host.toLowerCase()}`);
}
