// What doctor says: one finding for each thing it looked at. How it is printed is report.ts.
// Invariant: an error or a warning has a remedy, and commands in it can be run as they stand: addresses and devices are filled in.

export type Severity = 'error' | 'warning' | 'ok';

export interface Finding {
  /** Name of the check, for programs. */
  readonly check: string;
  readonly severity: Severity;
  /** What it is about: a file, an interface, a path, a server. */
  readonly object: string;
  readonly what: string;
  /** File and line, device or process; null: the object says it. */
  readonly where: string | null;
  /** null: nothing is to be done. */
  readonly remedy: string | null;
  /** For a shell, as root, in this order. */
  readonly commands: readonly string[];
}

/** The findings of one check, in the order in which they are made. */
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
