// Runs the cases in which a client tests a server: the patient cases run in parallel, each on its own target, and all other cases run one
// after the other on a shared target. Invariant: a failed case leaves nothing behind that affects the next case.

import type { ServerCase } from './base/case.ts';
import { Target, type TargetOptions } from './base/target.ts';

export interface Outcome {
  readonly id: string;
  readonly expects: string;
  /** Outcome of a case. `skip`: something that the case needs is missing. */
  readonly kind: 'ok' | 'FAIL' | 'skip';
  /** The failure, or the missing requirement. */
  readonly reason: string;
}

export function lacks(one: ServerCase, target: Target): string {
  return one.needs.filter((need) => !target.has(need)).join(', ');
}

/** Runs one case, and then checks that the shared session is unharmed. Throws if the case fails or the session is harmed. */
export async function runCase(one: ServerCase, target: Target): Promise<void> {
  try {
    try {
      await one.run(target);
    } finally {
      target.tidy();
    }
    await target.unharmed();
  } catch (error) {
    await target.abandon();
    throw error;
  }
}

export async function runPatient(one: ServerCase, options: TargetOptions): Promise<void> {
  const target = new Target(options);
  try {
    await one.run(target);
  } finally {
    target.tidy();
  }
}

/** Runs the cases, and reports them in the order of the list. */
export async function runCases(cases: readonly ServerCase[], options: TargetOptions, tell: (outcome: Outcome) => void): Promise<void> {
  const target = new Target(options);
  const able = cases.filter((one) => lacks(one, target) === '');
  const patient = new Map(able.filter(({ isPatient }) => isPatient).map((one) => [one, outcomeOf(one, runPatient(one, options))]));
  for (const one of cases) {
    if (able.includes(one)) tell(await (patient.get(one) ?? outcomeOf(one, runCase(one, target))));
    else tell({ id: one.id, expects: one.expects, kind: 'skip', reason: `needs: ${lacks(one, target)}` });
  }
  await target.finish();
}

async function outcomeOf({ id, expects }: ServerCase, run: Promise<void>): Promise<Outcome> {
  try {
    await run;
    return { id, expects, kind: 'ok', reason: '' };
  } catch (error) {
    return { id, expects, kind: 'FAIL', reason: error instanceof Error ? error.message : String(error) };
  }
}
