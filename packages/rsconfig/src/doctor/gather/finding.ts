// Defines doctor's findings, one for each examined object, and formats the report that lists them above a summary line. Invariants: each
// error or warning has a remedy whose commands can be run unchanged; each command is on a separate line; no control character from a name
// or a peer's message reaches the terminal.

import { plural } from '@rsio/base/lib/units';
import { toText } from '@rsio/common/cli/table';

export type Severity = 'error' | 'warning' | 'ok';

export interface Finding {
  /** Name of the check, for programs that read the JSON output. */
  readonly check: string;
  readonly severity: Severity;
  /** The examined object: a file, an interface, a path or a server. */
  readonly object: string;
  readonly what: string;
  /** The place of the fault: file and line, device or process. Null if `object` is precise enough. */
  readonly where: string | null;
  /** What to do; null if nothing needs to be done. */
  readonly remedy: string | null;
  /** Shell commands for root, in order of execution. */
  readonly commands: readonly string[];
}

/** Collects the findings of one check, in order. */
export class FindingList {
  readonly list: Finding[] = [];
  private readonly check: string;

  constructor(check: string) {
    this.check = check;
  }

  error(object: string, what: string, where: string | null, remedy: string, commands: readonly string[] = []): void {
    this.list.push({ check: this.check, severity: 'error', object, what, where, remedy, commands });
  }

  warning(object: string, what: string, where: string | null, remedy: string, commands: readonly string[] = []): void {
    this.list.push({ check: this.check, severity: 'warning', object, what, where, remedy, commands });
  }

  ok(object: string, what: string): void {
    this.list.push({ check: this.check, severity: 'ok', object, what, where: null, remedy: null, commands: [] });
  }
}

// Example of the report:
//   error: path if1 -> 192.168.46.10/5000: No answer within 3000 ms
//       where:  /etc/rscltcfg:21
//       remedy: check that the server is up, its cable and the switch ...
//           ip link set dev eth1 up
//   ok: interface if0: 192.168.45.20/24 on eth0, 1000 Mbit/s, MTU 1500
//   1 error, 0 warnings, 14 ok

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
