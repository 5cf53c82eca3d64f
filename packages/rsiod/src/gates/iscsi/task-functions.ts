// Task management requests of iSCSI, and their responses. Pure. Source: RFC 7143, 11.5, 11.6.
// Invariant: a function that the engine does not support is answered, and changes nothing.

import type { TaskFunction, TaskManagement } from '../scsi/port.ts';
import { TASK, TASK_RESPONSE } from './wire/constants.ts';

const FUNCTIONS: Readonly<Record<number, TaskFunction>> = {
  [TASK.ABORT_TASK]: 'abort task',
  [TASK.ABORT_TASK_SET]: 'abort task set',
  [TASK.CLEAR_TASK_SET]: 'clear task set',
  [TASK.LOGICAL_UNIT_RESET]: 'lun reset',
  [TASK.TARGET_WARM_RESET]: 'target warm reset',
  [TASK.TARGET_COLD_RESET]: 'target cold reset',
};

/** Returns the function with this number, or the response that refuses it if the gate does not support it. */
export function taskFunction(number: number): TaskFunction | number {
  if (number === TASK.TASK_REASSIGN) return TASK_RESPONSE.REASSIGN_NOT_SUPPORTED;
  return FUNCTIONS[number] ?? TASK_RESPONSE.NOT_SUPPORTED;
}

export function taskResponse(answer: Parameters<TaskManagement['done']>[0]): number {
  switch (answer) {
    case 'complete':
    case 'succeeded':
      return TASK_RESPONSE.COMPLETE;
    case 'no task':
      return TASK_RESPONSE.NO_TASK;
    case 'no unit':
      return TASK_RESPONSE.NO_UNIT;
  }
}
