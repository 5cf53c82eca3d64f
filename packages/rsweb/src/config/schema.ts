// The table of all sections and keys of /etc/rswebcfg, with type, range, default and help text of each key. The reader, its error messages
// and the manual page are derived from this table. The file rswebcfg.ts checks combinations of keys.

import { needed, optional, withDefault } from '@rsio/common/config/schema/entries';
import * as types from '@rsio/common/config/schema/value-types';
import { IDLE_DEFAULT, IDLE_MAX_MS, IDLE_MIN_MS, LISTEN_DEFAULT } from '../limits.ts';
import { RIGHTS } from './rights.ts';
import { endpoint, hostNames, sha256, sourceUrl } from './value-types.ts';

export const WEB_SCHEMA = {
  web: {
    hasName: false,
    occurs: 'at most once',
    below: null,
    lines: null,
    help: 'Where rsweb listens, and how it proves its identity',
    keys: {
      listen: withDefault(
        endpoint,
        LISTEN_DEFAULT,
        'Address and port of the pages. An address other than loopback needs certificate and key',
      ),
      certificate: optional(
        types.path,
        'File with the certificate of the server and all intermediate certificates (PEM). With a certificate, rsweb speaks HTTPS only',
      ),
      key: optional(types.path, 'File with the private key of the certificate (PEM)'),
      names: optional(
        hostNames,
        'Further names under which browsers reach rsweb. rsweb refuses requests for other names, except addresses, localhost, the name of the machine and the names in the certificate',
      ),
      log: withDefault(
        types.choice('auto', 'journal', 'syslog', 'file'),
        'auto',
        'Where rsweb logs (auto: to the journal if systemd starts it with the journal as its output, else to the file in /var/log/rsio)',
      ),
      'log-time': withDefault(types.choice('gmt', 'local'), 'gmt', 'Time zone in which log lines are printed'),
      idle: withDefault(types.duration(IDLE_MIN_MS, IDLE_MAX_MS), IDLE_DEFAULT, 'Time without a request after which a login ends'),
    },
  },
  token: {
    hasName: true,
    occurs: 'any number',
    below: null,
    lines: null,
    help: 'A token with which visitors log in. The log shows NAME with each order. rsweb token NAME prints a new token and its section',
    keys: {
      sha256: needed(sha256, 'SHA-256 of the token; the token itself is stored nowhere'),
      rights: withDefault(
        types.choice(...RIGHTS),
        'view',
        'What the token permits (view: look; operate: also what clients with the right manage order; admin: everything; manage: the orders of the pages, and as operate for programs). Orders need rsweb --manage',
      ),
    },
  },
  source: {
    hasName: true,
    occurs: 'any number',
    below: null,
    lines: null,
    help: 'Another machine with rsweb, whose servers and clients this rsweb also shows',
    keys: {
      url: needed(sourceUrl, 'Where the rsweb of that machine listens'),
      'token-file': needed(types.path, 'File with a token of that rsweb; rights = view suffices'),
      'certificate-authority': optional(
        types.path,
        'File (PEM) with the certificate of that rsweb, or of the authority that issued this certificate. Default: the authorities of Node',
      ),
    },
  },
} as const;
