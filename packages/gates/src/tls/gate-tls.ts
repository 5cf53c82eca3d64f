// TLS 1.3 for the connections of hosts: a pre-shared key authenticates host and gate to each other and encrypts the data. tls-psk.ts makes
// the keys. Invariants: data arrives only after the host has proven that it has a key, and only for its names; connections are never
// resumed, so that each is proven.

import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import type { ClientGateConfig } from '@rsio/common/config/schema/types';
import { transportOf } from '@rsio/rsiod/frontends/streams/socket';
import type { StreamTransport } from '@rsio/rsiod/frontends/streams/transport';
import { GATE_TLS_IDENTITIES_MAX } from '../limits.ts';
import { withoutTickets } from './session-tickets.ts';
import { parseIdentity, type TlsIdentity, tlsPsks } from './tls-psk.ts';

/** A suite with SHA-256, because Node's callbacks for pre-shared keys allow no other hash. */
const SUITE = 'TLS_AES_128_GCM_SHA256';
/** ffdhe3072 is mandatory (3.6.1.2). It takes some milliseconds, but is computed only after a host has proven that it has its key. */
const CURVES = 'X25519:P-256:P-384:ffdhe3072';

/** Why TLS has failed, by Node's error codes. */
const REASONS: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not use TLS, which the gate requires (nvme connect --tls on Linux)',
  ERR_SSL_NO_SHARED_CIPHER: 'it offers no cipher with SHA-256: give it a key NVMeTLSkey-1:01:',
  ERR_SSL_BINDER_DOES_NOT_VERIFY: 'its TLS key is not the one in the secret-file: give both the same and run rsconfig reload',
};

interface Shared {
  readonly context: SecureContext;
  readonly hasTickets: boolean;
}

let shared: Shared | null = null;

/** All connections share one context, because it contains no secret. */
function sharedContext(): Shared {
  if (shared !== null) return shared;
  const context = createSecureContext({
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: SUITE,
    ecdhCurve: CURVES,
    // If tickets cannot be turned off, they are at least useless.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  shared = { context, hasTickets: !withoutTickets(context) };
  return shared;
}

/** Returns a warning about TLS on this machine for the administrator; null if there is none. */
export function tlsWarning(): string | null {
  return sharedContext().hasTickets
    ? 'Linux hosts cannot use TLS here, because this Node sends session tickets: run rsiod with Node 20, 22 or 24'
    : null;
}

export interface GateTlsPorts {
  config(): Pick<ClientGateConfig, 'tlsKeys'>;
  /** Called when a connection has named a key that the gate has. */
  knows(): void;
  /** Called when a host does not get in, with the reason. */
  refused(sentence: string): void;
}

export class GateTls {
  readonly socket: TLSSocket;
  private readonly ports: GateTlsPorts;
  private offered: TlsIdentity | null = null;
  private identities = 0;
  /** Why no key was found; null if there was one. */
  private lack: string | null = null;

  /** Begins the handshake on an accepted connection. */
  constructor(accepted: Socket, ports: GateTlsPorts) {
    this.ports = ports;
    // Node's types lack the key callback of server sockets.
    const options: TLSSocketOptions & { readonly pskCallback: (socket: TLSSocket, identity: string) => Buffer | null } = {
      isServer: true,
      secureContext: sharedContext().context,
      pskCallback: (_, identity) => this.pskOf(identity),
    };
    this.socket = new TLSSocket(accepted, options);
    // The errors of the connection reach the TLS socket, too.
    accepted.on('error', () => undefined);
    this.socket.on('error', (error: NodeJS.ErrnoException) => this.failed(error.code ?? ''));
  }

  /** True if the names in a Connect command, which arrives after the handshake, are the names whose key the host has proven to have. */
  admits({ nqn, hostNqn }: TlsIdentity): boolean {
    const { offered } = this;
    const isSame = offered !== null && offered.nqn === nqn && offered.hostNqn === hostNqn;
    if (!isSame)
      this.ports.refused(`it has logged in as ${hostNqn} at ${nqn}, but its TLS key is for ${offered?.hostNqn} at ${offered?.nqn}`);
    return isSame;
  }

  /**
   * Node calls `sent` when the kernel has taken the encrypted bytes. Until then, Node may hold a copy of all waiting answers, so that TLS
   * uses up to twice their memory in addition. The socket's descriptor is not used, because bytes written to it would not be encrypted.
   */
  get transport(): StreamTransport {
    const { socket } = this;
    return {
      ...transportOf(socket),
      write: (bytes, start, lengthBytes, sent) => void socket.write(bytes.subarray(start, start + lengthBytes), sent),
    };
  }

  private pskOf(identity: string): Buffer | null {
    this.offered = null;
    if (++this.identities > GATE_TLS_IDENTITIES_MAX) return null;
    const names = parseIdentity(identity);
    const key = names === null ? undefined : this.ports.config().tlsKeys.get(names.hostNqn);
    const psk = names === null || key === undefined ? undefined : tlsPsks(key, names).get(identity);
    if (names !== null && psk !== undefined) {
      this.offered = names;
      this.ports.knows();
    } else if (names === null) this.lack = 'it offers a key that is none of NVMe';
    else if (!names.isSha256) this.lack = `host ${names.hostNqn} uses a TLS key for SHA-384: give it a key NVMeTLSkey-1:01:`;
    else if (key === undefined) this.lack = `the secret-file has no TLS key for host ${names.hostNqn}`;
    else this.lack = `host ${names.hostNqn} uses another TLS key than that in the secret-file`;
    return psk ?? null;
  }

  /** A broken connection does not count as a failure of TLS. */
  private failed(code: string): void {
    if (!code.startsWith('ERR_SSL_')) return;
    const by = this.offered === null ? '' : `host ${this.offered.hostNqn}: `;
    const why = (this.offered === null ? this.lack : null) ?? REASONS[code] ?? `TLS has failed (${code})`;
    this.ports.refused(`${by}${why}`);
  }
}
