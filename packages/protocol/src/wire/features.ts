// Versions and features: what this build speaks, and how the server chooses from what a client offers. Both sides' choice is covered by
// the handshake's macs, so that nobody between them can talk them down. Invariant: what is chosen was offered.

export const PROTOCOL_VERSIONS: readonly number[] = [1];

export const FEATURE = {
  /** Header and body of every frame after the handshake are each followed by a CRC-32. */
  DIGEST: 'digest',
  /** The connection measures a path and never becomes one: the listener serves it by itself. */
  PROBE: 'probe',
  /** One handle of a session can be fenced (REVOKE), while the others go on. */
  REVOKE: 'revoke',
} as const;

/** The highest version that both have, or null. */
export function chooseVersion(offered: readonly number[], own: readonly number[]): number | null {
  const common = own.filter((version) => offered.includes(version));
  return common.length === 0 ? null : Math.max(...common);
}

/** The features that both have, in the order of `own`. */
export function chooseFeatures(offered: readonly string[], own: readonly string[]): string[] {
  return own.filter((feature) => offered.includes(feature));
}
