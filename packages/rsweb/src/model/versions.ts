// Finds servers and clients that run an older release than the newest one in the picture. Pure. Invariant: an outdated program causes
// exactly one finding, and programs of the newest release cause none.

import { hrefOf, clientId, serverId } from './ids.ts';
import type { Finding, Picture } from './picture.ts';
import { finding } from './remedies.ts';

export function versionFindings({ servers, clients }: Pick<Picture, 'servers' | 'clients'>): Finding[] {
  const all = [
    ...servers.map(({ name, version }) => ({ kind: 'server', name, version, href: hrefOf('server', serverId(name)) })),
    ...clients.map(({ name, version }) => ({ kind: 'client', name, version, href: hrefOf('client', clientId(name)) })),
  ];
  const newest = all.reduce<string | null>(
    (best, { version }) => (best === null || (version !== null && isNewer(version, best)) ? version : best),
    null,
  );
  return all.flatMap(({ kind, name, version, href }) => {
    if (version === null || newest === null || version === newest) return [];
    const restart = kind === 'client' ? 'rsconfig restart' : 'systemctl restart rssrv';
    const sentence = `The ${kind} ${name} runs release ${version}, and others run ${newest}: update its package, then run ${restart} there`;
    return [finding('warning', 'release', sentence, { where: `${kind} ${name}`, href })];
  });
}

function isNewer(version: string, other: string): boolean {
  const [left, right] = [partsOf(version), partsOf(other)];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return version > other;
}

function partsOf(version: string): number[] {
  return version.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0);
}
