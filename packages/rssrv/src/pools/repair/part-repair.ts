// Executes the plan of part-plan.ts after an interrupted change, in all pools. Invariant: a failed action is not repeated here, because its
// pool then has a `trouble`, and the plan has no actions for such a pool.

import type { PoolFiles } from '../disk/pool-files.ts';
import { type PartAction, type PartPool, planParts } from './part-plan.ts';
import type { Perform, RepairedPool } from './repaired-pool.ts';

/** Executes the plan. Returns true if an action was executed. */
export async function settleParts<State extends PartPool, Pool extends RepairedPool<State>>(
  pools: readonly Pool[],
  perform: Perform<Pool>,
): Promise<boolean> {
  let isAnyDone = false;
  // The plan is made again until it is empty, because the deletion of the last part of a volume makes the action `forget` possible.
  for (;;) {
    const { actions } = planParts(pools.map(({ state }) => state));
    let isDone = false;
    for (const action of actions) {
      const pool = pools.find(({ state }) => state.name === action.pool);
      if (pool === undefined || pool.state.trouble !== null) continue;
      // Mark the part as new before the deletion. If the outcome of the deletion is unknown, a later scan must not report the missing
      // part as lost (`lostIn`).
      if (action.kind === 'delete') pool.state = { ...pool.state, parts: withNew(pool.state.parts, action.fileId) };
      if (!(await perform(pool, (files) => carryOut(files, action)))) continue;
      pool.state = stateAfter(pool.state, action);
      isDone = true;
    }
    if (!isDone) return isAnyDone;
    isAnyDone = true;
  }
}

function carryOut(files: PoolFiles, action: PartAction): Promise<void> {
  switch (action.kind) {
    case 'confirm':
      return files.parts.confirm(action.fileId);
    case 'delete':
      return files.parts.delete(action.fileId, action.isNew);
    case 'forget':
      return files.forget(action.volumeId);
  }
}

function withNew(parts: PartPool['parts'], fileId: string): PartPool['parts'] {
  const part = parts.get(fileId);
  return part === undefined ? parts : new Map([...parts, [fileId, { ...part, isNew: true }]]);
}

function stateAfter<State extends PartPool>(state: State, action: PartAction): State {
  if (action.kind === 'forget') {
    const purging = new Map(state.purging);
    purging.delete(action.volumeId);
    return { ...state, purging };
  }
  const parts = new Map(state.parts);
  const part = parts.get(action.fileId);
  if (action.kind === 'delete' || part === undefined) parts.delete(action.fileId);
  else parts.set(action.fileId, { ...part, isNew: false });
  return { ...state, parts };
}
