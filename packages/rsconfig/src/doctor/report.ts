// What doctor prints: findings as text, the grave ones as they are met, and a last line that sums up. Pure.
// Invariant: no control character of a name or a peer's sentence reaches the terminal; commands stand alone on their lines.

//   error: path if1 -> 192.168.46.10/5000: No answer within 3000 ms
//       where:  /etc/rscltcfg:21
//       remedy: check that the server is up, its cable and the switch ...
//           ip link set dev eth1 up
//   ok: interface if0: 192.168.45.20/24 on eth0, 1000 Mbit/s, MTU 1500
//   1 error, 0 warnings, 14 ok

import { toText } from '../output/format.ts';
import type { Finding } from './facts/finding.ts';
import { plural } from '@rsio/common/lib/units';

export function formatFindings(findings: readonly Finding[]): string {
  return toText([...findings.flatMap(findingLines), summaryOf(findings)]);
}

export function summaryOf(findings: readonly Finding[]): string {
  const count = (severity: Finding['severity']): number => findings.filter((finding) => finding.severity === severity).length;
  return `${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}, ${count('ok')} ok`;
}

function findingLines({ severity, object, what, where, remedy, commands }: Finding): string[] {
  return [
    `${severity}: ${object}: ${what}`,
    ...(where === null ? [] : [`    where:  ${where}`]),
    ...(remedy === null ? [] : [`    remedy: ${remedy}`]),
    ...commands.map((command) => `        ${command}`),
  ];
}
