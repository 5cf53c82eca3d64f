// The form of servers.json in the state folder of rsiod: where each server was last found. rsiod writes the file, and rsconfig reads it.
// Invariant: an entry is a hint. It says which addresses to try and which `[server]` sections belong together, and never proves a server.

import { isIP } from 'node:net';
import type { StateForm } from '@rsio/base/files/state-file';
import { atMost, count, filledText, list, object, type Of, textThat, whole } from '@rsio/base/lib/shape';
import { SERVER_ADDRESSES_MAX, SERVERS_PER_CLIENT_MAX } from './schema/limits.ts';

const END_POINT = object({
  name: filledText(),
  address: textThat((value) => isIP(value) !== 0, 'an IP address'),
  port: whole(1, 65_535),
});

const KNOWN_SERVER = object({
  namespaceid: count(),
  serverid: count(),
  name: filledText(),
  /** Interfaces in the newest list of the server. */
  interfaces: atMost(SERVER_ADDRESSES_MAX, list(END_POINT)),
  /** End points of the `[server]` sections that lead to the server. */
  sections: atMost(SERVER_ADDRESSES_MAX, list(filledText())),
});

const CONTENT = object({ servers: atMost(SERVERS_PER_CLIENT_MAX, list(KNOWN_SERVER)) });

export type KnownServer = Of<typeof KNOWN_SERVER>;

export const KNOWN_SERVERS_FORM: StateForm<Of<typeof CONTENT>> = {
  version: 1,
  shape: CONTENT,
  remedy: 'remove it; rsiod then finds the servers by the [server] sections of rscltcfg alone',
};
