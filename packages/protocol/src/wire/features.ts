// Lists the protocol versions and features of this build, and chooses among those that a client offers. The macs of the handshake cover the
// offer and the choice, so that an attacker cannot cause a downgrade. Invariant: the server chooses only from the client's offer.

export const PROTOCOL_VERSIONS: readonly number[] = [1];

export const FEATURE = {
  /** The header and the body of every frame after the handshake are each followed by a CRC-32. */
  DIGEST: 'digest',
  /** The connection is a probe: it measures a path, never becomes a path, and is served by the listener. */
  PROBE: 'probe',
  /** REVOKE can fence one handle of a session while the other handles continue. */
  REVOKE: 'revoke',
  /** With ADMIN, a client manages the volumes, pools and clients of the server. */
  ADMIN: 'admin',
  /** With VOTE, the server keeps records of mirrors. */
  MIRROR: 'mirror',
  /** TLS 1.3 protects everything on the connection after START_TLS. */
  TLS: 'tls',
  /** A client may have several data processes, each with its own session. */
  DATA_PROCESSES: 'data-processes',
} as const;

/** Returns the highest version that both sides have; null if there is none. */
export function chooseVersion(offered: readonly number[], own: readonly number[]): number | null {
  const common = own.filter((version) => offered.includes(version));
  return common.length === 0 ? null : Math.max(...common);
}

/** Returns the features that both sides have, in the order of `own`. Omits `digest` with TLS, because TLS records have checksums. */
export function chooseFeatures(offered: readonly string[], own: readonly string[]): string[] {
  const common = own.filter((feature) => offered.includes(feature));
  return common.includes(FEATURE.TLS) ? common.filter((feature) => feature !== FEATURE.DIGEST) : common;
}
