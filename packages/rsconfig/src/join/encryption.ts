// Decides whether `join` uses TLS: if the user requests it, if rscltcfg demands it, or if a server accepts nothing else (join.ts). Pure.
// Invariant: `join` never falls back from TLS to plain paths, so a forged refusal can only make it use TLS.

import { shortKey } from '@rsio/common/config/reader/short-keys';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/base/lib/errors';
import type { ProbeLogin } from '@rsio/protocol/explorer/probe-report';

export type JoinLogin = Required<Omit<ProbeLogin, 'refusals'>>;

/**
 * True if the paths of this namespace must be encrypted. `before`: the current content of rscltcfg. `namespaceid`: null if the namespace is
 * not known yet; `before` is then ignored.
 */
export function tlsFor(before: RscltConfig | null, namespaceid: number | null, isAsked: boolean): boolean {
  if (namespaceid === null) return isAsked;
  const known = before?.namespaces.find((namespace) => namespace.namespaceid === namespaceid);
  return isAsked || (known?.tls ?? before?.defaultTls ?? false);
}

/** Throws E_CONFIG if the key is too short for TLS, because rscltcfg would not accept the key together with `tls = on`. */
export function loginWith(login: Omit<JoinLogin, 'tls'>, tls: boolean): JoinLogin {
  const remedy = `and rsadm client rekey ${login.nodename} changes it on the servers`;
  const short = tls ? shortKey('key with TLS', login.nodekey, null) : null;
  if (short !== null) throw new RsError('E_CONFIG', `${short.message}, ${remedy}; nothing was written`);
  return { ...login, tls };
}

const ALLOW = 'set tls = allow in section [namespace] of its rssrvcfg (rsadm namespace set tls=allow)';

export function withoutTls(server: string): RsError {
  return new RsError('E_TLS', `Server ${server} does not encrypt: ${ALLOW}, or join without --tls; nothing was written`);
}

/** Makes the error for two servers that need different settings of TLS. The client has only one key `tls` for the whole namespace. */
export function unlike(demanding: string, plain: string): RsError {
  const what = `Server ${demanding} accepts encrypted paths only, and server ${plain} of the same namespace does not encrypt`;
  return new RsError('E_TLS', `${what}: for ${plain}, ${ALLOW}, or join with --tls to do without it; nothing was written`);
}
