// Makes the pre-shared key of a TLS connection from the configured key of a host, and the identities under which hosts offer it. Pure.
// Source: NVMe/TCP 1.0, 3.6.1, with the digest in the identity of TP 8018. Invariant: an identity yields a key only if it equals, byte by
// byte, an identity that this file makes for a host with a configured key.
//
//   NVMe0R01 HOSTNQN SUBNQN           NVMe1R01 HOSTNQN SUBNQN DIGEST
//   configured key -> retained key (HKDF, label HostNQN) -> TLS key (HKDF, label nvme-tls-psk)

import { createHmac, hkdfSync } from 'node:crypto';
import type { GateSecret } from '@rsio/common/config/schema/types';

/** The names of a host and a subsystem in the identity that the host offers. */
export interface TlsIdentity {
  readonly hostNqn: string;
  readonly nqn: string;
}

/** How the fields of HKDF-Expand-Label are written: as in RFC 8446, 7.1, or without their lengths, as libnvme did until 2025. */
type Form = 'standard' | 'old';

const HASH = 'sha256';
const KEY_BYTES = 32;
const IDENTITY = /^NVMe([01])R0([12]) (\S+) (\S+)(?: (\S+))?$/;

/** Returns the names in an identity; null if the text is not an identity. `isSha256`: whether its key is for a cipher with SHA-256. */
export function parseIdentity(identity: string): (TlsIdentity & { readonly isSha256: boolean }) | null {
  const [, version, hash, hostNqn, nqn, digest] = IDENTITY.exec(identity) ?? [];
  if (hostNqn === undefined || nqn === undefined || (version === '1') !== (digest !== undefined)) return null;
  return { hostNqn, nqn, isSha256: hash === '1' };
}

/** Returns all keys that a host with this configured key may use for a subsystem, by their identities. */
export function tlsPsks(configured: GateSecret, { hostNqn, nqn }: TlsIdentity): ReadonlyMap<string, Buffer> {
  const psks = new Map<string, Buffer>();
  // An identity of version 0 does not say which form the host uses.
  for (const form of ['old', 'standard'] as const) {
    const retained = configured.hash === 0 ? configured.key : expand(configured.key, 'HostNQN', hostNqn, form);
    const digest = createHmac(HASH, retained).update(`${hostNqn} ${nqn} NVMe-over-Fabrics`).digest('base64');
    const identity = `NVMe0R01 ${hostNqn} ${nqn}`;
    if (form === 'standard') psks.set(identity, expand(retained, 'nvme-tls-psk', identity, form));
    // Without a hash, both forms have the same identity.
    psks.set(`NVMe1R01 ${hostNqn} ${nqn} ${digest}`, expand(retained, 'nvme-tls-psk', `01 ${digest}`, form));
  }
  return psks;
}

function expand(key: Buffer, label: string, context: string, form: Form): Buffer {
  const [name, value] = [Buffer.from(`tls13 ${label}`), Buffer.from(context)];
  const isOld = form === 'old';
  const sized = (bytes: Buffer): Buffer => (isOld ? bytes : Buffer.concat([Buffer.from([bytes.length]), bytes]));
  const length = Buffer.from(isOld ? [KEY_BYTES, 0] : [0, KEY_BYTES]);
  const info = Buffer.concat([length, sized(name), sized(value)]);
  return Buffer.from(hkdfSync(HASH, key, Buffer.alloc(0), info, KEY_BYTES));
}
