// The value types that only /etc/rswebcfg uses. Each type has a parser and a text about the allowed values; a wrong value throws E_USAGE.
// The other types are in packages/common/src/config/schema.

import type { ValueType } from '@rsio/common/config/schema/value-types';
import { ENDPOINT_ALLOWED, type Endpoint, parseEndpoint, refuse } from '@rsio/base/lib/units';
import { isLoopback } from './addresses.ts';
import { HOST_NAME_MAX_CHARS, NAMES_MAX, SOURCE_URL_MAX_CHARS } from '../limits.ts';

export interface Listen {
  readonly address: string;
  readonly port: number;
}

export const endpoint: ValueType<Listen> = {
  kind: 'endpoint',
  allowed: ENDPOINT_ALLOWED.replace('ADDRESS or ADDRESS:PORT', 'ADDRESS:PORT').replace(' if a port follows', ''),
  isSecret: false,
  parse: (text) => {
    const { address, port } = parsed(text);
    return port === null ? refuse('end point', text, endpoint.allowed) : { address, port };
  },
};

function parsed(text: string): Endpoint {
  try {
    return parseEndpoint(text);
  } catch {
    return refuse('end point', text, endpoint.allowed);
  }
}

export const sha256: ValueType<string> = {
  kind: 'sha256',
  allowed: '64 hexadecimal digits, as rsweb token NAME prints them',
  // The value counts as a secret, although it is only a hash: the user may have written the token itself here by mistake, and no message
  // may show a token.
  isSecret: true,
  parse: (text) => (/^[0-9a-f]{64}$/i.test(text) ? text.toLowerCase() : refuse('SHA-256', null, sha256.allowed)),
};

/** A list of host names. The names are converted to lower case. */
export const hostNames: ValueType<readonly string[]> = {
  kind: 'names',
  allowed: `at most ${NAMES_MAX} names of hosts without ports, separated by commas or spaces`,
  isSecret: false,
  parse: (text) => {
    const names = text.toLowerCase().split(/\s*,\s*|\s+/);
    const areUsable = names.length <= NAMES_MAX && names.every(isHostName);
    return areUsable ? [...new Set(names)] : refuse('list of names', text, hostNames.allowed);
  },
};

function isHostName(name: string): boolean {
  return name.length <= HOST_NAME_MAX_CHARS && /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(name);
}

/** The origin of another rsweb. The parsed value has no slash at the end. */
export const sourceUrl: ValueType<string> = {
  kind: 'url',
  allowed: 'an origin such as https://big-9:5080; plain http only with a loopback address, such as http://127.0.0.1:5080',
  isSecret: false,
  parse: (text) => {
    const url = text.length <= SOURCE_URL_MAX_CHARS && URL.canParse(text) ? new URL(text) : null;
    const isBare =
      url !== null && url.username === '' && url.password === '' && url.pathname === '/' && url.search === '' && url.hash === '';
    const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname.replace(/^\[(.*)\]$/, '$1')));
    return isBare && isSafe ? url.origin : refuse('URL', text, sourceUrl.allowed);
  },
};
